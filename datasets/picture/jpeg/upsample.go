package jpeg

// upsampler writes rows of a component at the picture's width.
type upsampler struct {
	*component
	across, down int // pixels of a sample
	fancy        bool
	sums         []uint16 // of two rows, with one more at both ends
}

// upsampler chooses as jdsample.c does: factors of two are interpolated, but widths of one or two samples, and the values of others
// repeated. Where the factors are no integers libjpeg gives up.
func (d *decoder) upsampler(c *component) (*upsampler, bool) {
	u := &upsampler{component: c, across: d.maxH / c.h, down: d.maxV / c.v}
	if u.across*c.h != d.maxH || u.down*c.v != d.maxV {
		return nil, false
	}
	u.fancy = u.across == 2 && u.down <= 2 && c.width > 2 || u.across == 1 && u.down == 2
	if u.fancy && u.across == 2 {
		u.sums = make([]uint16, c.width+2)
	}
	return u, true
}

// row returns row y at full width, in buf or in place: at least as many values as the picture is wide.
func (u *upsampler) row(y int, buf []uint8) []uint8 {
	switch {
	case u.across == 1 && u.down == 1:
		return u.component.row(y)
	case u.fancy && u.across == 1: // h1v2_fancy_upsample
		near, far := u.nearFar(y)
		return between(buf, near, far, 1+y%2)
	case u.fancy && u.down == 1: // h2v1_fancy_upsample
		row := u.component.row(y)
		active.weigh(u.sums[1:len(u.sums)-1], row, row, 1, 0)
		return u.triangle(buf, 1, 2, 2)
	case u.fancy: // h2v2_fancy_upsample
		near, far := u.nearFar(y)
		active.weigh(u.sums[1:len(u.sums)-1], near, far, 3, 1)
		return u.triangle(buf, 8, 7, 4)
	}
	row := u.component.row(y / u.down)
	for x := range buf[:min(len(buf), len(row)*u.across)] {
		buf[x] = row[x/u.across]
	}
	return buf
}

// nearFar returns the two rows that row y lies between.
func (u *upsampler) nearFar(y int) (near, far []uint8) {
	other := y/2 - 1 + y%2*2
	return u.component.row(y / 2), u.component.row(min(max(other, 0), u.height-1))
}

// between weighs a near and a far row 3:1.
func between(out, near, far []uint8, bias int) []uint8 {
	out, far = out[:len(near)], far[:len(near)]
	for x, v := range near {
		out[x] = uint8((3*int(v) + int(far[x]) + bias) >> 2)
	}
	return out
}

// triangle weighs near and far columns of u.sums 3:1.
func (u *upsampler) triangle(out []uint8, biasEven, biasOdd, shift int) []uint8 {
	last := len(u.sums) - 1
	u.sums[0], u.sums[last] = u.sums[1], u.sums[last-1]
	out = out[:2*u.width]
	active.triangle(out, u.sums, biasEven, biasOdd, shift)
	return out
}

// weighPortable is weigh of instructionSet.
func weighPortable(sums []uint16, near, far []uint8, a, b int) {
	near, far = near[:len(sums)], far[:len(sums)]
	for x := range sums {
		sums[x] = uint16(a*int(near[x]) + b*int(far[x]))
	}
}

// trianglePortable is triangle of instructionSet.
func trianglePortable(out []uint8, sums []uint16, biasEven, biasOdd, shift int) {
	n := len(out) / 2
	left, here, right := sums[:n], sums[1:][:n], sums[2:][:n]
	out = out[:2*n]
	for x := range n {
		v := 3 * int(here[x])
		out[2*x] = uint8((v + int(left[x]) + biasEven) >> (shift & 15))
		out[2*x+1] = uint8((v + int(right[x]) + biasOdd) >> (shift & 15))
	}
}
