package kernels

// shiftedRows is how many rows of a result one task computes.
const shiftedRows = 32

// shiftedOutputs is up to how many output channels a convolution is a sum of shifted products.
const shiftedOutputs = 8

// suitsShifts tells whether Forward multiplies the image by the weights of all taps at once and then adds shifted products: with
// few output channels the columns of a product of patches would be mostly padding.
func (c Conv) suitsShifts() bool {
	one := [2]int{1, 1}
	return c.OutChannels <= shiftedOutputs && c.taps() > 1 && c.taps()*c.OutChannels <= 128 && c.Channels >= 16 &&
		c.Groups == 1 && c.Stride == one && c.Dilation == one && c.InputDilation == one
}

// forwardShifts is Forward by shifted products.
func (c Conv) forwardShifts(pool Pool, y, x []float32, weights *Packed, e Epilogue) {
	n := c.taps() * c.OutChannels
	flat := newScratch(c.Channels * n)
	defer flat.release()
	for tap := range c.taps() {
		for i := range c.Channels {
			copy(flat.data[i*n+tap*c.OutChannels:][:c.OutChannels], weights.row(0, tap*c.Channels+i, 0))
		}
	}
	b := Matrix(flat.data, c.Channels, n)
	packed := newPacked(b)
	defer packed.release()
	packed.pack(pool, b)
	blocks := ceilDiv(c.OutHeight(), shiftedRows)
	pool.Run(c.Batch*blocks, func(i int) {
		s := newShifts(c, active, x, i/blocks, packed)
		defer s.release()
		first := i % blocks * shiftedRows
		s.next = max(0, first-c.Padding[0][0])
		for row := first; row < min(c.OutHeight(), first+shiftedRows); row++ {
			s.row(y, row, &e)
		}
	})
}

// shifts is the work on some rows of one image. Products of the last rows of the image are kept, [kernelHeight, taps·outChannels,
// width]: columns of pixels, so that a shift is an offset.
type shifts struct {
	Conv
	set     *instructionSet
	x       []float32
	image   int
	packed  *Packed
	next    int // row of the image to be multiplied
	kept    scratch
	product scratch // of one row, [width, taps·outChannels]
	sums    scratch // of one row of the result, [outChannels, outWidth]
}

func newShifts(c Conv, set *instructionSet, x []float32, image int, packed *Packed) *shifts {
	return &shifts{Conv: c, set: set, x: x, image: image, packed: packed, kept: newScratch(c.KernelHeight * packed.n * c.Width),
		product: newScratch(c.Width * packed.n), sums: newScratch(c.OutChannels * c.OutWidth())}
}

func (s *shifts) release() {
	s.kept.release()
	s.product.release()
	s.sums.release()
}

// columns are the products of a row of the image.
func (s *shifts) columns(row int) []float32 {
	n := s.packed.n * s.Width
	return s.kept.data[row%s.KernelHeight*n:][:n]
}

// multiply computes the products of the next row.
func (s *shifts) multiply() {
	line := s.x[(s.image*s.Height+s.next)*s.Width*s.Channels:]
	n := s.packed.n
	for k0 := 0; k0 < s.Channels; k0 += s.packed.kc {
		kc := min(s.packed.kc, s.Channels-k0)
		a := s.set.inRows(line[k0:], s.Width, kc, s.Channels)
		s.set.multiply(a, s.packed.block(0, k0, kc, 0, n), s.product.data, n, 1, k0 > 0)
	}
	s.set.transpose(s.columns(s.next), s.Width, s.product.data, n, s.Width, n)
	s.next++
}

// row computes one row of the result.
func (s *shifts) row(y []float32, row int, e *Epilogue) {
	width, out := s.OutWidth(), s.OutChannels
	clear(s.sums.data)
	for i := range s.KernelHeight {
		at := row - s.Padding[0][0] + i
		if at < 0 || at >= s.Height {
			continue
		}
		for s.next <= at {
			s.multiply()
		}
		for j := range s.KernelWidth {
			shift := j - s.Padding[1][0]
			from, to := max(0, -shift), min(width, s.Width-shift)
			if from >= to {
				continue
			}
			for o := range out {
				sum := s.sums.data[o*width:][from:to]
				column := s.columns(at)[((i*s.KernelWidth+j)*out+o)*s.Width:]
				s.set.binary[Add](sum, sum, column[from+shift:to+shift])
			}
		}
	}
	s.store(y, row, e)
}

// store applies the epilogue to the sums of a row and turns them to pixels.
func (s *shifts) store(y []float32, row int, e *Epilogue) {
	width, out := s.OutWidth(), s.OutChannels
	for o := range out {
		sum := s.sums.data[o*width:][:width]
		if e.Bias != nil {
			s.set.binaryScalar[Add](sum, sum, e.Bias[o])
		}
		if e.Activation != NoActivation {
			s.set.unary[activationOps[e.Activation]](sum, sum)
		}
	}
	first := (s.image*s.OutHeight() + row) * width
	s.set.transpose(y[first*out:], out, s.sums.data, width, out, width)
	rest := Epilogue{Residual: e.Residual}
	rest.apply(s.set, Matrix(y, s.pixels(), out), 0, first, width, 0, out)
}
