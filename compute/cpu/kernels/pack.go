package kernels

import "unsafe"

// Packed is a batch of matrices B [k, n] in the order in which a matrix product reads them: blocks of kc rows; in each,
// panels of nr columns, row by row, zeros filling the last panel. Both sizes are those of the instruction set in use.
type Packed struct {
	set         *instructionSet
	k, n        int
	kc, nr      int
	batch       int
	batchStride int // 0 repeats one matrix
	data        []float32
	scratch     scratch // of a Packed that lives for one product
}

// PackB copies b [batch, k, n] for GemmPacked, once for many products. It takes 4·batch·k·n bytes, n rounded up to 16, or 32
// with AVX-512.
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
	set := active
	p := &Packed{set: set, k: b.Rows, n: b.Cols, kc: evenly(b.Rows, set.kc, 1), nr: set.nr, batch: b.Batch}
	p.batchStride = p.k * p.panels() * p.nr
	if b.BatchStride == 0 || b.Batch == 1 {
		p.batch, p.batchStride = 1, 0
	}
	return p
}

func (p *Packed) panels() int { return ceilDiv(p.n, p.nr) }

func (p *Packed) size() int { return p.batch * p.k * p.panels() * p.nr }

func (p *Packed) release() { p.scratch.release() }

// packBlock is how many panels one task of packing copies.
const packBlock = 8

func (p *Packed) pack(pool Pool, b View) {
	groups := ceilDiv(p.panels(), packBlock)
	pool.Run(p.batch*groups, func(i int) {
		batch, j0 := i/groups, i%groups*packBlock*p.nr
		for k0 := 0; k0 < p.k; k0 += p.kc {
			kc, cols := min(p.kc, p.k-k0), min(packBlock*p.nr, p.n-j0)
			p.set.packColumns(p.block(batch, k0, kc, j0, cols).data, b.at(batch, k0, j0), b.RowStride, b.ColStride, kc, cols)
		}
	})
}

// packColumns copies b [kc, cols] into panels [kc, nr], zeros in the columns that the last lacks.
func (s *instructionSet) packColumns(dst, b []float32, rowStride, colStride, kc, cols int) {
	if rest := cols % s.nr; rest != 0 {
		clear(dst[(cols-rest)*kc:][:kc*s.nr])
	}
	if colStride != 1 {
		for j := 0; j < cols; j += s.nr {
			s.packPanel(dst[j*kc:], b[j*colStride:], rowStride, colStride, kc, min(s.nr, cols-j))
		}
		return
	}
	for p := 0; p < kc; p += packedAtOnce {
		for j := 0; j < cols; j += s.nr {
			s.copyRows(dst[j*kc+p*s.nr:], s.nr, b[p*rowStride+j:], rowStride, min(packedAtOnce, kc-p), min(s.nr, cols-j))
		}
	}
}

// packPanel copies b [kc, cols], cols ≤ nr, into the first columns of a panel [kc, nr].
func (s *instructionSet) packPanel(dst, b []float32, rowStride, colStride, kc, cols int) {
	switch {
	case colStride == 1:
		s.copyRows(dst, s.nr, b, rowStride, kc, cols)
	case rowStride == 1:
		s.transpose(dst, s.nr, b, colStride, cols, kc)
	default:
		for p := range kc {
			row := dst[p*s.nr:][:cols]
			for j := range row {
				row[j] = b[p*rowStride+j*colStride]
			}
		}
	}
}

// block is the part of matrix batch at (k0, j0); j0 is a multiple of p.nr, k0 of p.kc.
func (p *Packed) block(batch, k0, kc, j0, cols int) bBlock {
	from := batch*p.batchStride + k0*p.panels()*p.nr + j0*kc
	return bBlock{data: p.data[from:], cols: cols, panel: kc * p.nr, stride: p.nr}
}

// left is how many rows from row at on are in one block.
func (p *Packed) left(at int) int { return min(p.kc-at%p.kc, p.k-at) }

// rows is the part of matrix batch from row at and column j0 on, as far as the block of rows goes.
func (p *Packed) rows(batch, at, j0, cols int) bBlock {
	k0 := at / p.kc * p.kc
	b := p.block(batch, k0, min(p.kc, p.k-k0), j0, cols)
	b.data = b.data[(at-k0)*p.nr:]
	return b
}

// copyRows copies the panel of columns from j on of the rows from k on of the first matrix.
func (p *Packed) copyRows(dst []float32, k, j int) {
	for len(dst) > 0 {
		k0 := k / p.kc * p.kc
		kc := min(p.kc, p.k-k0)
		n := copy(dst, p.block(0, k0, kc, j, p.nr).data[(k-k0)*p.nr:kc*p.nr])
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
func (b *bBlock) panelAt(j, nr int) (panel []float32, stride int) {
	if b.tail != nil && j+nr > b.cols {
		return b.tail, nr
	}
	return b.data[j/nr*b.panel:], b.stride
}

// ahead is a number of the packed panel of the columns from j on that is to be read soon, the first of b where there is none.
func (b *bBlock) ahead(j, nr, number int) *float32 {
	if at := j/nr*b.panel + number; b.panel > nr && number < b.panel && at < len(b.data) {
		return &b.data[at]
	}
	return unsafe.SliceData(b.data)
}

// unpackedRows is up to how many rows of C a product reads B where it is: B is read from the L1 cache for all but the first.
const unpackedRows = 24

// unpacked is a B with contiguous rows that is read where it is.
type unpacked View

func (u unpacked) block(batch, k0, kc, j0, cols int) bBlock {
	tail := newScratch(kc * active.nr)
	b := active.inPlace(View(u).at(batch, k0, j0), u.RowStride, kc, cols, tail.data)
	b.scratch = tail
	return b
}

// inPlace is the block b [k, cols] with contiguous rows read where it is; only columns that do not fill a panel are copied,
// to tail.
func (s *instructionSet) inPlace(b []float32, stride, k, cols int, tail []float32) bBlock {
	block := bBlock{data: b, cols: cols, panel: s.nr, stride: stride}
	if rest := cols % s.nr; rest != 0 {
		s.packColumns(tail, b[cols-rest:], stride, 1, k, rest)
		block.tail = tail
	}
	return block
}
