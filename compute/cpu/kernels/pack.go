package kernels

// Packed is a batch of matrices B [k, n] in the order in which a matrix product reads them: blocks of kc rows; in each,
// panels of nr columns, row by row, zeros filling the last panel.
type Packed struct {
	k, n, kc    int
	batch       int
	batchStride int // 0 repeats one matrix
	data        []float32
	scratch     scratch // of a Packed that lives for one product
}

// PackB copies b [batch, k, n] for GemmPacked, once for many products. It takes 4·batch·k·n bytes, n rounded up to 16.
func PackB(pool Pool, b View) *Packed {
	p := packedShape(b)
	p.data = make([]float32, p.size())
	p.pack(pool, b)
	return p
}

// Bytes is the memory that p holds.
func (p *Packed) Bytes() int { return 4 * len(p.data) }

func newPacked(b View) *Packed {
	p := packedShape(b)
	p.scratch = newScratch(p.size())
	p.data = p.scratch.data
	return p
}

func packedShape(b View) *Packed {
	p := &Packed{k: b.Rows, n: b.Cols, kc: evenly(b.Rows, kcLimit, 1), batch: b.Batch}
	p.batchStride = p.k * p.panels() * nr
	if b.BatchStride == 0 || b.Batch == 1 {
		p.batch, p.batchStride = 1, 0
	}
	return p
}

func (p *Packed) panels() int { return ceilDiv(p.n, nr) }

func (p *Packed) size() int { return p.batch * p.k * p.panels() * nr }

func (p *Packed) release() { p.scratch.release() }

// packBlock is how many panels one task of packing copies.
const packBlock = 8

func (p *Packed) pack(pool Pool, b View) {
	groups := ceilDiv(p.panels(), packBlock)
	pool.Run(p.batch*groups, func(i int) {
		batch, first := i/groups, i%groups*packBlock
		for panel := first; panel < min(first+packBlock, p.panels()); panel++ {
			for k0 := 0; k0 < p.k; k0 += p.kc {
				p.packPanel(b, batch, panel*nr, k0, min(p.kc, p.k-k0))
			}
		}
	})
}

// packPanel copies the columns j0 to j0+nr of rows k0 to k0+kc.
func (p *Packed) packPanel(b View, batch, j0, k0, kc int) {
	dst := p.block(batch, k0, kc, j0, nr).data[:kc*nr]
	packPanel(active, dst, b.at(batch, k0, j0), b.RowStride, b.ColStride, kc, min(nr, b.Cols-j0))
}

// packPanel copies b [kc, cols] into a panel [kc, nr], zeros in the columns that b lacks.
func packPanel(set *instructionSet, dst, b []float32, rowStride, colStride, kc, cols int) {
	p := 0
	switch {
	case colStride == 1 && cols == nr:
		for ; p < kc; p++ {
			*(*[nr]float32)(dst[p*nr:]) = *(*[nr]float32)(b[p*rowStride:])
		}
	case rowStride == 1 && cols == nr:
		for ; p+8 <= kc; p += 8 {
			set.transpose8x8(dst[p*nr:], nr, b[p:], colStride)
			set.transpose8x8(dst[p*nr+8:], nr, b[p+8*colStride:], colStride)
		}
	}
	for ; p < kc; p++ {
		row := dst[p*nr:][:nr]
		clear(row[cols:])
		for j := range cols {
			row[j] = b[p*rowStride+j*colStride]
		}
	}
}

// block is the part of matrix batch at (k0, j0); j0 is a multiple of nr, k0 of p.kc.
func (p *Packed) block(batch, k0, kc, j0, cols int) bBlock {
	from := batch*p.batchStride + k0*p.panels()*nr + j0*kc
	return bBlock{data: p.data[from:], cols: cols, panel: kc * nr, stride: nr}
}

// copyRows copies the panel of columns from j on of the rows from k on of the first matrix.
func (p *Packed) copyRows(dst []float32, k, j int) {
	for len(dst) > 0 {
		k0 := k / p.kc * p.kc
		kc := min(p.kc, p.k-k0)
		n := copy(dst, p.block(0, k0, kc, j, nr).data[(k-k0)*nr:kc*nr])
		dst = dst[n:]
		k = k0 + kc
	}
}

// A bBlock is a block of B [k, cols]: element (p, j) is data[j/nr·panel + p·stride + j%nr]. Where tail is not nil it is
// the panel of the last columns that do not fill one, [k, nr].
type bBlock struct {
	data          []float32
	cols          int
	panel, stride int
	tail          []float32
	scratch       scratch
}

// panelAt is the panel of the columns from j on, and the distance of its rows.
func (b *bBlock) panelAt(j int) (panel []float32, stride int) {
	if b.tail != nil && j+nr > b.cols {
		return b.tail, nr
	}
	return b.data[j/nr*b.panel:], b.stride
}

// unpackedRows is up to how many rows of C a product reads B where it is: B is read from the L1 cache for all but the first.
const unpackedRows = 24

// unpacked is a B with contiguous rows that is read where it is.
type unpacked View

func (u unpacked) block(batch, k0, kc, j0, cols int) bBlock {
	tail := newScratch(kc * nr)
	b := inPlace(active, View(u).at(batch, k0, j0), u.RowStride, kc, cols, tail.data)
	b.scratch = tail
	return b
}

// inPlace is the block b [k, cols] with contiguous rows read where it is; only columns that do not fill a panel are copied,
// to tail.
func inPlace(set *instructionSet, b []float32, stride, k, cols int, tail []float32) bBlock {
	block := bBlock{data: b, cols: cols, panel: nr, stride: stride}
	if rest := cols % nr; rest != 0 {
		packPanel(set, tail, b[cols-rest:], stride, 1, k, rest)
		block.tail = tail
	}
	return block
}
