package kernels

import "math"

// An Attention is the shape of softmax(scale·Q·Kᵀ + mask)·V by head. Q is [batch, queries, heads, dim], K and V are
// [batch, keys, heads, dim], the results are as Q, each with strides of its own.
type Attention struct {
	Batch, Heads, Queries, Keys int
	Dim, ValueDim               int // of Q and K, and of V and the result
	Scale                       float32
	Causal                      bool // query i sees keys 0 to i + keys − queries
	Mask                        Mask
}

// Heads is a tensor [batch, length, heads, dim] in memory: element (b, i, h, d) is
// Data[b·BatchStride + i·RowStride + h·HeadStride + d].
type Heads struct {
	Data                               []float32
	BatchStride, RowStride, HeadStride int
}

// at is the matrix of one head.
func (h Heads) at(batch, head int) []float32 {
	return h.Data[batch*h.BatchStride+head*h.HeadStride:]
}

// A Mask is added to the scaled scores: element (b, h, i, j) is Data[b·BatchStride + h·HeadStride + i·RowStride + j]. Strides
// may be 0. Data nil is no mask.
type Mask struct {
	Data                               []float32
	BatchStride, HeadStride, RowStride int
}

// Sizes of the blocks of attention: scores of queryBlock queries and keyBlock keys (96 KiB) stay in the L2 cache.
const (
	queryBlock = 96
	keyBlock   = 256
)

// Forward sets out to the attention of q to k and v, block of keys by block of keys with running maxima and sums, so that
// scores of all keys are never in memory (Dao et al., "FlashAttention", 2022). logSumExp [batch, heads, queries] receives what
// Backward needs; nil for none. A query that sees no key gets zeros.
func (a Attention) Forward(pool Pool, out, q, k, v Heads, logSumExp []float32) {
	keys, values := a.packKeys(pool, k), a.packValues(pool, v)
	defer keys.release()
	defer values.release()
	blocks := ceilDiv(a.Queries, queryBlock)
	pool.Run(a.Batch*a.Heads*blocks, func(i int) {
		head, from := i/blocks, i%blocks*queryBlock
		f := newFlash(a, active, head, from, min(queryBlock, a.Queries-from))
		defer f.release()
		f.run(q, keys, values)
		f.store(out, logSumExp)
	})
}

// packKeys packs Kᵀ of every head.
func (a Attention) packKeys(pool Pool, k Heads) *packedKeys {
	nr := active.nr
	p := &packedKeys{keys: a.Keys, dim: a.Dim, nr: nr}
	p.stride = ceilDiv(a.Keys, nr) * nr * a.Dim
	p.scratch = newScratch(a.Batch * a.Heads * p.stride)
	groups := ceilDiv(a.Keys, keyBlock)
	pool.Run(a.Batch*a.Heads*groups, func(i int) {
		head, first := i/groups, i%groups*keyBlock
		src := k.at(head/a.Heads, head%a.Heads)
		for j := first; j < min(first+keyBlock, a.Keys); j += nr {
			dst := p.scratch.data[head*p.stride+j*a.Dim:][:nr*a.Dim]
			active.packColumns(dst, src[j*k.RowStride:], 1, k.RowStride, a.Dim, min(nr, a.Keys-j))
		}
	})
	return p
}

// packedKeys is Kᵀ of every head in panels of nr keys.
type packedKeys struct {
	keys, dim, stride int
	nr                int
	scratch           scratch
}

func (p *packedKeys) release() { p.scratch.release() }

// block is Kᵀ [dim, keys] of one head from key first on.
func (p *packedKeys) block(head, first, keys int) bBlock {
	return bBlock{data: p.scratch.data[head*p.stride+first*p.dim:], cols: keys, panel: p.nr * p.dim, stride: p.nr}
}

// packValues packs V of every head: rows of one head, as they lie, fall on few places of the L1 cache.
func (a Attention) packValues(pool Pool, v Heads) *packedValues {
	nr := active.nr
	p := &packedValues{keys: a.Keys, dim: a.ValueDim, nr: nr}
	p.stride = ceilDiv(a.ValueDim, nr) * nr
	p.scratch = newScratch(a.Batch * a.Heads * a.Keys * p.stride)
	groups := ceilDiv(a.Keys, keyBlock)
	pool.Run(a.Batch*a.Heads*groups, func(i int) {
		head, first := i/groups, i%groups*keyBlock
		b := p.block(head, first)
		active.packColumns(b.data, v.at(head/a.Heads, head%a.Heads)[first*v.RowStride:], v.RowStride, 1, b.panel/nr, a.ValueDim)
	})
	return p
}

// packedValues is V of every head by blocks of keyBlock keys, in panels of nr columns.
type packedValues struct {
	keys, dim, stride int
	nr                int
	scratch           scratch
}

func (p *packedValues) release() { p.scratch.release() }

// block is V [keys, dim] of one head from key first on.
func (p *packedValues) block(head, first int) bBlock {
	n := min(keyBlock, p.keys-first)
	return bBlock{data: p.scratch.data[(head*p.keys+first)*p.stride:], cols: p.dim, panel: n * p.nr, stride: p.nr}
}

