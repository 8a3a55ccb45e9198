package sd

import (
	"context"
	"fmt"
	"image"
	"iter"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
)

// An Image is a finished picture.
type Image struct {
	Index  int
	Pixels *image.NRGBA
}

// Batching says how pictures are made side by side.
type Batching struct {
	Size     int // pictures in one call of the U-Net
	Parallel int // batches at once
}

// Generate makes pictures, given with ascending indices, and yields them in that order.
//
// Picture i is always in place i mod Size of its batch, whichever others are asked for, and calls of the U-Net always
// have Size places: one shape is compiled, and a picture's bits depend neither on where a set begins or was
// interrupted nor on Parallel. With another Size the last bits may differ.
func (p *Pipeline) Generate(ctx context.Context, s Settings, pictures []Picture, b Batching) iter.Seq2[Image, error] {
	return func(yield func(Image, error) bool) {
		batches, err := batches(pictures, b)
		if err != nil {
			yield(Image{}, err)
			return
		}
		work := func(ctx context.Context, batch batch) ([]Image, error) { return p.makeBatch(ctx, s, batch) }
		for images := range inOrder(ctx, batches, b.Parallel, work) {
			if images.err != nil {
				yield(Image{}, images.err)
				return
			}
			for _, im := range images.value {
				if !yield(im, nil) {
					return
				}
			}
		}
	}
}

// A batch has a picture in every place; those that were not asked for are made and thrown away.
type batch struct {
	places []Picture
	asked  []bool
}

func batches(pictures []Picture, b Batching) ([]batch, error) {
	if b.Size < 1 || b.Parallel < 1 {
		return nil, fmt.Errorf("%d batches at once of %d pictures: both must be at least 1", b.Parallel, b.Size)
	}
	var all []batch
	for i, picture := range pictures {
		if picture.Index < 0 || i > 0 && picture.Index <= pictures[i-1].Index {
			return nil, fmt.Errorf("picture %d has index %d: indices must ascend from 0", i, picture.Index)
		}
		if i == 0 || picture.Index/b.Size != pictures[i-1].Index/b.Size {
			all = append(all, newBatch(picture, b.Size))
		}
		last := all[len(all)-1]
		last.places[picture.Index%b.Size], last.asked[picture.Index%b.Size] = picture, true
	}
	return all, nil
}

// newBatch is the batch that picture belongs to, with nothing asked for yet.
func newBatch(picture Picture, size int) batch {
	b := batch{make([]Picture, size), make([]bool, size)}
	for i := range b.places {
		b.places[i] = Picture{Index: picture.Index/size*size + i, Prompt: picture.Prompt, Init: picture.Init}
	}
	return b
}

func (p *Pipeline) makeBatch(ctx context.Context, s Settings, b batch) ([]Image, error) {
	var last Latents
	for latents, err := range p.Steps(ctx, s, b.places) {
		if err != nil {
			return nil, err
		}
		last = latents
	}
	pixels, err := p.Decode(ctx, last)
	if err != nil {
		return nil, err
	}
	var images []Image
	for i, picture := range b.places {
		if b.asked[i] {
			images = append(images, Image{picture.Index, pixels[i]})
		}
	}
	return images, nil
}

// Decode turns latents into pictures: each channel's value (x/2 + 1/2)·255, bounded and rounded to the nearest
// integer, halves to the even one.
func (p *Pipeline) Decode(ctx context.Context, l Latents) ([]*image.NRGBA, error) {
	batch := len(l.Values) / (p.VAE.LatentChannels * l.Height * l.Width)
	out, err := p.decoder.run(ctx, tensors.FromFlatDataAndDimensions(l.Values, batch, p.VAE.LatentChannels, l.Height, l.Width))
	if err != nil {
		return nil, err
	}
	defer out[0].FinalizeAll()
	pictures := make([]*image.NRGBA, batch)
	bounds := image.Rect(0, 0, p.VAE.Factor()*l.Width, p.VAE.Factor()*l.Height)
	err = tensors.ConstFlatData(out[0], func(values []float32) {
		size := len(values) / batch
		for i := range pictures {
			pictures[i] = image.NewNRGBA(bounds)
			paint(pictures[i].Pix, values[i*size:(i+1)*size])
		}
	})
	return pictures, err
}

// paint rounds colours, three values a pixel from 0 to 255, to opaque pixels.
func paint(pix []uint8, colours []float32) {
	for i := range len(colours) / 3 {
		for c := range 3 {
			pix[4*i+c] = uint8(math.RoundToEven(float64(colours[3*i+c])))
		}
		pix[4*i+3] = 0xff
	}
}
