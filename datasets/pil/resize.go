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
	for y := range out.Height {
		w.row(out.Row(y), im.Row(y))
	}
	return out
}

// columns resizes in height.
func (im *Image) columns(w weights) *Image {
	if w.copies {
		return im.band(w.first[0], w.first[0]+len(w.first))
	}
	out := New(im.Width, len(w.first))
	sums := make([]int32, im.Width*Channels)
	for y := range out.Height {
		w.column(out.Row(y), im, y, sums)
	}
	return out
}

// row convolves along one row.
func (w *weights) row(out, in []uint8) {
	for i, first := range w.first {
		kernel := w.of(i)
		source := in[first*Channels:][:len(kernel)*Channels]
		r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
		for j, k := range kernel {
			p := source[j*Channels:][:Channels:Channels]
			r += k * int32(p[0])
			g += k * int32(p[1])
			b += k * int32(p[2])
		}
		o := out[i*Channels:][:Channels:Channels]
		o[0], o[1], o[2] = clip(r), clip(g), clip(b)
	}
}

// column convolves down the columns for output row y.
func (w *weights) column(out []uint8, in *Image, y int, sums []int32) {
	for x := range sums {
		sums[x] = 1 << (precision - 1)
	}
	for j, k := range w.of(y) {
		source := in.Row(w.first[y] + j)[:len(sums)]
		for x, v := range source {
			sums[x] += k * int32(v)
		}
	}
	for x, sum := range sums {
		out[x] = clip(sum)
	}
}

// clip rounds a fixed-point sum, whose half was added beforehand, to a byte.
func clip(sum int32) uint8 {
	v := sum >> precision
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
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
