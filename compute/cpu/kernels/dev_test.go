package kernels

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func cpuTime() float64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return float64(ts.Nano()) / 1e9
}

func best(f func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
	b := 1e9
	t0 := time.Now()
	for n := 0; n < 5 || time.Since(t0) < 300*time.Millisecond; n++ {
		c := cpuTime()
		f()
		b = min(b, cpuTime()-c)
	}
	return b
}

func pk() float64 {
	const k, rounds = 256, 200
	a, b, c := make([]float32, mr*k), make([]float32, k*nr), make([]float32, mr*nr)
	s := best(func() {
		for range rounds {
			active.tile(mr, k, a, 1, mr, b, nr, c, nr, 1, false)
		}
	})
	return 2 * mr * nr * k * rounds / s
}

func TestDevGemm(t *testing.T) {
	if os.Getenv("DEV") == "" {
		t.Skip()
	}
	for _, s := range []struct{ m, k, n int }{
		{1024, 1024, 1024}, {1576, 768, 768}, {1576, 3072, 768}, {1576, 768, 3072}, {197, 768, 768}, {197, 768, 3072}, {197, 64, 197},
		{16, 768, 768}, {4, 768, 768}, {1, 768, 768}, {4096, 320, 64}, {512, 512, 512}, {4096, 320, 320},
	} {
		r := rand.New(rand.NewPCG(1, 1))
		x, w := Matrix(randomNumbers(r, s.m*s.k), s.m, s.k), Matrix(randomNumbers(r, s.k*s.n), s.k, s.n)
		y, packed := Matrix(make([]float32, s.m*s.n), s.m, s.n), PackB(Serial{}, w)
		tm := best(func() { GemmPacked(Serial{}, 1, x, packed, 0, y, Epilogue{}) })
		tu := best(func() { Gemm(Serial{}, 1, x, w, 0, y, Epilogue{}) })
		wt := Matrix(w.Data, s.n, s.k).T()
		tt := best(func() { Gemm(Serial{}, 1, x, wt, 0, y, Epilogue{}) })
		xt := Matrix(x.Data, s.k, s.m).T()
		ta := best(func() { GemmPacked(Serial{}, 1, xt, packed, 0, y, Epilogue{}) })
		p, f := pk(), 2*float64(s.m*s.k*s.n)
		fmt.Printf("%5dx%5dx%5d  peak %5.1f  packed %5.1f %3.0f%%  gemm %3.0f%%  B^T %3.0f%%  A^T packed %3.0f%%\n", s.m, s.k, s.n, p/1e9, f/tm/1e9, 100*f/tm/p, 100*f/tu/p, 100*f/tt/p, 100*f/ta/p)
	}
}
