package kernels

// inputGradient is the convolution that takes dy to dx: strides become dilations of the image, the kernel is turned around,
// inputs and outputs change places.
func (c Conv) inputGradient() Conv {
	g := Conv{
		Batch: c.Batch, Height: c.OutHeight(), Width: c.OutWidth(), Channels: c.OutChannels,
		KernelHeight: c.KernelHeight, KernelWidth: c.KernelWidth, OutChannels: c.Channels, Groups: c.Groups,
		Stride: c.InputDilation, Dilation: c.Dilation, InputDilation: c.Stride,
	}
	g.Padding[0] = gradientPadding(c.Height, g.Height, c.KernelHeight, 0, c)
	g.Padding[1] = gradientPadding(c.Width, g.Width, c.KernelWidth, 1, c)
	return g
}

// gradientPadding makes the gradient's convolution begin where the first pixel met the last tap, and give size pixels.
func gradientPadding(size, out, kernel, axis int, c Conv) [2]int {
	before := (kernel-1)*c.Dilation[axis] - c.Padding[axis][0]
	reach := (size-1)*c.InputDilation[axis] + 1 + (kernel-1)*c.Dilation[axis] // what the result needs of the padded dy
	return [2]int{before, reach - before - ((out-1)*c.Stride[axis] + 1)}
}

// PackWeightsTurned prepares weights for InputGradient.
func (c Conv) PackWeightsTurned(pool Pool, weights []float32) *Packed {
	in, out := c.groupIn(), c.groupOut()
	turned := newScratch(c.taps() * out * c.Channels)
	defer turned.release()
	for tap := range c.taps() {
		from, to := weights[tap*in*c.OutChannels:], turned.data[(c.taps()-1-tap)*out*c.Channels:]
		for g := range c.Groups {
			transposeTiles(to[g*in:], c.Channels, from[g*out:], c.OutChannels, in, out)
		}
	}
	return c.inputGradient().PackWeights(pool, turned.data)
}

// InputGradient sets dx [batch, height, width, channels] to the gradient of the convolution with respect to its image, from
// dy [batch, outHeight, outWidth, outChannels] and weights that PackWeightsTurned prepared.
func (c Conv) InputGradient(pool Pool, dx, dy []float32, weights *Packed) {
	c.inputGradient().Forward(pool, dx, dy, weights, Epilogue{})
}

// gradientPixels is how many pixels add to one sum of a weight gradient.
const gradientPixels = 256

// WeightGradient sets dw [kernelHeight, kernelWidth, channels/groups, outChannels] to the gradient of the convolution with
// respect to its weights, from x and dy: the transposed patch matrix times dy, summed over the pixels in order.
func (c Conv) WeightGradient(pool Pool, dw, dy, x []float32) {
	rows := c.taps() * c.groupIn()
	size := evenly(rows, active.mc, active.mr)
	blocks := ceilDiv(rows, size)
	pool.Run(c.Groups*blocks, func(i int) {
		group, k0 := i/blocks, i%blocks*size
		c.weightGradientRows(active, dw, dy, x, group, k0, min(size, rows-k0))
	})
}

// weightGradientRows computes the rows k0 to k0+kc of dw of one group.
func (c Conv) weightGradientRows(set *instructionSet, dw, dy, x []float32, group, k0, kc int) {
	width, first := c.groupOut(), group*c.groupOut()
	out := dw[k0*c.OutChannels+first:]
	block := newScratch(gradientPixels * kc)
	defer block.release()
	tail := newScratch(gradientPixels * set.nr)
	defer tail.release()
	pixels := c.pixels()
	if pixels == 0 {
		clearRows(out, c.OutChannels, kc, width)
	}
	for i0 := 0; i0 < pixels; i0 += gradientPixels {
		n := min(gradientPixels, pixels-i0)
		p := c.newPatches(set, x, group, i0, n)
		p.gather(block.data, k0, kc)
		a := set.inColumns(block.data, kc, n, kc)
		b := set.inPlace(dy[i0*c.OutChannels+first:], c.OutChannels, n, width, tail.data)
		set.multiply(a, b, out, c.OutChannels, 1, i0 > 0)
	}
}
