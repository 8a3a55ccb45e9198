package kernels

// A Conv is the shape of a convolution of images [batch, height, width, channels] with weights [kernelHeight, kernelWidth,
// channels/groups, outChannels]: cross-correlation, as every framework has it. Padding is of zeros and may be negative.
// Dilation sets kernel elements apart; InputDilation sets the image's pixels apart, zeros between (a transposed convolution).
type Conv struct {
	Batch, Height, Width, Channels int
	KernelHeight, KernelWidth      int
	OutChannels, Groups            int
	Stride, Dilation               [2]int    // vertical, horizontal; at least 1
	InputDilation                  [2]int    // at least 1
	Padding                        [2][2]int // vertical, horizontal; before, after
}

// OutHeight is the height of the result.
func (c Conv) OutHeight() int {
	return outSize(c.Height, c.KernelHeight, c.Stride[0], c.Dilation[0], c.InputDilation[0], c.Padding[0])
}

// OutWidth is the width of the result.
func (c Conv) OutWidth() int {
	return outSize(c.Width, c.KernelWidth, c.Stride[1], c.Dilation[1], c.InputDilation[1], c.Padding[1])
}

func outSize(in, kernel, stride, dilation, inputDilation int, padding [2]int) int {
	padded := (in-1)*inputDilation + 1 + padding[0] + padding[1]
	if in == 0 {
		padded = padding[0] + padding[1]
	}
	return max(0, (padded-(kernel-1)*dilation-1)/stride+1)
}

func (c Conv) groupIn() int  { return c.Channels / c.Groups }
func (c Conv) groupOut() int { return c.OutChannels / c.Groups }
func (c Conv) taps() int     { return c.KernelHeight * c.KernelWidth }
func (c Conv) pixels() int   { return c.Batch * c.OutHeight() * c.OutWidth() }

// PackWeights prepares weights [kernelHeight, kernelWidth, channels/groups, outChannels] for Forward: one matrix
// [taps·channels/groups, outChannels/groups] per group.
func (c Conv) PackWeights(pool Pool, weights []float32) *Packed {
	return PackB(pool, c.weightMatrices(weights))
}

func (c Conv) weightMatrices(weights []float32) View {
	return View{Data: weights, Batch: c.Groups, Rows: c.taps() * c.groupIn(), Cols: c.groupOut(),
		BatchStride: c.groupOut(), RowStride: c.OutChannels, ColStride: 1}
}

// Forward sets y [batch, outHeight, outWidth, outChannels] to act(conv(x) + bias) + residual by implicit matrix products: the
// image's patches are gathered block by block into memory that stays in the L2 cache. The epilogue's residual is seen as one
// matrix [batch·outHeight·outWidth, outChannels].
func (c Conv) Forward(pool Pool, y, x []float32, weights *Packed, e Epilogue) {
	if c.suitsWinograd() {
		c.forwardWinograd(pool, y, x, packedTaps{weights, c.Channels}, e)
		return
	}
	pixels, width := c.pixels(), c.groupOut()
	out := Matrix(y, pixels, c.OutChannels)
	mc := evenly(pixels, active.mc, active.mr)
	blocks := ceilDiv(pixels, mc)
	nc := active.columnBlock(View{Batch: c.Groups, Rows: pixels, Cols: width}, mc, pool.Workers())
	columns := ceilDiv(width, nc)
	pool.Run(c.Groups*columns*blocks, func(i int) {
		group, j0, i0 := i/(columns*blocks), i/blocks%columns*nc, i%blocks*mc
		rows, cols := min(mc, pixels-i0), min(nc, width-j0)
		patches := c.newPatches(active, x, group, i0, rows)
		first := group*width + j0
		patches.multiply(weights, j0, cols, y[i0*c.OutChannels+first:])
		e.apply(active, out, 0, i0, rows, first, cols)
	})
}

// patches are the rows of the image's patch matrix [pixels, taps·channels/groups] of some output pixels.
type patches struct {
	Conv
	set    *instructionSet
	x      []float32
	group  int
	corner []corner
}

// A corner is where the patch of one output pixel begins in its padded, dilated image.
type corner struct{ image, y, x int }

func (c Conv) newPatches(set *instructionSet, x []float32, group, first, rows int) patches {
	p := patches{Conv: c, set: set, x: x, group: group, corner: make([]corner, rows)}
	height, width := c.OutHeight(), c.OutWidth()
	for i := range p.corner {
		at := first + i
		p.corner[i] = corner{
			image: at / (height * width),
			y:     at/width%height*c.Stride[0] - c.Padding[0][0],
			x:     at%width*c.Stride[1] - c.Padding[1][0],
		}
	}
	return p
}

// multiply sets y, rows outChannels apart, to the product of the patches with the columns from j0 on.
func (p *patches) multiply(weights *Packed, j0, cols int, y []float32) {
	rows := len(p.corner)
	block := newScratch(rows * weights.kc)
	defer block.release()
	for k0 := 0; k0 < weights.k; k0 += weights.kc {
		kc := min(weights.kc, weights.k-k0)
		p.gather(block.data, k0, kc)
		a := aBlock{data: block.data, rows: rows, k: kc, panel: p.set.mr * kc, rs: kc, cs: 1}
		p.set.multiply(a, weights.block(p.group, k0, kc, j0, cols), y, p.OutChannels, 1, k0 > 0)
	}
	if weights.k == 0 {
		clearRows(y, p.OutChannels, rows, cols)
	}
}

// gather copies the columns k0 to k0+kc of the patch matrix into dst [rows, kc].
func (p *patches) gather(dst []float32, k0, kc int) {
	in := p.groupIn()
	for k := k0; k < k0+kc; {
		tap, channel := k/in, k%in
		run := min(in-channel, k0+kc-k)
		for i := range p.corner {
			row := dst[i*kc+k-k0:][:run]
			if src := p.pixel(i, tap); src != nil {
				copy(row, src[channel:][:run])
			} else {
				clear(row)
			}
		}
		k += run
	}
}

// pixel is the channels under a tap of patch i, nil in the padding and between dilated pixels.
func (p *patches) pixel(i, tap int) []float32 {
	c := &p.corner[i]
	y, x := c.y+tap/p.KernelWidth*p.Dilation[0], c.x+tap%p.KernelWidth*p.Dilation[1]
	if y < 0 || x < 0 || y%p.InputDilation[0] != 0 || x%p.InputDilation[1] != 0 {
		return nil
	}
	y, x = y/p.InputDilation[0], x/p.InputDilation[1]
	if y >= p.Height || x >= p.Width {
		return nil
	}
	return p.x[((c.image*p.Height+y)*p.Width+x)*p.Channels+p.group*p.groupIn():]
}
