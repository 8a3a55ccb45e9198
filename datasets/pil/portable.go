package pil

// An instructionSet is the table of the functions that differ between processors. They give the same bytes.
type instructionSet struct {
	rows    func(out, im *Image, w *weights) // convolves along rows
	columns func(out, im *Image, w *weights) // convolves down columns
}

var portable = &instructionSet{rowsPortable, columnsPortable}

// rowsPortable works on two rows at a time: their values share a word, and each product a multiplication (see pair).
func rowsPortable(out, im *Image, w *weights) {
	left, right := w.inputs()
	moved := w.after(left)
	words := make([]uint64, (right-left)*Channels)
	for y := 0; y < im.Height; y += 2 {
		below := min(y+1, im.Height-1)
		pack(words, im.Row(y)[left*Channels:], im.Row(below)[left*Channels:])
		moved.row(out.Row(y), out.Row(below), words)
	}
}

// columnsPortable: the left and the right half of a row share words. Only as many rows are packed at a time as an output row needs: they
// stay in the processor's first cache.
func columnsPortable(out, im *Image, w *weights) {
	values := im.Width * Channels
	half := (values + 1) / 2
	ring := make([][]uint64, w.longest()) // of packed rows: row y is at y mod its length
	for i := range ring {
		ring[i] = make([]uint64, half)
	}
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
