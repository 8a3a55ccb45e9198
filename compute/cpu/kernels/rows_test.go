package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var rowSizes = [][2]int{{1, 1}, {1, 7}, {3, 8}, {5, 9}, {2, 64}, {70, 33}, {130, 77}, {200, 16}, {9, 768}, {600, 3}}

func TestSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	eachSet(t, func(t *testing.T) {
		for _, s := range rowSizes {
			rows, cols := s[0], s[1]
			x := randomNumbers(r, rows*cols)
			for i := range x {
				x[i] *= 20
			}
			x[0] = float32(math.Inf(-1))
			if cols == 1 {
				x[0] = 3
			}
			want, wantLog := make([]float64, len(x)), make([]float64, len(x))
			for i := range rows {
				logSum := naiveLogSumExp(x[i*cols:][:cols])
				for j := range cols {
					wantLog[i*cols+j] = float64(x[i*cols+j]) - logSum
					want[i*cols+j] = math.Exp(wantLog[i*cols+j])
				}
			}
			y, check := guarded(t, len(x))
			Softmax(y, x, rows, cols)
			near(t, fmt.Sprint("softmax ", s), y, want, 2e-6)
			LogSoftmax(y, x, rows, cols)
			near(t, fmt.Sprint("log softmax ", s), y, wantLog, 2e-6)
			check()
		}
	})
}

func naiveLogSumExp(x []float32) float64 {
	largest := math.Inf(-1)
	for _, v := range x {
		largest = max(largest, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - largest)
	}
	return largest + math.Log(sum)
}

func TestSoftmaxBackward(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	eachSet(t, func(t *testing.T) {
		for _, s := range rowSizes {
			rows, cols := s[0], s[1]
			x, dy, y := randomNumbers(r, rows*cols), randomNumbers(r, rows*cols), make([]float32, rows*cols)
			Softmax(y, x, rows, cols)
			want := make([]float64, len(x))
			for i := range rows {
				inner := 0.0
				for j := i * cols; j < (i+1)*cols; j++ {
					inner += float64(y[j]) * float64(dy[j])
				}
				for j := i * cols; j < (i+1)*cols; j++ {
					want[j] = float64(y[j]) * (float64(dy[j]) - inner)
				}
			}
			dx, check := guarded(t, len(x))
			SoftmaxBackward(dx, dy, y, rows, cols)
			check()
			near(t, fmt.Sprint(s), dx, want, 2e-6)
		}
	})
}

// naiveLayerNorm is LayerNorm and its gradients in float64.
func naiveLayerNorm(x, gamma, beta, dy []float32, rows, cols int, epsilon float64) (y, dx, dgamma, dbeta []float64) {
	y, dx = make([]float64, len(x)), make([]float64, len(x))
	dgamma, dbeta = make([]float64, cols), make([]float64, cols)
	n := float64(cols)
	for i := range rows {
		row := widen(x[i*cols:][:cols])
		mean, variance := 0.0, 0.0
		for _, v := range row {
			mean += v / n
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / n
		}
		rstd := 1 / math.Sqrt(variance+epsilon)
		meanG, meanGX := 0.0, 0.0
		for j, v := range row {
			xhat, d := (v-mean)*rstd, float64(dy[i*cols+j])
			y[i*cols+j] = xhat*float64(gamma[j]) + float64(beta[j])
			dgamma[j] += d * xhat
			dbeta[j] += d
			meanG += d * float64(gamma[j]) / n
			meanGX += d * float64(gamma[j]) * xhat / n
		}
		for j, v := range row {
			dx[i*cols+j] = rstd * (float64(dy[i*cols+j])*float64(gamma[j]) - meanG - (v-mean)*rstd*meanGX)
		}
	}
	return y, dx, dgamma, dbeta
}

func TestLayerNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	const epsilon = 1e-5
	eachSet(t, func(t *testing.T) {
		for _, s := range rowSizes {
			rows, cols := s[0], s[1]
			x, dy, gamma, beta := randomNumbers(r, rows*cols), randomNumbers(r, rows*cols), randomNumbers(r, cols), randomNumbers(r, cols)
			for i := range x {
				x[i] += float32(i % cols)
			}
			if cols == 1 {
				dy = make([]float32, len(x)) // of a variance of 0 the gradient is all cancellation
			}
			wantY, wantDX, wantDGamma, wantDBeta := naiveLayerNorm(x, gamma, beta, dy, rows, cols, epsilon)
			y, check := guarded(t, len(x))
			LayerNorm(y, x, gamma, beta, rows, cols, epsilon)
			check()
			near(t, fmt.Sprint("forward ", s), y, wantY, 3e-6)
			for _, pool := range []Pool{Serial{}, workers(3)} {
				dx, dgamma, dbeta := slices.Clone(dy), make([]float32, cols), make([]float32, cols)
				LayerNormGradient{DY: dx, X: x, Gamma: gamma, Epsilon: epsilon, DX: dx, DGamma: dgamma, DBeta: dbeta}.Compute(pool, rows, cols)
				near(t, fmt.Sprint("dx ", s), dx, wantDX, 1e-5)
				near(t, fmt.Sprint("dgamma ", s), dgamma, wantDGamma, 1e-5)
				near(t, fmt.Sprint("dbeta ", s), dbeta, wantDBeta, 1e-5)
			}
		}
	})
}

