package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// peak measures the rate of the register tile on operands in the L1 cache, in FLOP/s on all workers of the pool: the fastest
// of some short runs.
func peak(pool Pool) float64 {
	const k, rounds, runs = 256, 200, 50
	shortest := time.Duration(1 << 62)
	for range runs {
		start := time.Now()
		pool.Run(pool.Workers(), func(int) {
			mr, nr := active.mr, active.nr
			a, b, c := make([]float32, mr*k), make([]float32, k*nr), make([]float32, mr*nr)
			for range rounds {
				active.tile(mr, nr, k, a, 1, mr, b, nr, c, nr, 1, false, &b[0])
			}
		})
		shortest = min(shortest, time.Since(start))
	}
	return float64(2*active.mr*active.nr*k*rounds*pool.Workers()) / shortest.Seconds()
}

// fastest runs f as often as the benchmark asks and gives the shortest time: on a machine with other work on it, that is
// what the code takes. The clock is the wall's: a virtual machine's count of a core's time is wrong over so short a while.
func fastest(b *testing.B, f func()) time.Duration {
	shortest := time.Duration(1 << 62)
	for b.Loop() {
		start := time.Now()
		f()
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}

// reportRate reports the rate of the fastest run of f, which takes flop operations, and its share of the peak measured
// before and after.
func reportRate(b *testing.B, pool Pool, flop int, f func()) {
	before := peak(pool)
	rate := float64(flop) / fastest(b, f).Seconds()
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(100*rate/max(before, peak(pool)), "%peak")
}

// reportBandwidth reports how much memory the fastest run of f moves, bytes of it, and its share of what copying moves.
func reportBandwidth(b *testing.B, bytes int, f func()) {
	before := copyRate()
	rate := float64(bytes) / fastest(b, f).Seconds()
	b.ReportMetric(rate/1e9, "GB/s")
	b.ReportMetric(100*rate/max(before, copyRate()), "%copy")
}

// copyRate measures the bandwidth of copying 64 MiB on one core in bytes/s, read and written.
func copyRate() float64 {
	x, y := benchRandom(16<<20), make([]float32, 16<<20)
	shortest := time.Duration(1 << 62)
	for range 10 {
		start := time.Now()
		copy(y, x)
		shortest = min(shortest, time.Since(start))
	}
	return float64(8*len(x)) / shortest.Seconds()
}

func eachPool(b *testing.B, f func(b *testing.B, pool Pool)) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("%dworkers", n), func(b *testing.B) { f(b, workers(n)) })
	}
}

func benchRandom(n int) []float32 { return randomNumbers(rand.New(rand.NewPCG(1, 1)), n) }

func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct{ m, k, n int }{
		{1024, 1024, 1024}, {6304, 768, 3072}, {1576, 768, 768}, {1576, 3072, 768}, {197, 768, 768}, {197, 768, 3072}, {197, 64, 197},
		{16, 768, 768}, {4, 768, 768}, {1, 768, 768}, {4096, 320, 64},
	} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.m, s.k, s.n), func(b *testing.B) {
			eachPool(b, func(b *testing.B, pool Pool) {
				x, w := Matrix(benchRandom(s.m*s.k), s.m, s.k), Matrix(benchRandom(s.k*s.n), s.k, s.n)
				y, packed := Matrix(make([]float32, s.m*s.n), s.m, s.n), PackB(pool, w)
				reportRate(b, pool, 2*s.m*s.k*s.n, func() { GemmPacked(pool, 1, x, packed, 0, y, Epilogue{}) })
			})
		})
	}
}

// square is a convolution of a square image with a square kernel that keeps its size at stride 1.
func square(size, in, out, kernel, stride int) Conv {
	pad := [2]int{kernel / 2, kernel / 2}
	return Conv{Batch: 1, Height: size, Width: size, Channels: in, KernelHeight: kernel, KernelWidth: kernel, OutChannels: out, Groups: 1,
		Stride: [2]int{stride, stride}, Dilation: [2]int{1, 1}, InputDilation: [2]int{1, 1}, Padding: [2][2]int{pad, pad}}
}

