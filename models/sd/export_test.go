package sd

import (
	"context"

	"github.com/gomlx/gomlx/core/tensors"
)

// Answers are the text encoder's to tokens and the U-Net's to latents and that, unguided.
func (p *Pipeline) Answers(ctx context.Context, tokens []int64, latents *tensors.Tensor, timestep float32) (text, unet *tensors.Tensor, err error) {
	ids := make([]int32, len(tokens))
	for i, id := range tokens {
		ids[i] = int32(id)
	}
	out, err := p.encoder.run(ctx, tensors.FromFlatDataAndDimensions(ids, len(ids)/p.Text.Positions, p.Text.Positions))
	if err != nil {
		return nil, nil, err
	}
	answer, err := p.unet.run(ctx, latents, tensors.FromScalar(timestep), tensors.FromScalar(float32(1)), out[0])
	if err != nil {
		return nil, nil, err
	}
	return out[0], answer[0], nil
}
