package readers

import (
	"slices"
	"testing"
)

// TestPythonRandom: CPython 3.11, random.seed(s); l = list(range(n)); random.shuffle(l).
func TestPythonRandom(t *testing.T) {
	for _, c := range []struct {
		seed uint32
		n    int
		want []int
	}{
		{1, 10, []int{6, 8, 9, 7, 5, 3, 0, 4, 1, 2}},
		{0, 13, []int{1, 10, 9, 5, 11, 2, 3, 7, 8, 4, 0, 12, 6}},
		{123456789, 7, []int{0, 2, 1, 6, 4, 3, 5}},
	} {
		list := make([]int, c.n)
		for i := range list {
			list[i] = i
		}
		shuffle(newPythonRandom(c.seed), list)
		if !slices.Equal(list, c.want) {
			t.Errorf("seed %d: %v, want %v", c.seed, list, c.want)
		}
	}
	r := newPythonRandom(1)
	for range 2000 { // past two refills of the state
		r.uint32()
	}
	if got := r.uint32(); got != 1767993442 {
		t.Errorf("number 2000 of seed 1: %d", got)
	}
}
