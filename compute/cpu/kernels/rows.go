package kernels

import "math"

// Softmax sets every row of dst [rows, cols] to the softmax of that row of x. A row of −Inf alone gives NaN, as torch does.
func Softmax(dst, x []float32, rows, cols int) {
	for i := range rows {
		d, row := dst[i*cols:][:cols], x[i*cols:][:cols]
		sum := active.expSub(d, row, active.maximum(row))
		active.binaryScalar[Mul](d, d, 1/sum)
	}
}

// SoftmaxBackward sets dx, which may be dy, to the gradient with respect to the argument of a softmax that gave y: y·(dy − Σ y·dy) by row.
func SoftmaxBackward(dx, dy, y []float32, rows, cols int) {
	for i := range rows {
		d, g, p := dx[i*cols:][:cols], dy[i*cols:][:cols], y[i*cols:][:cols]
		inner := active.dot(p, g)
		active.affine(d, g, 1, -inner)
		active.binary[Mul](d, d, p)
	}
}

// LogSoftmax sets every row of dst [rows, cols] to x − log Σ exp(x) of that row of x.
func LogSoftmax(dst, x []float32, rows, cols int) {
	for i := range rows {
		d, row := dst[i*cols:][:cols], x[i*cols:][:cols]
		m := active.maximum(row)
		active.affine(d, row, 1, -m)
		s := newScratch(cols)
		sum := active.expSub(s.data, d, 0)
		s.release()
		active.affine(d, d, 1, -float32(math.Log(float64(sum))))
	}
}

// LayerNorm normalises every row of x [rows, cols] to mean 0 and variance 1 (biased, plus epsilon), then multiplies by gamma
// and adds beta [cols] (Ba, Kiros and Hinton, 2016). Gamma and beta may be nil together.
func LayerNorm(dst, x, gamma, beta []float32, rows, cols int, epsilon float32) {
	for i := range rows {
		d, row := dst[i*cols:][:cols], x[i*cols:][:cols]
		m, r := moments(row, epsilon)
		if gamma == nil {
			active.affine(d, row, 1, -m)
			active.binaryScalar[Mul](d, d, r)
		} else {
			active.normalize(d, row, gamma[:cols], beta[:cols], m, r)
		}
	}
}

// moments are the mean of x and 1/√(variance + epsilon), the variance taken around the mean in a second pass.
func moments(x []float32, epsilon float32) (mean, rstd float32) {
	n := float32(len(x))
	mean = active.sum(x) / n
	variance := active.sumSquares(x, mean) / n
	return mean, float32(1 / math.Sqrt(float64(variance)+float64(epsilon)))
}

// layerNormBlock is how many rows add to one partial sum of the gradients of gamma and beta.
const layerNormBlock = 64

// A LayerNormGradient is what the gradients of LayerNorm are computed from and where they go. DX may be DY or X.
type LayerNormGradient struct {
	DY, X    []float32 // [rows, cols]
	Gamma    []float32 // [cols], nil for 1
	Residual []float32 // [rows, cols], added to DX; nil for 0
	Epsilon  float32

	DX            []float32 // [rows, cols]
	DGamma, DBeta []float32 // [cols], nil where they are not wanted
}

// Compute gives the gradients. With x̂ = (x − mean)·rstd and g = dy·gamma, dx = rstd·(g − mean(g) − x̂·mean(g·x̂)) by row,
// dgamma = Σ dy·x̂ and dbeta = Σ dy over the rows.
func (l LayerNormGradient) Compute(pool Pool, rows, cols int) {
	blocks := ceilDiv(rows, layerNormBlock)
	partial := newScratch(2 * blocks * cols)
	defer partial.release()
	clear(partial.data)
	runBlocks(pool, rows, layerNormBlock, func(from, to int) {
		normalized, g := newScratch(cols), newScratch(cols)
		defer normalized.release()
		defer g.release()
		sums := partial.data[2*(from/layerNormBlock)*cols:][:2*cols]
		for i := from; i < to; i++ {
			l.row(i, cols, normalized.data, g.data, sums[:cols], sums[cols:])
		}
	})
	if l.DGamma != nil {
		addBlocks(l.DGamma[:cols], partial.data, blocks, 2*cols)
	}
	if l.DBeta != nil {
		addBlocks(l.DBeta[:cols], partial.data[cols:], blocks, 2*cols)
	}
}

// row computes row i of dx, and adds to dgamma and dbeta. xhat and scaled are work space.
func (l LayerNormGradient) row(i, cols int, xhat, scaled, dgamma, dbeta []float32) {
	n := float32(cols)
	dx, dy, x := l.DX[i*cols:][:cols], l.DY[i*cols:][:cols], l.X[i*cols:][:cols]
	mean, rstd := moments(x, l.Epsilon)
	active.affine(xhat, x, rstd, -mean*rstd)
	if l.DGamma != nil {
		active.mulAdd(dgamma, dy, xhat, dgamma)
	}
	if l.DBeta != nil {
		active.binary[Add](dbeta, dbeta, dy)
	}
	g := dy
	if l.Gamma != nil {
		g = scaled
		active.binary[Mul](g, dy, l.Gamma[:cols])
	}
	meanG, meanGX := active.sum(g)/n, active.dot(g, xhat)/n
	active.affine(dx, g, rstd, -meanG*rstd)
	active.axpy(dx, -meanGX*rstd, xhat)
	if l.Residual != nil {
		active.binary[Add](dx, dx, l.Residual[i*cols:][:cols])
	}
}

// addBlocks sets dst to the sum of blocks partial sums, stride apart, in order.
func addBlocks(dst, partial []float32, blocks, stride int) {
	clear(dst)
	for b := range blocks {
		active.binary[Add](dst, dst, partial[b*stride:][:len(dst)])
	}
}
