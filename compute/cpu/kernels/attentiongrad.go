package kernels

import "math"

// AttentionGradients are what Backward gives: the gradients with respect to Q, K and V.
type AttentionGradients struct{ Q, K, V Heads }

// Backward sets the gradients of Forward from that of its result, dOut, from Forward's operands and results (Dao et al., 2022,
// algorithm 4): scores are computed anew. Each head is one task.
func (a Attention) Backward(pool Pool, d AttentionGradients, dOut, out, q, k, v Heads, logSumExp []float32) {
	keys, values := a.packKeys(pool, k), a.packTransposedValues(pool, v)
	defer keys.release()
	defer values.release()
	pool.Run(a.Batch*a.Heads, func(head int) {
		b := newFlashBackward(a, active, head)
		defer b.release()
		b.clear(d.K, a.Keys, a.Dim)
		b.clear(d.V, a.Keys, a.ValueDim)
		for from := 0; from < a.Queries; from += queryBlock {
			b.queries(d, dOut, out, q, k, keys, values, logSumExp, from, min(queryBlock, a.Queries-from))
		}
	})
}

// packTransposedValues packs Vᵀ of every head as packKeys does Kᵀ.
func (a Attention) packTransposedValues(pool Pool, v Heads) *packedKeys {
	a.Dim = a.ValueDim
	return a.packKeys(pool, v)
}

// flashBackward is the work on one head.
type flashBackward struct {
	Attention
	set                  *instructionSet
	head                 int
	weights, grads, tail scratch   // P and dS [queryBlock, keyBlock]; a panel
	delta                []float32 // Σ dOut·out by query
}

func newFlashBackward(a Attention, set *instructionSet, head int) *flashBackward {
	return &flashBackward{Attention: a, set: set, head: head, weights: newScratch(queryBlock * keyBlock),
		grads: newScratch(queryBlock * keyBlock), tail: newScratch(keyBlock * set.nr), delta: make([]float32, queryBlock)}
}

func (b *flashBackward) release() {
	b.weights.release()
	b.grads.release()
	b.tail.release()
}

// of is the matrix of this head.
func (b *flashBackward) of(h Heads) []float32 { return h.at(b.head/b.Heads, b.head%b.Heads) }

func (b *flashBackward) clear(h Heads, rows, cols int) { clearRows(b.of(h), h.RowStride, rows, cols) }

// queries adds what the queries from on give to dK and dV and sets their dQ.
func (b *flashBackward) queries(d AttentionGradients, dOut, out, q, k Heads, keys, values *packedKeys, logSumExp []float32, from, rows int) {
	rowsOf := func(h Heads) []float32 { return b.of(h)[from*h.RowStride:] }
	for i := range rows {
		b.delta[i] = b.set.dot(rowsOf(dOut)[i*dOut.RowStride:][:b.ValueDim], rowsOf(out)[i*out.RowStride:][:b.ValueDim])
	}
	clearRows(rowsOf(d.Q), d.Q.RowStride, rows, b.Dim)
	for first := 0; first < b.lastKey(from+rows-1); first += keyBlock {
		n := min(keyBlock, b.Keys-first)
		b.scores(rowsOf(q), q.RowStride, rows, b.Dim, keys.block(b.head, first, n), b.weights.data, b.Scale)
		b.scores(rowsOf(dOut), dOut.RowStride, rows, b.ValueDim, values.block(b.head, first, n), b.grads.data, 1)
		b.addMask(b.set, b.weights.data, keyBlock, b.head, from, rows, first, n)
		seen, step := b.seen(from, first, n)
		b.set.gradientRows(b.weights.data, b.grads.data, keyBlock, rows, n, seen, step, logSumExp[b.head*b.Queries+from:], b.delta)
		b.addTransposed(b.of(d.V)[first*d.V.RowStride:], d.V.RowStride, b.weights.data, n, rows, rowsOf(dOut), dOut.RowStride, b.ValueDim, 1)
		b.addTransposed(b.of(d.K)[first*d.K.RowStride:], d.K.RowStride, b.grads.data, n, rows, rowsOf(q), q.RowStride, b.Dim, b.Scale)
		ds := b.set.inRows(b.grads.data, rows, n, keyBlock)
		kRows := b.set.inPlace(b.of(k)[first*k.RowStride:], k.RowStride, n, b.Dim, b.tail.data)
		b.set.multiply(ds, kRows, rowsOf(d.Q), d.Q.RowStride, b.Scale, true)
	}
}

// scores sets dst [rows, keyBlock] to alpha times rows of a matrix times a packed transposed block.
func (b *flashBackward) scores(x []float32, stride, rows, dim int, packed bBlock, dst []float32, alpha float32) {
	a := b.set.inRows(x, rows, dim, stride)
	b.set.multiply(a, packed, dst, keyBlock, alpha, false)
}

// gradientRowsBy is gradientRows by functions of a row.
func gradientRowsBy(expSub func(dst, x []float32, s float32) float32, affine func(dst, x []float32, scale, shift float32),
	mul func(dst, x, y []float32)) func(scores, grads []float32, stride, rows, cols, seen, step int, logSumExp, delta []float32) {
	return func(scores, grads []float32, stride, rows, cols, seen, step int, logSumExp, delta []float32) {
		for i := range rows {
			p, ds := scores[i*stride:][:cols], grads[i*stride:][:cols]
			n := min(cols, max(0, seen+i*step))
			if math.IsInf(float64(logSumExp[i]), -1) {
				n = 0
			}
			expSub(p[:n], p[:n], logSumExp[i])
			affine(ds[:n], ds[:n], 1, -delta[i])
			mul(ds[:n], ds[:n], p[:n])
			clear(p[n:])
			clear(ds[n:])
		}
	}
}

// addTransposed adds alpha·sᵀ·x to dst [n, cols], where s is [rows, n], its rows keyBlock apart, and x [rows, cols].
func (b *flashBackward) addTransposed(dst []float32, ldc int, s []float32, n, rows int, x []float32, stride, cols int, alpha float32) {
	a := b.set.inColumns(s, n, rows, keyBlock)
	b.set.multiply(a, b.set.inPlace(x, stride, rows, cols, b.tail.data), dst, ldc, alpha, true)
}
