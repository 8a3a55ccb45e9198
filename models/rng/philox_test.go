package rng

import (
	"math"
	"slices"
	"testing"
)

func closeTo(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if math.Abs(float64(got[i]-w)) > 1e-6*max(1, math.Abs(float64(w))) {
			t.Errorf("%s, value %d: got %v, want %v", what, i, got[i], w)
		}
	}
}

// The first vector is that of rng_philox.py's documentation; the second was read of torch on a GPU (shared/design/reference-facts.md).
func TestPhiloxOfPublishedVectors(t *testing.T) {
	got := make([]float32, 12)
	NewPhilox(0).Randn(got)
	closeTo(t, "seed 0", got, []float32{-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709,
		-1.07454231, -0.36314407, -1.67105067, 2.26550497})
	NewPhilox(1).Randn(got)
	closeTo(t, "seed 1", got, []float32{-0.2962779, 2.6764483, -0.1408464, -0.8440950})
}

// Salmon et al. publish what counters of all zeros and of all ones give (Random123's kat_vectors).
func TestPhiloxOfKnownAnswers(t *testing.T) {
	const ones = math.MaxUint32
	for _, c := range []struct {
		key           [2]uint32
		counter, want [4]uint32
	}{
		{[2]uint32{}, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[2]uint32{ones, ones}, [4]uint32{ones, ones, ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.key, c.counter); got != c.want {
			t.Errorf("%x: got %x, want %x", c.counter, got, c.want)
		}
	}
}

// TestPhiloxParts: the parts of a tensor are the tensor, call by call, and elements beyond the GPU's threads are their further numbers.
func TestPhiloxParts(t *testing.T) {
	const threads, size, pictures = 512, 700, 4
	whole, _ := NewPhilox(5).Part(size*pictures, 0, threads, 0)
	first, second := make([]float32, size*pictures), make([]float32, size*pictures)
	whole.Randn(first)
	whole.Randn(second)
	for k := range pictures {
		part, err := NewPhilox(5).Part(size*pictures, k*size, threads, 1)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, size)
		part.Randn(got)
		if !slices.Equal(got, second[k*size:(k+1)*size]) {
			t.Errorf("part %d of the second call is another", k)
		}
	}
	one := make([]float32, threads)
	NewPhilox(5).Randn(one)
	if !slices.Equal(one, first[:threads]) {
		t.Error("each thread's first number differs from that of a small tensor")
	}
	for number := range 5 { // of thread 3; the fifth comes of its next counter
		words := philox([2]uint32{5, 0}, [4]uint32{uint32(number / 4), 0, 3, 0})
		if got, want := first[3+number*threads], normalOf(words, number%4); got != want {
			t.Errorf("number %d of a thread: got %v, want %v", number, got, want)
		}
	}
	var mean, square float64
	for _, x := range first {
		mean, square = mean+float64(x)/float64(len(first)), square+float64(x)*float64(x)/float64(len(first))
	}
	if math.Abs(mean) > 0.1 || math.Abs(square-1) > 0.1 {
		t.Errorf("mean %v and mean square %v are no normal's", mean, square)
	}
}

func TestPhiloxPartRefuses(t *testing.T) {
	for _, c := range [][3]int{{10, 0, 255}, {10, 11, 512}, {10, -1, 512}} {
		if _, err := NewPhilox(0).Part(c[0], c[1], c[2], 0); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}
