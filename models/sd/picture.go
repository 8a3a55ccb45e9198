package sd

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
)

// latentsOf draws the latents of a picture's Init from the distribution that the VAE gives, in units of the U-Net.
func (p *Pipeline) latentsOf(ctx context.Context, s Settings, picture Picture, g generator) ([]float32, error) {
	if picture.Init == nil {
		return nil, errors.New("there is no such picture")
	}
	im, err := picture.Init(ctx)
	if err != nil {
		return nil, err
	}
	if size := im.Rect.Size(); size.X != s.Width || size.Y != s.Height {
		return nil, fmt.Errorf("it has %d×%d pixels, want %d×%d", size.X, size.Y, s.Width, s.Height)
	}
	out, err := p.pictures.run(ctx, tensors.FromFlatDataAndDimensions(signed(im), 1, s.Height, s.Width, 3))
	if err != nil {
		return nil, err
	}
	defer out[0].FinalizeAll()
	defer out[1].FinalizeAll()
	mean, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, err
	}
	logVariance, err := tensors.CopyFlatData[float32](out[1])
	if err != nil {
		return nil, err
	}
	x := make([]float32, len(mean))
	g.Randn(x)
	for k, z := range x {
		sample := float64(mean[k]) + math.Exp(0.5*float64(logVariance[k]))*float64(z)
		x[k] = float32((sample - p.VAE.ShiftFactor) * p.VAE.ScalingFactor)
	}
	return x, nil
}

// signed are the colours of a picture, three a pixel, from 0…255 to -1…1.
func signed(im *image.NRGBA) []float32 {
	size := im.Rect.Size()
	out := make([]float32, 0, 3*size.X*size.Y)
	for y := range size.Y {
		row := im.Pix[y*im.Stride:]
		for x := range size.X {
			for _, value := range row[4*x : 4*x+3] {
				out = append(out, float32(value)/255*2-1)
			}
		}
	}
	return out
}
