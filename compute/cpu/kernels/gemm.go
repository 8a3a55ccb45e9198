package kernels

// A View is a batch of matrices in one slice: element (n, i, j) is Data[n·BatchStride + i·RowStride + j·ColStride].
// A transposed matrix has its sizes and strides exchanged; a BatchStride of 0 repeats one matrix.
type View struct {
	Data                              []float32
	Batch, Rows, Cols                 int
	BatchStride, RowStride, ColStride int
}

// Matrix is the view of one contiguous row-major matrix [rows, cols].
func Matrix(data []float32, rows, cols int) View {
	return Matrices(data, 1, rows, cols)
}

// Matrices is the view of contiguous row-major matrices [batch, rows, cols].
func Matrices(data []float32, batch, rows, cols int) View {
	return View{Data: data, Batch: batch, Rows: rows, Cols: cols, BatchStride: rows * cols, RowStride: cols, ColStride: 1}
}

// T is the view of the transposed matrices.
func (v View) T() View {
	v.Rows, v.Cols = v.Cols, v.Rows
	v.RowStride, v.ColStride = v.ColStride, v.RowStride
	return v
}

// at is Data from element (n, i, j) on.
func (v View) at(n, i, j int) []float32 {
	return v.Data[n*v.BatchStride+i*v.RowStride+j*v.ColStride:]
}

// Gemm computes C = act(alpha·A·B + beta·C + bias) + residual for every matrix of the batch: A is [batch, m, k],
// B [batch, k, n], C [batch, m, n] with a ColStride of 1; A and B may have any strides. C overlaps neither A nor B.
// With beta 0 what C held is not read. Sums over k run in order, in blocks of a size that depends on k alone.
func Gemm(pool Pool, alpha float32, a, b View, beta float32, c View, e Epilogue) {
	if b.ColStride == 1 && c.Rows <= unpackedRows {
		gemm(pool, alpha, a, unpacked(b), b.Rows, beta, c, e)
		return
	}
	packed := newPacked(b)
	defer packed.release()
	packed.pack(pool, b)
	GemmPacked(pool, alpha, a, packed, beta, c, e)
}

// GemmPacked is Gemm with a B that PackB prepared.
func GemmPacked(pool Pool, alpha float32, a View, b *Packed, beta float32, c View, e Epilogue) {
	if b.n != c.Cols {
		panic("kernels: the sizes of a matrix product do not match")
	}
	gemm(pool, alpha, a, b, b.k, beta, c, e)
}

// A bSource gives the columns j0 to j0+cols of rows k0 to k0+kc of B; k0 is a multiple of the depth of blocks, j0 of the
// tile's columns.
type bSource interface {
	block(batch, k0, kc, j0, cols int) bBlock
}

func gemm(pool Pool, alpha float32, a View, b bSource, k int, beta float32, c View, e Epilogue) {
	if a.Rows != c.Rows || a.Cols != k || c.ColStride != 1 {
		panic("kernels: the sizes of a matrix product do not match")
	}
	set := active
	mc, nc := set.blocks(a, c, pool.Workers())
	mBlocks, nBlocks := ceilDiv(c.Rows, mc), ceilDiv(c.Cols, nc)
	pool.Run(c.Batch*mBlocks*nBlocks, func(i int) {
		batch, i0, j0 := i/(mBlocks*nBlocks), i%mBlocks*mc, i/mBlocks%nBlocks*nc
		t := gemmTask{set: set, a: a, b: b, k: k, c: c, e: e, alpha: alpha, beta: beta, batch: batch}
		t.run(i0, min(mc, c.Rows-i0), j0, min(nc, c.Cols-j0))
	})
}

// copiedColumns is up to how many columns a block of B stays in the L2 cache with what is copied of A.
const copiedColumns = 512

// blocks are how many rows and columns of C one task computes. The sizes do not touch the results, whose sums run over k
// alone. Where tasks copy their rows of A, tasks of fewer rows share the work better than tasks of fewer columns, each of
// which would copy the rows anew.
func (s *instructionSet) blocks(a, c View, workers int) (mc, nc int) {
	mc = evenly(c.Rows, s.mc, s.mr)
	few := max(1, ceilDiv(c.Rows, s.mr)/(4*workers)) * s.mr
	if a.ColStride != 1 && workers > 1 && c.Cols <= copiedColumns && few < mc && 2*workers*few <= c.Rows {
		return few, max(s.nr, c.Cols)
	}
	return mc, s.columnBlock(c, mc, workers)
}

// columnBlock is how many columns of C one task computes: all, unless that leaves workers without work. The size does
// not touch the results, whose sums run over k alone.
func (s *instructionSet) columnBlock(c View, mc, workers int) int {
	rowTasks := max(1, c.Batch*ceilDiv(c.Rows, mc))
	if workers == 1 || rowTasks >= 8*workers {
		return max(s.nr, c.Cols)
	}
	parts := ceilDiv(8*workers, rowTasks)
	return max(s.nr, ceilDiv(ceilDiv(c.Cols, parts), s.nr)*s.nr)
}

// A gemmTask computes blocks of C of one matrix of the batch.
type gemmTask struct {
	set         *instructionSet
	a, c        View
	b           bSource
	k           int
	e           Epilogue
	alpha, beta float32
	batch       int
}

// columnsAtOnce is up to how many columns of C are computed at a time: with the rows of a task they stay in the L2 cache until
// the last block of k is added and the epilogue applied.
const columnsAtOnce = 512

