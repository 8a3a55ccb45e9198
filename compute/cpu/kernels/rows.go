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
// and adds beta [cols] (Ba, Kiros and Hinton, 2016). mean and rstd [rows] receive what LayerNormBackward needs; nil for none.
// Gamma and beta may be nil together.
func LayerNorm(dst, x, gamma, beta []float32, rows, cols int, epsilon float32, mean, rstd []float32) {
	for i := range rows {
		d, row := dst[i*cols:][:cols], x[i*cols:][:cols]
		m, r := moments(row, epsilon)
		if gamma == nil {
			active.affine(d, row, 1, -m)
			active.binaryScalar[Mul](d, d, r)
		} else {
			active.normalize(d, row, gamma[:cols], beta[:cols], m, r)
		}
		if mean != nil {
			mean[i], rstd[i] = m, r
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

// LayerNormBackward gives the gradients of LayerNorm. With x̂ = (x − mean)·rstd and g = dy·gamma, dx = rstd·(g − mean(g) −
// x̂·mean(g·x̂)) by row, dgamma = Σ dy·x̂ and dbeta = Σ dy over the rows. dgamma and dbeta may be nil, gamma too (for 1).
func LayerNormBackward(pool Pool, dx, dgamma, dbeta, dy, x, gamma, mean, rstd []float32, rows, cols int) {
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
			row := layerNormRow{xhat: normalized.data, g: g.data, dgamma: sums[:cols], dbeta: sums[cols:]}
			row.backward(dx[i*cols:][:cols], dy[i*cols:][:cols], x[i*cols:][:cols], gamma, mean[i], rstd[i])
		}
	})
	if dgamma != nil {
		addBlocks(dgamma[:cols], partial.data, blocks, 2*cols)
		addBlocks(dbeta[:cols], partial.data[cols:], blocks, 2*cols)
	}
}

// A layerNormRow is the work space of the backward pass of one row and the sums that it adds to.
type layerNormRow struct{ xhat, g, dgamma, dbeta []float32 }

func (r layerNormRow) backward(dx, dy, x, gamma []float32, mean, rstd float32) {
	n := float32(len(x))
	active.affine(r.xhat, x, rstd, -mean*rstd)
	active.mulAdd(r.dgamma, dy, r.xhat, r.dgamma)
	active.binary[Add](r.dbeta, r.dbeta, dy)
	g := dy
	if gamma != nil {
		g = r.g
		active.binary[Mul](g, dy, gamma[:len(dy)])
	}
	meanG, meanGX := active.sum(g)/n, active.dot(g, r.xhat)/n
	active.affine(dx, g, rstd, -meanG*rstd)
	active.axpy(dx, -meanGX*rstd, r.xhat)
}

// addBlocks sets dst to the sum of blocks partial sums, stride apart, in order.
func addBlocks(dst, partial []float32, blocks, stride int) {
	clear(dst)
	for b := range blocks {
		active.binary[Add](dst, dst, partial[b*stride:][:len(dst)])
	}
}
