// Package preprocess makes of a picture what a CLIP image tower takes: resized, cropped, normalised float32 values, channel by channel.
package preprocess

import (
	"fmt"
	"math"

	"regft/datasets/pil"
)

// CLIP is the preprocessing of a CLIP checkpoint, as in its preprocessor_config.json.
type CLIP struct {
	Size      int        // the shorter edge after resizing, in pixels
	Crop      int        // the edge of the square that is cropped out of the centre
	Filter    pil.Filter // bicubic in all published checkpoints
	Mean, Std [3]float32 // of red, green, blue values from 0 to 1
}

// ForSize returns OpenAI's preprocessing for an image tower of size x size pixels.
func ForSize(size int) CLIP {
	return CLIP{
		Size: size, Crop: size, Filter: pil.Bicubic,
		Mean: [3]float32{0.48145466, 0.4578275, 0.40821073},
		Std:  [3]float32{0.26862954, 0.26130258, 0.27577711},
	}
}

// Resize returns the picture whose shorter edge is resized to Size and whose centre is cropped to Crop x Crop: torchvision's
// CenterCrop(Crop)(Resize(Size)) on Pillow pictures, pixel by pixel.
func (c CLIP) Resize(im *pil.Image) (*pil.Image, error) {
	if im.Width < 1 || im.Height < 1 {
		return nil, fmt.Errorf("a picture of %d x %d pixels", im.Width, im.Height)
	}
	width, height := c.Size, c.Size
	if im.Width <= im.Height {
		height = c.Size * im.Height / im.Width
	} else {
		width = c.Size * im.Width / im.Height
	}
	window := pil.Rect{X: offset(width - c.Crop), Y: offset(height - c.Crop), Width: c.Crop, Height: c.Crop}
	if c.Crop <= min(width, height) {
		return im.ResizeWindow(width, height, window, c.Filter)
	}
	whole, err := im.Resize(width, height, c.Filter)
	if err != nil {
		return nil, err
	}
	return whole.Crop(window), nil
}

// offset is where torchvision's CenterCrop begins: half of the excess, halves to even; where the picture is smaller than the crop, it is
// padded first, and the side that gets less is the first.
func offset(excess int) int {
	if excess < 0 {
		return -(-excess / 2)
	}
	return int(math.RoundToEven(float64(excess) / 2))
}

// Evaluate writes the values of a picture resized for evaluation to out, [3, Crop, Crop].
func (c CLIP) Evaluate(im *pil.Image, out []float32) error {
	resized, err := c.Resize(im)
	if err != nil {
		return err
	}
	return c.Normalize(resized, out)
}

// Values is how many values a picture has: 3 * Crop * Crop.
func (c CLIP) Values() int { return 3 * c.Crop * c.Crop }

// Normalize writes (value/255 - mean) / std of a picture of Crop x Crop pixels to out, [3, Crop, Crop]: torchvision's ToTensor and
// Normalize, every step rounded to float32.
func (c CLIP) Normalize(im *pil.Image, out []float32) error {
	if im.Width != c.Crop || im.Height != c.Crop || len(out) != c.Values() {
		return fmt.Errorf("normalising %d x %d pixels into %d values: want %d x %d and %d", im.Width, im.Height, len(out), c.Crop, c.Crop, c.Values())
	}
	var tables [3][256]float32
	for channel := range tables {
		for v := range tables[channel] {
			tables[channel][v] = float32(float32(float32(v)/255)-c.Mean[channel]) / c.Std[channel]
		}
	}
	plane := c.Crop * c.Crop
	red, green, blue := out[:plane], out[plane:2*plane], out[2*plane:]
	for i := range red {
		p := im.Pix[i*3:][:3:3]
		red[i], green[i], blue[i] = tables[0][p[0]], tables[1][p[1]], tables[2][p[2]]
	}
	return nil
}