func TestLayerNormWithoutGamma(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	rows, cols := 5, 37
	x, dy, ones, zeros := randomNumbers(r, rows*cols), randomNumbers(r, rows*cols), make([]float32, cols), make([]float32, cols)
	for i := range ones {
		ones[i] = 1
	}
	wantY, wantDX, _, _ := naiveLayerNorm(x, ones, zeros, dy, rows, cols, 1e-6)
	for i := range wantDX {
		wantDX[i] += float64(x[i]) // the residual's
	}
	eachSet(t, func(t *testing.T) {
		y, dx := make([]float32, len(x)), make([]float32, len(x))
		LayerNorm(y, x, nil, nil, rows, cols, 1e-6)
		near(t, "forward", y, wantY, 3e-6)
		LayerNormGradient{DY: dy, X: x, Residual: x, Epsilon: 1e-6, DX: dx}.Compute(Serial{}, rows, cols)
		near(t, "dx", dx, wantDX, 1e-5)
	})
}

func TestGroupNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	eachSet(t, func(t *testing.T) {
		for _, n := range []GroupNorm{
			{Batch: 1, Pixels: 1, Channels: 8, Groups: 2}, {Batch: 2, Pixels: 300, Channels: 12, Groups: 3},
			{Batch: 3, Pixels: 64, Channels: 40, Groups: 8}, {Batch: 1, Pixels: 257, Channels: 32, Groups: 32}, {Batch: 2, Pixels: 45, Channels: 2048, Groups: 16},
		} {
			n.Gamma, n.Beta, n.Epsilon, n.Activation = randomNumbers(r, n.Channels), randomNumbers(r, n.Channels), 1e-5, SiluActivation
			x := randomNumbers(r, n.Batch*n.Pixels*n.Channels)
			for i := range x {
				x[i] += 5
			}
			y, check := guarded(t, len(x))
			mean, rstd := make([]float32, n.Batch*n.Groups), make([]float32, n.Batch*n.Groups)
			n.Forward(Serial{}, y, x, mean, rstd)
			check()
			near(t, fmt.Sprint(n.Batch, n.Pixels, n.Channels, n.Groups), y, naiveGroupNorm(n, x), 5e-6)
			other := make([]float32, len(x))
			n.Forward(workers(3), other, x, nil, nil)
			sameBits(t, "group norm", other, y)
		}
	})
}

func naiveGroupNorm(n GroupNorm, x []float32) []float64 {
	out, size := make([]float64, len(x)), n.Channels/n.Groups
	for b := range n.Batch {
		for c := range n.Channels {
			mean, square, count := 0.0, 0.0, float64(size*n.Pixels)
			each := func(f func(v float64)) {
				for p := range n.Pixels {
					for i := range size {
						f(float64(x[(b*n.Pixels+p)*n.Channels+c/size*size+i]))
					}
				}
			}
			each(func(v float64) { mean += v / count })
			each(func(v float64) { square += (v - mean) * (v - mean) / count })
			for p := range n.Pixels {
				i := (b*n.Pixels+p)*n.Channels + c
				v := (float64(x[i])-mean)/math.Sqrt(square+float64(n.Epsilon))*float64(n.Gamma[c]) + float64(n.Beta[c])
				out[i] = v / (1 + math.Exp(-v))
			}
		}
	}
	return out
}

