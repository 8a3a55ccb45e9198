package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// peak measures the rate of the tile from the L1 cache in FLOP/s, on as many cores as there are workers.
func peak(pool Pool) float64 {
	const k, rounds = 256, 20000
	start := time.Now()
	pool.Run(pool.Workers(), func(int) {
		a, b, c := make([]float32, mr*k), make([]float32, k*nr), make([]float32, mr*nr)
		for range rounds {
			active.tile(mr, k, a, 1, mr, b, nr, c, nr, 1, false)
		}
	})
	return float64(2*mr*nr*k*rounds*pool.Workers()) / time.Since(start).Seconds()
}

// reportRate reports operations per second and their share of the measured peak.
func reportRate(b *testing.B, pool Pool, flop int) {
	rate := float64(flop) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(100*rate/peak(pool), "%peak")
}

func eachPool(b *testing.B, f func(b *testing.B, pool Pool)) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("%dworkers", n), func(b *testing.B) { f(b, workers(n)) })
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct{ m, k, n int }{
		{1024, 1024, 1024}, {6304, 768, 3072}, {1576, 768, 768}, {1576, 3072, 768}, {197, 768, 768}, {197, 768, 3072}, {197, 64, 197},
		{16, 768, 768}, {4, 768, 768}, {1, 768, 768}, {4096, 320, 64},
	} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.m, s.k, s.n), func(b *testing.B) {
			eachPool(b, func(b *testing.B, pool Pool) {
				r := rand.New(rand.NewPCG(1, 1))
				x, w := Matrix(randomNumbers(r, s.m*s.k), s.m, s.k), Matrix(randomNumbers(r, s.k*s.n), s.k, s.n)
				y, packed := Matrix(make([]float32, s.m*s.n), s.m, s.n), PackB(pool, w)
				for b.Loop() {
					GemmPacked(pool, 1, x, packed, 0, y, Epilogue{})
				}
				reportRate(b, pool, 2*s.m*s.k*s.n)
			})
		})
	}
}