func BenchmarkConv(b *testing.B) {
	for _, c := range []Conv{
		square(64, 320, 320, 3, 1), square(32, 640, 640, 3, 1), square(16, 1280, 1280, 3, 1), square(8, 1280, 1280, 3, 1), square(64, 320, 320, 3, 2),
		square(64, 320, 320, 1, 1), square(64, 4, 320, 3, 1), square(64, 320, 4, 3, 1), square(128, 256, 256, 3, 1), square(128, 128, 3, 3, 1),
	} {
		x, w, y := benchRandom(c.Height*c.Width*c.Channels), benchRandom(c.taps()*c.Channels*c.OutChannels), make([]float32, c.pixels()*c.OutChannels)
		dx, dw := make([]float32, len(x)), make([]float32, len(w))
		flop := 2 * c.pixels() * c.taps() * c.Channels * c.OutChannels
		b.Run(fmt.Sprintf("%dx%dx%dto%dby%dstride%d", c.Height, c.Width, c.Channels, c.OutChannels, c.KernelHeight, c.Stride[0]), func(b *testing.B) {
			eachPool(b, func(b *testing.B, pool Pool) {
				packed, turned := c.PackWeights(pool, w), c.PackWeightsTurned(pool, w)
				b.Run("forward", func(b *testing.B) {
					reportRate(b, pool, flop, func() { c.Forward(pool, y, x, packed, Epilogue{}) })
				})
				b.Run("input", func(b *testing.B) { reportRate(b, pool, flop, func() { c.InputGradient(pool, dx, y, turned) }) })
				b.Run("weights", func(b *testing.B) { reportRate(b, pool, flop, func() { c.WeightGradient(pool, dw, y, x) }) })
			})
		})
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, a := range []Attention{
		{Heads: 5, Queries: 4096, Keys: 4096, Dim: 64}, {Heads: 10, Queries: 1024, Keys: 1024, Dim: 64}, {Heads: 5, Queries: 4096, Keys: 77, Dim: 64},
		{Heads: 12, Queries: 197, Keys: 197, Dim: 64}, {Heads: 8, Queries: 77, Keys: 77, Dim: 64, Causal: true},
	} {
		a.Batch, a.ValueDim, a.Scale = 1, a.Dim, 0.125
		heads := func(n int) Heads {
			return Heads{Data: benchRandom(a.Heads * n * a.Dim), RowStride: a.Heads * a.Dim, HeadStride: a.Dim}
		}
		q, k, v, out, logSumExp := heads(a.Queries), heads(a.Keys), heads(a.Keys), heads(a.Queries), make([]float32, a.Heads*a.Queries)
		d := AttentionGradients{Q: heads(a.Queries), K: heads(a.Keys), V: heads(a.Keys)}
		flop := 4 * a.Heads * a.Queries * a.Keys * a.Dim
		b.Run(fmt.Sprintf("%dheads%dx%dx%d", a.Heads, a.Queries, a.Keys, a.Dim), func(b *testing.B) {
			eachPool(b, func(b *testing.B, pool Pool) {
				b.Run("forward", func(b *testing.B) {
					reportRate(b, pool, flop, func() { a.Forward(pool, out, q, k, v, logSumExp) })
				})
				b.Run("backward", func(b *testing.B) {
					reportRate(b, pool, flop/2*5, func() { a.Backward(pool, d, out, out, q, k, v, logSumExp) })
				})
			})
		})
	}
}

func BenchmarkBandwidth(b *testing.B) {
	const rows, cols = 8192, 768
	x, y, z := benchRandom(rows*cols), benchRandom(rows*cols), make([]float32, rows*cols)
	gamma, beta := benchRandom(cols), benchRandom(cols)
	norm := GroupNorm{Batch: 1, Pixels: rows, Channels: cols, Groups: 32, Gamma: gamma, Beta: beta, Epsilon: 1e-5, Activation: SiluActivation}
	gradient := LayerNormGradient{DY: y, X: x, Gamma: gamma, Epsilon: 1e-5, DX: z, DGamma: make([]float32, cols), DBeta: make([]float32, cols)}
	image := 4 * rows * cols // bytes
	for _, f := range []struct {
		name  string
		bytes int
		run   func()
	}{
		{"add", 3 * image, func() { Binary(Add, z, x, y) }},
		{"exp", 2 * image, func() { Unary(Exp, z, x) }},
		{"gelu", 2 * image, func() { Unary(Gelu, z, x) }},
		{"silu", 2 * image, func() { Unary(Silu, z, x) }},
		{"softmax", 2 * image, func() { Softmax(z, x, rows, cols) }},
		{"layernorm", 2 * image, func() { LayerNorm(z, x, gamma, beta, rows, cols, 1e-5) }},
		{"layernormbackward", 3 * image, func() { gradient.Compute(Serial{}, rows, cols) }},
		{"groupnormsilu", 2 * image, func() { norm.Forward(Serial{}, z, x, nil, nil) }},
		{"sumcolumns", image, func() { SumColumns(Serial{}, z, x, rows, cols) }},
		{"transpose", 2 * image, func() { Transpose(Serial{}, z, x, rows, cols) }},
		{"adamw", 7 * image / 4, func() {
			n := rows * cols / 4
			AdamW{Decay: 1, Beta1: 0.9, Keep1: 0.1, Beta2: 0.999, Keep2: 0.001, StepSize: 1e-3, RootBias2: 1, Epsilon: 1e-8, GradientScale: 1}.Update(x[:n], y[:n], z[:n], z[2*n:])
		}},
	} {
		b.Run(f.name, func(b *testing.B) { reportBandwidth(b, f.bytes, f.run) })
	}
}

// BenchmarkPeak is the rate of the register tile alone, which shares of the peak are of.
func BenchmarkPeak(b *testing.B) {
	eachPool(b, func(b *testing.B, pool Pool) {
		rate := 0.0
		for b.Loop() {
			rate = max(rate, peak(pool))
		}
		b.ReportMetric(rate/1e9, "GFLOP/s")
	})
}
