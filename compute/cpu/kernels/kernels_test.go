package kernels

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// eachSet runs f with every instruction set of this processor in use, portable first.
func eachSet(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := active
	defer func() { active = before }()
	for _, set := range available() {
		active = set
		t.Run(set.name, f)
	}
}

// workers is a Pool of goroutines.
type workers int

func (w workers) Workers() int { return int(w) }

func (w workers) Run(n int, f func(i int)) {
	tasks := make(chan int)
	var group sync.WaitGroup
	for range w {
		group.Go(func() {
			for i := range tasks {
				f(i)
			}
		})
	}
	for i := range n {
		tasks <- i
	}
	close(tasks)
	group.Wait()
}

// guard is what lies around the memory that a guarded slice may write.
const guard = 12345.5

// guarded is n numbers of NaN between guards, and the check that the guards are intact.
func guarded(t *testing.T, n int) (x []float32, check func()) {
	t.Helper()
	const margin = 40
	all := make([]float32, n+2*margin)
	for i := range all {
		all[i] = guard
	}
	x = all[margin : margin+n : margin+n]
	for i := range x {
		x[i] = float32(math.NaN())
	}
	return x, func() {
		t.Helper()
		for i, v := range all {
			if (i < margin || i >= margin+n) && v != guard {
				t.Fatalf("wrote outside the result, at %d of %d", i-margin, n)
			}
		}
	}
}

func randomNumbers(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// near compares got with want: the difference is at most tolerance times the largest number of want, or of 1.
func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	largest := 1.0
	for _, w := range want {
		if !math.IsInf(w, 0) {
			largest = max(largest, math.Abs(w))
		}
	}
	for i, w := range want {
		g := float64(got[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= tolerance*largest) {
			t.Fatalf("%s: element %d of %d is %v, want %v", what, i, len(want), g, w)
		}
	}
}

func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, with another number of workers %v", what, i, got[i], want[i])
		}
	}
}

func TestChoose(t *testing.T) {
	other := &instructionSet{name: "other"}
	sets := []*instructionSet{portable, other}
	for name, want := range map[string]*instructionSet{"": other, "other": other, "portable": portable, "unknown": other} {
		if got := choose(name, sets); got != want {
			t.Errorf("choose(%q) is %s, want %s", name, got.name, want.name)
		}
	}
}
