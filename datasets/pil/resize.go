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

// rows resizes in width, two rows at a time: their values share a word, and each product a multiplication (see pair).
func (im *Image) rows(w weights) *Image {
	if w.copies {
		return im.Crop(Rect{w.first[0], 0, len(w.first), im.Height})
	}
	out := New(len(w.first), im.Height)
	left, right := w.inputs()
	w = w.after(left)
	words := make([]uint64, (right-left)*Channels)
	for y := 0; y < im.Height; y += 2 {
		below := min(y+1, im.Height-1)
		pack(words, im.Row(y)[left*Channels:], im.Row(below)[left*Channels:])
		w.row(out.Row(y), out.Row(below), words)
	}
	return out
}

// columns resizes in height; the left and the right half of a row share words. Only as many rows are packed at a time as an output
// row needs: they stay in the processor's first cache.
func (im *Image) columns(w weights) *Image {
	if w.copies {
		return im.band(w.first[0], w.first[0]+len(w.first))
	}
	values := im.Width * Channels
	half := (values + 1) / 2
	ring := make([][]uint64, w.longest()) // of packed rows: row y is at y mod its length
	for i := range ring {
		ring[i] = make([]uint64, half)
	}
	out := New(im.Width, len(w.first))
	sums := make([]uint64, half)
	packed := w.first[0]
	for y := range out.Height {
		for ; packed < w.first[y]+len(w.of(y)); packed++ {
			row := im.Row(packed)
			pack(ring[packed%len(ring)], row[:half], row[values-half:])
		}
		w.column(sums, ring, y)
		row := out.Row(y)
		left, right := row[:half], row[values-half:]
		for x, sum := range sums {
			left[x], right[x] = pair(sum)
		}
	}
	return out
}

// pack puts two rows of values into the lower and upper halves of words.
func pack(words []uint64, low, high []uint8) {
	low, high = low[:len(words)], high[:len(words)]
	for i := range words {
		words[i] = uint64(low[i]) | uint64(high[i])<<32
	}
}

// pair takes two sums of weighted values, whose half was added beforehand, out of a word and rounds them to bytes. The word is
// low + high * 2^32, both signed: so products of a weight with both values, and sums of them, are one operation each.
func pair(word uint64) (low, high uint8) {
	l := int32(word)
	h := int32((word - uint64(int64(l))) >> 32)
	return clip(l), clip(h)
}

// rounding is half of what a byte's one is in fixed point, in both halves of a word.
const rounding = 1<<(precision-1) | 1<<(precision-1)<<32

// row convolves along two rows.
func (w *weights) row(low, high []uint8, words []uint64) {
	for i, first := range w.first {
		kernel := w.of(i)
		source := words[first*Channels:][:len(kernel)*Channels]
		r, g, b := uint64(rounding), uint64(rounding), uint64(rounding)
		for _, k := range kernel {
			r += k * source[0]
			g += k * source[1]
			b += k * source[2]
			source = source[Channels:]
		}
		l, h := low[i*Channels:][:Channels:Channels], high[i*Channels:][:Channels:Channels]
		l[0], h[0] = pair(r)
		l[1], h[1] = pair(g)
		l[2], h[2] = pair(b)
	}
}

// column convolves down the columns for output row y.
func (w *weights) column(sums []uint64, ring [][]uint64, y int) {
	for x := range sums {
		sums[x] = rounding
	}
	kernel, first := w.of(y), w.first[y]
	row := func(j int) []uint64 { return ring[(first+j)%len(ring)][:len(sums)] }
	j := 0
	for ; j+1 < len(kernel); j += 2 { // two rows at a time load and store the sums half as often
		k, l, one, other := kernel[j], kernel[j+1], row(j), row(j+1)
		for x := range sums {
			sums[x] += k*one[x] + l*other[x]
		}
	}
	if j < len(kernel) {
		k := kernel[j]
		for x, v := range row(j) {
			sums[x] += k * v
		}
	}
}

// clip drops the fractional bits of a sum and bounds it to a byte.
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