// run computes the block of C at (i0, j0) of rows × cols: some columns at a time, unless rows of A would be copied for each.
func (t *gemmTask) run(i0, rows, j0, cols int) {
	n := columnsAtOnce
	if t.a.ColStride != 1 {
		n = max(1, cols)
	}
	for j := 0; j < cols; j += n {
		t.runColumns(i0, rows, j0+j, min(n, cols-j))
	}
}

func (t *gemmTask) runColumns(i0, rows, j0, cols int) {
	accumulate := t.scaleC(i0, rows, j0, cols)
	depth := evenly(t.k, t.set.kc, 1)
	for k0 := 0; k0 < t.k; k0 += depth {
		kc := min(depth, t.k-k0)
		block, b := t.set.newABlock(t.a, t.batch, i0, rows, k0, kc), t.b.block(t.batch, k0, kc, j0, cols)
		t.set.multiply(block, b, t.c.at(t.batch, i0, j0), t.c.RowStride, t.alpha, accumulate)
		block.scratch.release()
		b.scratch.release()
		accumulate = true
	}
	if t.k == 0 && !accumulate {
		clearRows(t.c.at(t.batch, i0, j0), t.c.RowStride, rows, cols)
	}
	t.e.apply(t.set, t.c, t.batch, i0, rows, j0, cols)
}

// scaleC multiplies the block of C by beta and tells whether the product is added to it.
func (t *gemmTask) scaleC(i0, rows, j0, cols int) bool {
	if t.beta == 0 || t.beta == 1 {
		return t.beta == 1
	}
	for i := range rows {
		row := t.c.at(t.batch, i0+i, j0)[:cols]
		t.set.binaryScalar[Mul](row, row, t.beta)
	}
	return true
}

func clearRows(c []float32, stride, rows, cols int) {
	for i := range rows {
		clear(c[i*stride:][:cols])
	}
}

// An aBlock is a block of A [rows, k] in panels of height rows, one panel a tile's: element (i, p) is
// data[i/height·panel + i%height·rs + p·cs].
type aBlock struct {
	data          []float32
	rows, k       int
	height        int
	panel, rs, cs int
	scratch       scratch
}

// inRows is the block whose rows are contiguous, stride apart, read where it is.
func (s *instructionSet) inRows(data []float32, rows, k, stride int) aBlock {
	height := evenly(rows, s.mr, 1)
	return aBlock{data: data, rows: rows, k: k, height: height, panel: height * stride, rs: stride, cs: 1}
}

// inColumns is the block whose columns are contiguous, stride apart, read where it is.
func (s *instructionSet) inColumns(data []float32, rows, k, stride int) aBlock {
	height := evenly(rows, s.mr, 1)
	return aBlock{data: data, rows: rows, k: k, height: height, panel: height, rs: 1, cs: stride}
}

// newABlock is the block of A at (i0, k0): in place where A's rows are contiguous, else copied to panels [k, height].
func (s *instructionSet) newABlock(a View, batch, i0, rows, k0, kc int) aBlock {
	data := a.at(batch, i0, k0)
	if a.ColStride == 1 {
		return s.inRows(data, rows, kc, a.RowStride)
	}
	height := evenly(rows, s.mr, 1)
	block := aBlock{rows: rows, k: kc, height: height, panel: height * kc, rs: 1, cs: height}
	block.scratch = newScratch(ceilDiv(rows, height) * height * kc)
	block.data = block.scratch.data
	s.packA(block.data, data, a.RowStride, a.ColStride, rows, kc, height)
	return block
}

// packedAtOnce is how many rows of a matrix are packed into all panels before the next: fewer pages than a TLB has entries.
const packedAtOnce = 16

// packA copies a [rows, kc] into panels of height rows, each [kc, height].
func (s *instructionSet) packA(dst, a []float32, rowStride, colStride, rows, kc, height int) {
	for p0 := 0; p0 < kc; p0 += packedAtOnce {
		n := min(packedAtOnce, kc-p0)
		for i := 0; i < rows; i += height {
			panel, src, h := dst[i*kc+p0*height:], a[i*rowStride+p0*colStride:], min(height, rows-i)
			if rowStride == 1 {
				s.copyRows(panel, height, src, colStride, n, h)
				continue
			}
			for p := range n {
				for r := range h {
					panel[p*height+r] = src[r*rowStride+p*colStride]
				}
			}
		}
	}
}

// aheadOfTile is how many numbers a tile brings to the L2 cache for each of its k: of the next panel of B, so that its first
// tile need not wait for memory.
const aheadOfTile = 8

// multiply computes C = alpha·A·B, or C += alpha·A·B, of a block of A and a block of B.
func (s *instructionSet) multiply(a aBlock, b bBlock, c []float32, ldc int, alpha float32, accumulate bool) {
	for j := 0; j < b.cols; j += s.nr {
		panel, stride := b.panelAt(j, s.nr)
		cols := min(s.nr, b.cols-j)
		for i := 0; i < a.rows; i += a.height {
			rows := min(a.height, a.rows-i)
			s.tile(rows, cols, a.k, a.data[i/a.height*a.panel:], a.rs, a.cs, panel, stride, c[i*ldc+j:], ldc, alpha, accumulate, b.ahead(j+s.nr, s.nr, i/a.height*a.k*aheadOfTile))
		}
	}
}
