package python

import (
	"slices"
	"testing"
)

// TestShuffle: CPython 3.11, random.seed(s); l = list(range(n)); random.shuffle(l).
func TestShuffle(t *testing.T) {
	for _, c := range []struct {
		seed uint64
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
		Shuffle(NewRandom(c.seed), list)
		if !slices.Equal(list, c.want) {
			t.Errorf("seed %d: %v, want %v", c.seed, list, c.want)
		}
	}
	r := NewRandom(1)
	for range 2000 { // past two refills of the state
		r.uint32()
	}
	if got := r.uint32(); got != 1767993442 {
		t.Errorf("number 2000 of seed 1: %d", got)
	}
}

// TestSample: CPython 3.11, random.seed(s); random.sample(range(n), k).
func TestSample(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		n, k int
		want []int
	}{
		{1, 10, 4, []int{2, 1, 4, 0}},
		{2, 16, 16, []int{1, 15, 14, 5, 2, 10, 4, 9, 3, 8, 0, 6, 13, 7, 11, 12}},
		{3, 200, 16, []int{60, 151, 139, 33, 94, 154, 121, 160, 148, 16, 155, 3, 120, 66, 141, 59}},
		{3, 86, 16, []int{30, 75, 69, 16, 47, 77, 60, 80, 74, 8, 1, 33, 70, 29, 24, 50}},
		{7, 1000, 5, []int{331, 970, 154, 404, 666}},
		{1, 20, 1, []int{4}},
		{5000000000, 300, 8, []int{44, 7, 245, 159, 236, 219, 293, 299}},
	} {
		list := make([]int, c.n)
		for i := range list {
			list[i] = i
		}
		if got := Sample(NewRandom(c.seed), list, c.k); !slices.Equal(got, c.want) {
			t.Errorf("seed %d, %d of %d: %v, want %v", c.seed, c.k, c.n, got, c.want)
		}
	}
}
