package kernels

// Weights that do not change are packed once, in their own memory, where packing them adds no zeros.

// FillPanels tells whether matrices of so many columns take no more memory packed than as they are.
func FillPanels(columns int) bool { return columns%active.nr == 0 }

// PackInto is PackB of one matrix whose columns fill panels into data, of as many elements; b is elsewhere.
func PackInto(pool Pool, data []float32, b View) *Packed {
	p := PackedIn(data, b.Rows, b.Cols)
	p.pack(pool, b)
	return p
}

// PackedIn is the matrix [k, n] that PackInto has packed into data.
func PackedIn(data []float32, k, n int) *Packed {
	p := packedShape(Matrix(nil, k, n))
	p.data = data[:p.size()]
	return p
}

// Unpack copies the first matrix to b, the inverse of PackInto.
func (p *Packed) Unpack(pool Pool, b View) {
	pool.Run(p.panels(), func(panel int) {
		j0 := panel * p.nr
		for i := range p.k {
			row := p.row(0, i, j0)[:min(p.nr, p.n-j0)]
			for j, x := range row {
				b.Data[i*b.RowStride+(j0+j)*b.ColStride] = x
			}
		}
	})
}

// PackOIHWInto packs weights [outChannels, channels, kernelHeight, kernelWidth] of one group into data, of as many elements,
// for Forward.
func (c Conv) PackOIHWInto(pool Pool, data, weights []float32) *Packed {
	p := c.PackedIn(data)
	pool.Run(p.panels(), func(i int) { c.packOIHW(p, weights, 0, i*p.nr) })
	return p
}

// PackedIn is what PackOIHWInto has packed into data.
func (c Conv) PackedIn(data []float32) *Packed {
	return PackedIn(data, c.taps()*c.Channels, c.OutChannels)
}

// UnpackOIHW copies p to weights, the inverse of PackOIHWInto.
func (c Conv) UnpackOIHW(pool Pool, weights []float32, p *Packed) {
	taps, order := c.taps(), c.tapOrder()
	pool.Run(p.panels(), func(panel int) {
		j0 := panel * p.nr
		for i := range p.k {
			tap, channel := i/c.Channels, i%c.Channels
			if order != nil {
				tap = order[tap]
			}
			for j, x := range p.row(0, i, j0)[:min(p.nr, p.n-j0)] {
				weights[((j0+j)*c.Channels+channel)*taps+tap] = x
			}
		}
	})
}
