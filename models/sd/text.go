package sd

import (
	"context"
	"fmt"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
)

// textStates remembers the text encoder's output for prompts that were met.
type textStates struct {
	mu    sync.Mutex
	known map[string][]float32 // [positions, width]
}

// maxTextStates bounds what is remembered: ImageNet's prompts need 1,000, at a quarter of a megabyte each.
const maxTextStates = 1024

// states are what the U-Net answers to, for each picture of a batch: [batch, positions, width], where pictures are
// guided [2·batch, positions, width], the negative prompt's first.
func (p *Pipeline) states(ctx context.Context, s Settings, batch []Picture) (*tensors.Tensor, error) {
	var prompts []string
	if p.guided(s) {
		for range batch {
			prompts = append(prompts, s.NegativePrompt)
		}
	}
	for _, picture := range batch {
		prompts = append(prompts, picture.Prompt)
	}
	var values []float32
	for _, prompt := range prompts {
		state, err := p.state(ctx, prompt)
		if err != nil {
			return nil, fmt.Errorf("encoding %q: %w", prompt, err)
		}
		values = append(values, state...)
	}
	return tensors.FromFlatDataAndDimensions(values, len(prompts), p.Text.Positions, p.Text.Width), nil
}

// state encodes one prompt. Prompts are never encoded together: the last bits would depend on the company.
func (p *Pipeline) state(ctx context.Context, prompt string) ([]float32, error) {
	p.texts.mu.Lock()
	defer p.texts.mu.Unlock()
	if known, ok := p.texts.known[prompt]; ok {
		return known, nil
	}
	tokens := p.tokenizer.Encode(prompt, p.Text.Positions)
	out, err := p.encoder.run(ctx, tensors.FromFlatDataAndDimensions(tokens, 1, p.Text.Positions))
	if err != nil {
		return nil, err
	}
	defer out[0].FinalizeAll()
	state, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, err
	}
	if p.texts.known == nil || len(p.texts.known) >= maxTextStates {
		p.texts.known = map[string][]float32{}
	}
	p.texts.known[prompt] = state
	return state, nil
}