func TestReductions(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	eachSet(t, func(t *testing.T) {
		for _, s := range append(rowSizes, [2]int{1000, 37}) {
			rows, cols := s[0], s[1]
			x := randomNumbers(r, rows*cols)
			for _, pool := range []Pool{Serial{}, workers(3)} {
				for name, f := range map[string]struct {
					columns, rows func(dst []float32)
					start         float64
					fold          func(a, v float64) float64
				}{
					"sum": {func(d []float32) { SumColumns(pool, d, x, rows, cols) }, func(d []float32) { SumRows(d, x, rows, cols) }, 0,
						func(a, v float64) float64 { return a + v }},
					"max": {func(d []float32) { MaxColumns(pool, d, x, rows, cols) }, func(d []float32) { MaxRows(d, x, rows, cols) }, math.Inf(-1), math.Max},
					"min": {func(d []float32) { MinColumns(pool, d, x, rows, cols) }, func(d []float32) { MinRows(d, x, rows, cols) }, math.Inf(1), math.Min},
				} {
					byColumn, byRow := foldBoth(x, rows, cols, f.start, f.fold)
					dst, check := guarded(t, cols)
					f.columns(dst)
					check()
					near(t, fmt.Sprint(name, " of columns ", s), dst, byColumn, 2e-6)
					dst, check = guarded(t, rows)
					f.rows(dst)
					check()
					near(t, fmt.Sprint(name, " of rows ", s), dst, byRow, 2e-6)
				}
			}
			_, squares := foldBoth(x, rows, cols, 0, func(a, v float64) float64 { return a + v*v })
			_, means := foldBoth(x, rows, cols, 0, func(a, v float64) float64 { return a + v/float64(cols) })
			dst := make([]float32, rows)
			SumSquaresRows(dst, x, rows, cols)
			near(t, "squares of rows", dst, squares, 2e-6)
			MeanRows(dst, x, rows, cols)
			near(t, "means of rows", dst, means, 2e-6)
		}
	})
}

// foldBoth folds the columns and the rows of x in float64.
func foldBoth(x []float32, rows, cols int, start float64, f func(a, v float64) float64) (byColumn, byRow []float64) {
	byColumn, byRow = make([]float64, cols), make([]float64, rows)
	for j := range byColumn {
		byColumn[j] = start
	}
	for i := range rows {
		byRow[i] = start
		for j := range cols {
			v := float64(x[i*cols+j])
			byRow[i], byColumn[j] = f(byRow[i], v), f(byColumn[j], v)
		}
	}
	return byColumn, byRow
}

func TestPermute(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	eachSet(t, func(t *testing.T) {
		for range 300 {
			dims := make([]int, 1+r.IntN(5))
			n := 1
			for i := range dims {
				dims[i] = pick(r, []int{1, 2, 3, 5, 8, 9, 16, 17})
				n *= dims[i]
			}
			perm := r.Perm(len(dims))
			x := randomNumbers(r, n)
			dst, check := guarded(t, n)
			Permute(workers(2), dst, x, dims, perm)
			check()
			sameBits(t, fmt.Sprint(dims, perm), dst, naivePermute(x, dims, perm))
		}
		for _, s := range [][2]int{{1, 1}, {100, 200}, {8, 64}, {65, 129}, {7, 300}} {
			x := randomNumbers(r, s[0]*s[1])
			dst, check := guarded(t, len(x))
			Transpose(workers(2), dst, x, s[0], s[1])
			check()
			sameBits(t, fmt.Sprint(s), dst, naivePermute(x, s[:], []int{1, 0}))
		}
	})
}

func naivePermute(x []float32, dims, perm []int) []float32 {
	out := make([]float32, len(x))
	for i := range out {
		rest, index := i, make([]int, len(dims))
		for axis := len(perm) - 1; axis >= 0; axis-- {
			index[perm[axis]] = rest % dims[perm[axis]]
			rest /= dims[perm[axis]]
		}
		at := 0
		for axis, size := range dims {
			at = at*size + index[axis]
		}
		out[i] = x[at]
	}
	return out
}

// TestAdamW compares a few steps with the formulas of torch.optim.AdamW in float64.
func TestAdamW(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	eachSet(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 8, 100, 133} {
			param, checkParam := guarded(t, n)
			copy(param, randomNumbers(r, n))
			m, v := make([]float32, n), make([]float32, n)
			p64, m64, v64 := widen(param), make([]float64, n), make([]float64, n)
			for step := 1; step <= 5; step++ {
				grad := randomNumbers(r, n)
				const rate, beta1, beta2, decay, scale = 0.01, 0.9, 0.999, 0.1, 0.5
				bias1, bias2 := 1-math.Pow(beta1, float64(step)), 1-math.Pow(beta2, float64(step))
				AdamW{
					Decay: 1 - rate*decay, Beta1: beta1, Keep1: 1 - beta1, Beta2: beta2, Keep2: 1 - beta2,
					StepSize: float32(rate / bias1), RootBias2: float32(1 / math.Sqrt(bias2)), Epsilon: 1e-8, GradientScale: scale,
				}.Update(param, grad, m, v)
				for i := range p64 {
					g := float64(grad[i]) * scale
					m64[i] = beta1*m64[i] + (1-beta1)*g
					v64[i] = beta2*v64[i] + (1-beta2)*g*g
					p64[i] -= rate * decay * p64[i]
					p64[i] -= rate * (m64[i] / bias1) / (math.Sqrt(v64[i]/bias2) + 1e-8)
				}
			}
			checkParam()
			near(t, "parameters", param, p64, 1e-6)
			near(t, "first moments", m, m64, 1e-6)
			near(t, "second moments", v, v64, 1e-6)
		}
	})
}
