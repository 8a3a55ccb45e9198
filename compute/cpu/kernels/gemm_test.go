package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// randomView is a view of random numbers with random strides, rows or columns contiguous.
func randomView(r *rand.Rand, batch, rows, cols int) View {
	v := View{Batch: batch, Rows: rows, Cols: cols}
	if r.IntN(2) == 0 {
		v.RowStride, v.ColStride = cols+r.IntN(3), 1
		v.BatchStride = rows * v.RowStride
	} else {
		v.RowStride, v.ColStride = 1, rows+r.IntN(3)
		v.BatchStride = cols * v.ColStride
	}
	if r.IntN(4) == 0 {
		v.BatchStride = 0
	}
	if r.IntN(8) == 0 { // one row or column again and again
		if v.ColStride == 1 {
			v.RowStride = 0
		} else {
			v.ColStride = 0
		}
	}
	v.Data = randomNumbers(r, max(0, (batch-1)*v.BatchStride+(rows-1)*v.RowStride+(cols-1)*v.ColStride+1))
	return v
}

func (v View) element(n, i, j int) float64 {
	return float64(v.Data[n*v.BatchStride+i*v.RowStride+j*v.ColStride])
}

// naiveGemm is alpha·A·B + beta·C in float64, contiguous.
func naiveGemm(alpha float32, a, b View, beta float32, c View) []float64 {
	var out []float64
	for n := range c.Batch {
		for i := range c.Rows {
			for j := range c.Cols {
				sum := 0.0
				for p := range a.Cols {
					sum += a.element(n, i, p) * b.element(n, p, j)
				}
				sum *= float64(alpha)
				if beta != 0 {
					sum += float64(beta) * c.element(n, i, j)
				}
				out = append(out, sum)
			}
		}
	}
	return out
}

var gemmSizes = []int{1, 2, 3, 5, 6, 7, 12, 13, 15, 16, 17, 31, 32, 33, 64, 65, 97, 100, 197, 321, 400}

func pick(r *rand.Rand, sizes []int) int { return sizes[r.IntN(len(sizes))] }

func TestGemm(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 150 {
			batch, m, k, n := 1+r.IntN(3), pick(r, gemmSizes), pick(r, gemmSizes), pick(r, gemmSizes)
			alpha, beta := []float32{1, 0.5, -2}[r.IntN(3)], []float32{0, 1, 0.25}[r.IntN(3)]
			a, b := randomView(r, batch, m, k), randomView(r, batch, k, n)
			data, check := guarded(t, batch*m*n)
			c := Matrices(data, batch, m, n)
			if beta != 0 {
				copy(data, randomNumbers(r, len(data)))
			}
			want := naiveGemm(alpha, a, b, beta, c)
			before := append([]float32(nil), data...)
			what := fmt.Sprintf("%d × %d × %d × %d, alpha %v, beta %v", batch, m, k, n, alpha, beta)
			Gemm(Serial{}, alpha, a, b, beta, c, Epilogue{})
			near(t, what, data, want, 2e-5)
			check()
			again := Matrices(before, batch, m, n)
			GemmPacked(workers(3), alpha, a, PackB(workers(3), b), beta, again, Epilogue{})
			sameBits(t, what, before, data)
		}
	})
}

func TestGemmEpilogue(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	eachSet(t, func(t *testing.T) {
		for activation := range SiluActivation + 1 {
			m, k, n := pick(r, gemmSizes), pick(r, gemmSizes), pick(r, gemmSizes)
			a, b := randomView(r, 1, m, k), randomView(r, 1, k, n)
			bias, residual := randomNumbers(r, n), Matrix(randomNumbers(r, m*n), m, n)
			data, check := guarded(t, m*n)
			Gemm(workers(2), 1, a, b, 0, Matrix(data, m, n), Epilogue{Bias: bias, Activation: activation, Residual: residual})
			check()
			x := make([]float32, m*n)
			for i, v := range naiveGemm(1, a, b, 0, Matrix(x, m, n)) {
				x[i] = float32(v) + bias[i%n]
			}
			if activation != NoActivation {
				portable.unary[activationOps[activation]](x, x)
			}
			portable.binary[Add](x, x, residual.Data)
			near(t, fmt.Sprintf("activation %d of %d × %d × %d", activation, m, k, n), data, widen(x), 2e-5)
		}
	})
}

func TestGemmOfNothing(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		c := []float32{1, 2, 3, 4, 5, 6}
		Gemm(Serial{}, 1, Matrix(nil, 2, 0), Matrix(nil, 0, 3), 0, Matrix(c, 2, 3), Epilogue{Bias: []float32{1, 2, 3}})
		near(t, "no k", c, []float64{1, 2, 3, 1, 2, 3}, 0)
		Gemm(Serial{}, 1, Matrix(nil, 0, 2), Matrix(c, 2, 3), 0, Matrix(nil, 0, 3), Epilogue{})
		Gemm(Serial{}, 1, Matrix(c, 2, 3), Matrix(nil, 3, 0), 0, Matrix(nil, 2, 0), Epilogue{})
	})
}
