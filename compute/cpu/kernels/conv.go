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
// [taps·channels/groups, outChannels/groups] per group, taps in the order of tapOrder.
func (c Conv) PackWeights(pool Pool, weights []float32) *Packed {
	order := c.tapOrder()
	if order == nil {
		return PackB(pool, c.weightMatrices(weights))
	}
	n := c.groupIn() * c.OutChannels
	ordered := newScratch(len(order) * n)
	defer ordered.release()
	for i, tap := range order {
		copy(ordered.data[i*n:][:n], weights[tap*n:])
	}
	return PackB(pool, c.weightMatrices(ordered.data))
}

func (c Conv) weightMatrices(weights []float32) View {
	return View{Data: weights, Batch: c.Groups, Rows: c.taps() * c.groupIn(), Cols: c.groupOut(),
		BatchStride: c.groupOut(), RowStride: c.OutChannels, ColStride: 1}
}

// Forward sets y [batch, outHeight, outWidth, outChannels] to act(conv(x) + bias) + residual by implicit matrix products: the
// image's patches are gathered block by block into memory that stays in the L2 cache. The epilogue's residual is seen as one
// matrix [batch·outHeight·outWidth, outChannels].
func (c Conv) Forward(pool Pool, y, x []float32, weights *Packed, e Epilogue) {
	switch {
	case c.suitsWinograd():
		c.forwardWinograd(pool, y, x, packedTaps{weights, c.Channels}, e)
	case c.isProduct():
		GemmPacked(pool, 1, Matrix(x, c.pixels(), c.Channels), weights, 0, Matrix(y, c.pixels(), c.OutChannels), e)
	case c.suitsShifts():
		c.forwardShifts(pool, y, x, weights, e)
	default:
		c.forwardPatches(pool, y, x, weights, e)
	}
}

// isProduct tells whether the patches are the image itself.
func (c Conv) isProduct() bool {
	return c.taps() == 1 && c.Groups == 1 && c.Stride == [2]int{1, 1} && c.InputDilation == [2]int{1, 1} && c.Padding == [2][2]int{}
}

// forwardPatches is Forward by products of patches. Each task has some pixels of one phase and some columns.
func (c Conv) forwardPatches(pool Pool, y, x []float32, weights *Packed, e Epilogue) {
	set := active
	width := c.groupOut()
	var tasks []patchTask
	for _, p := range c.phases() {
		pixels := p.pixels()
		mc := evenly(pixels, set.mc, set.mr)
		nc := set.columnBlock(View{Batch: c.Groups, Rows: pixels, Cols: width}, mc, pool.Workers())
		for group := range c.Groups {
			for j0 := 0; j0 < width; j0 += nc {
				for i0 := 0; i0 < pixels; i0 += mc {
					tasks = append(tasks, patchTask{phase: p, group: group, i0: i0, rows: min(mc, pixels-i0), j0: j0, cols: min(nc, width-j0)})
				}
			}
		}
	}
	pool.Run(len(tasks), func(i int) { tasks[i].run(set, c, y, x, weights, &e) })
}

// A patchTask is the work on some pixels and columns.
type patchTask struct {
	phase
	group, i0, rows, j0, cols int
}

func (t *patchTask) run(set *instructionSet, c Conv, y, x []float32, weights *Packed, e *Epilogue) {
	p := t.newPatches(set, x, t.group, t.i0, t.rows)
	first := t.group*c.groupOut() + t.j0
	out := Matrix(y, c.pixels(), c.OutChannels)
	if t.whole {
		p.multiply(weights, t.firstTap*t.groupIn(), t.j0, t.cols, y[t.i0*c.OutChannels+first:], c.OutChannels)
		e.apply(set, out, 0, t.i0, t.rows, first, t.cols)
		return
	}
	block := newScratch(t.rows * t.cols)
	defer block.release()
	p.multiply(weights, t.firstTap*t.groupIn(), t.j0, t.cols, block.data, t.cols)
	for i := range t.rows {
		row := t.place(c, t.i0+i)
		copy(out.at(0, row, first)[:t.cols], block.data[i*t.cols:])
		e.apply(set, out, 0, row, 1, first, t.cols)
	}
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

// multiply sets y, rows ldc apart, to the product of the patches with the columns from j0 on of the weights' rows from first on.
func (p *patches) multiply(weights *Packed, first, j0, cols int, y []float32, ldc int) {
	rows, k := len(p.corner), p.taps()*p.groupIn()
	block := newScratch(rows * min(k, weights.kc))
	defer block.release()
	for at := 0; at < k; {
		kc := min(weights.left(first+at), k-at)
		p.gather(block.data, at, kc)
		p.set.multiply(p.set.inRows(block.data, rows, kc, kc), weights.rows(p.group, first+at, j0, cols), y, ldc, 1, at > 0)
		at += kc
	}
	if k == 0 {
		clearRows(y, ldc, rows, cols)
	}
}

// gather copies the columns k0 to k0+kc of the patch matrix into dst [rows, kc]: kernel row by kernel row where its taps
// meet neighbouring pixels, else tap by tap.
func (p *patches) gather(dst []float32, k0, kc int) {
	in := p.groupIn()
	if p.Groups == 1 && p.Dilation[1] == 1 && p.InputDilation == [2]int{1, 1} {
		in *= p.KernelWidth
		for i := range p.corner {
			row, tap, at := dst[i*kc:][:kc], k0/in, k0%in
			for len(row) > 0 {
				run := min(in-at, len(row))
				p.copyTaps(row[:run], &p.corner[i], tap, at)
				row, tap, at = row[run:], tap+1, 0
			}
		}
		return
	}
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

// copyTaps copies what lies under a row of the kernel, from number at of it on, zeros outside the image.
func (p *patches) copyTaps(dst []float32, c *corner, kernelRow, at int) {
	y := c.y + kernelRow*p.Dilation[0]
	if y < 0 || y >= p.Height {
		clear(dst)
		return
	}
	line := p.x[(c.image*p.Height+y)*p.Width*p.Channels:][:p.Width*p.Channels]
	from := c.x*p.Channels + at
	if from < 0 {
		n := min(-from, len(dst))
		clear(dst[:n])
		dst, from = dst[n:], from+n
	}
	n := 0
	if len(dst) > 0 && from < len(line) {
		n = copy(dst, line[from:])
	}
	clear(dst[n:])
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