// flash is the work on one block of queries of one head.
type flash struct {
	Attention
	set                               *instructionSet
	head                              int // of batch·heads
	from, rows                        int // of the queries
	width                             int // of a row of scores
	scores, sums, state               scratch
	maxima, denominators, corrections []float32
}

func newFlash(a Attention, set *instructionSet, head, from, rows int) *flash {
	width := min(keyBlock, a.Keys)
	f := &flash{Attention: a, set: set, head: head, from: from, rows: rows, width: width,
		scores: newScratch(rows * width), sums: newScratch(rows * a.ValueDim), state: newScratch(3 * rows)}
	f.maxima, f.denominators, f.corrections = f.state.data[:rows], f.state.data[rows:2*rows], f.state.data[2*rows:]
	clear(f.denominators)
	for i := range f.maxima {
		f.maxima[i] = float32(math.Inf(-1))
	}
	return f
}

func (f *flash) release() {
	f.scores.release()
	f.sums.release()
	f.state.release()
}

func (f *flash) run(q Heads, keys *packedKeys, values *packedValues) {
	batch, head := f.head/f.Heads, f.head%f.Heads
	query := f.set.inRows(q.at(batch, head)[f.from*q.RowStride:], f.rows, f.Dim, q.RowStride)
	for first := 0; first < f.lastKey(f.from+f.rows-1); first += keyBlock {
		n := min(keyBlock, f.Keys-first)
		f.set.multiply(query, keys.block(f.head, first, n), f.scores.data, f.width, f.Scale, false)
		f.addMask(f.set, f.scores.data, f.width, f.head, f.from, f.rows, first, n)
		seen, step := f.seen(f.from, first, n)
		f.set.softmaxRows(f.scores.data, f.width, f.rows, n, seen, step, f.maxima, f.denominators, f.corrections)
		if first > 0 {
			f.correct()
		}
		f.set.multiply(f.set.inRows(f.scores.data, f.rows, n, f.width), values.block(f.head, first), f.sums.data, f.ValueDim, 1, first > 0)
	}
}

// correct scales what rows have summed so far to their new maxima.
func (f *flash) correct() {
	for i, c := range f.corrections {
		if c != 1 {
			sums := f.sums.data[i*f.ValueDim:][:f.ValueDim]
			f.set.binaryScalar[Mul](sums, sums, c)
		}
	}
}

// lastKey is how many keys query i sees.
func (a *Attention) lastKey(i int) int {
	if !a.Causal {
		return a.Keys
	}
	return min(a.Keys, max(0, i+1+a.Keys-a.Queries))
}

// seen is how many keys of a block of n query i sees, and how many more the next one; what is below 0 or above n means 0 or n.
func (a *Attention) seen(i, first, n int) (seen, step int) {
	if !a.Causal {
		return n, 0
	}
	return i + 1 + a.Keys - a.Queries - first, 1
}

// addMask adds the mask to the scores, rows width apart, of some queries of a head for the keys from first on.
func (a *Attention) addMask(set *instructionSet, scores []float32, width, head, from, rows, first, n int) {
	if a.Mask.Data == nil {
		return
	}
	at := head/a.Heads*a.Mask.BatchStride + head%a.Heads*a.Mask.HeadStride + first
	for i := range rows {
		row := scores[i*width:][:n]
		set.binary[Add](row, row, a.Mask.Data[at+(from+i)*a.Mask.RowStride:][:n])
	}
}

// softmaxRowsBy is softmaxRows by functions of a row.
func softmaxRowsBy(maximum func([]float32) float32, expSub func(dst, x []float32, s float32) float32) func(scores []float32, stride, rows, cols, seen, step int, maxima, denominators, corrections []float32) {
	return func(scores []float32, stride, rows, cols, seen, step int, maxima, denominators, corrections []float32) {
		for i := range rows {
			row := scores[i*stride:][:cols]
			n := min(cols, max(0, seen+i*step))
			m := max(maxima[i], maximum(row[:n]))
			corrections[i] = 1
			if math.IsInf(float64(m), -1) {
				clear(row)
				continue
			}
			if m != maxima[i] {
				corrections[i] = float32(math.Exp(float64(maxima[i] - m)))
			}
			maxima[i] = m
			denominators[i] = denominators[i]*corrections[i] + expSub(row[:n], row[:n], m)
			clear(row[n:])
		}
	}
}

// store divides by the denominators.
func (f *flash) store(out Heads, logSumExp []float32) {
	dst := out.at(f.head/f.Heads, f.head%f.Heads)
	for i := range f.rows {
		row := dst[(f.from+i)*out.RowStride:][:f.ValueDim]
		if f.denominators[i] == 0 {
			clear(row)
		} else {
			f.set.binaryScalar[Mul](row, f.sums.data[i*f.ValueDim:][:f.ValueDim], 1/f.denominators[i])
		}
		if logSumExp != nil {
			logSumExp[f.head*f.Queries+f.from+i] = f.maxima[i] + float32(math.Log(float64(f.denominators[i])))
		}
	}
}
