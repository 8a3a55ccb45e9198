package pil

import "fmt"

// precision is the number of fractional bits of a weight: 8 bits of pixel, 2 for sums that overshoot, one sign.
const precision = 32 - 8 - 2

// Resize returns the picture at another size, as Pillow's Image.resize does on an RGB picture.
func (im *Image) Resize(width, height int, filter Filter) (*Image, error) {
	return im.ResizeWindow(width, height, Rect{0, 0, width, height}, filter)
}

// ResizeWindow returns what cropping `window` out of Resize(width, height, filter) would, without computing the rest.
// The window must lie within the resized picture.
func (im *Image) ResizeWindow(width, height int, window Rect, filter Filter) (*Image, error) {
	if err := im.checkResize(width, height, window); err != nil {
		return nil, err
	}
	if filter == Nearest {
		return im.nearest(width, height, window), nil
	}
	horizontal, err := weightsFor(im.Width, width, window.X, window.Width, filter)
	if err != nil {
		return nil, err
	}
	vertical, err := weightsFor(im.Height, height, window.Y, window.Height, filter)
	if err != nil {
		return nil, err
	}
	if verticalFirst(im.Width, im.Height, width, height) {
		left, right := horizontal.inputs()
		part := im.Crop(Rect{left, 0, right - left, im.Height})
		return part.columns(vertical).rows(horizontal.after(left)), nil
	}
	top, bottom := vertical.inputs()
	return im.band(top, bottom).rows(horizontal).columns(vertical.after(top)), nil
}

// verticalFirst is Pillow 13's rule: which direction goes first shows in the result, for both passes round to 8 bits.
func verticalFirst(width, height, toWidth, toHeight int) bool {
	return height > toHeight && height-toHeight > 2*(width-toWidth)
}

func (im *Image) checkResize(width, height int, window Rect) error {
	if min(im.Width, im.Height, width, height, window.Width, window.Height) < 1 {
		return fmt.Errorf("resizing %d x %d pixels to %d x %d: every side must be at least 1", im.Width, im.Height, width, height)
	}
	if min(window.X, window.Y) < 0 || window.X+window.Width > width || window.Y+window.Height > height {
		return fmt.Errorf("a window of %d x %d pixels at (%d, %d) is not within %d x %d", window.Width, window.Height, window.X, window.Y, width, height)
	}
	return nil
}

// band returns the rows from top to bottom, sharing the pixels.
func (im *Image) band(top, bottom int) *Image {
	stride := im.Width * Channels
	return &Image{Width: im.Width, Height: bottom - top, Pix: im.Pix[top*stride : bottom*stride]}
}

// rows resizes in width.
func (im *Image) rows(w weights) *Image {
	if w.copies {
		return im.Crop(Rect{w.first[0], 0, len(w.first), im.Height})
	}
	out := New(len(w.first), im.Height)
	active.rows(out, im, &w)
	return out
}

// columns resizes in height.
func (im *Image) columns(w weights) *Image {
	if w.copies {
		return im.band(w.first[0], w.first[0]+len(w.first))
	}
	out := New(im.Width, len(w.first))
	active.columns(out, im, &w)
	return out
}

// nearest takes the input pixel under the centre of every output pixel; positions are summed up as Pillow's ImagingScaleAffine does.
func (im *Image) nearest(width, height int, window Rect) *Image {
	columns, rows := nearestInputs(im.Width, width), nearestInputs(im.Height, height)
	out := New(window.Width, window.Height)
	for y := range out.Height {
		source, row := im.Row(rows[window.Y+y]), out.Row(y)
		for x := range out.Width {
			copy(row[x*Channels:][:Channels], source[columns[window.X+x]*Channels:])
		}
	}
	return out
}

func nearestInputs(in, out int) []int {
	inputs := make([]int, out)
	scale := float64(in) / float64(out)
	position := scale * 0.5
	for i := range inputs {
		inputs[i] = min(int(position), in-1)
		position += scale
	}
	return inputs
}
