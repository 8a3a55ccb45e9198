package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// sums is how many registers a sum runs in: enough to hide the latency of an addition.
const sums = 4

func reductions() {
	reduction("sumAVX2", "func(x []float32) float32", []string{"x"}, func(acc vec, in []vec) { VADDPS(in[0], acc, acc) })
	reduction("dotAVX2", "func(x, y []float32) float32", []string{"x", "y"}, func(acc vec, in []vec) { VFMADD231PS(in[0], in[1], acc) })
	function("sumSquaresAVX2", "func(x []float32, mean float32) float32", func() {
		mean := broadcast("mean")
		sumLoop([]string{"x"}, func(acc vec, in []vec, mask *vec) {
			d := sub(in[0], mean)
			if mask != nil {
				d = and(d, *mask)
			}
			VFMADD231PS(d, d, acc)
		})
	})
	function("expSubAVX2", "func(dst, x []float32, s float32) float32", func() {
		s, acc := broadcast("s"), zeros()
		loop{dst: "dst", sources: []string{"x"}}.run(func(_ int, in []vec, mask *vec) vec {
			y := expFlushed(sub(in[0], s))
			if mask != nil {
				y = and(y, *mask)
			}
			VADDPS(y, acc, acc)
			return y
		})
		storeResult(foldSum(acc))
	})
	extremum("maximumAVX2", 0xff800000, func(a, b, c Op) { VMAXPS(a, b, c) })
	extremum("minimumAVX2", 0x7f800000, func(a, b, c Op) { VMINPS(a, b, c) })
}

// storeResult returns the lowest lane.
func storeResult(x vec) {
	Store(x.AsX(), ReturnIndex(0))
}

func reduction(name, signature string, sources []string, step func(acc vec, in []vec)) {
	function(name, signature, func() {
		sumLoop(sources, func(acc vec, in []vec, _ *vec) { step(acc, in) })
	})
}

// sumLoop sums in four registers and returns their sum.
func sumLoop(sources []string, step func(acc vec, in []vec, mask *vec)) {
	var acc [sums]vec
	for i := range acc {
		acc[i] = zeros()
	}
	loop{sources: sources, unroll: sums}.run(func(i int, in []vec, mask *vec) vec {
		step(acc[i], in, mask)
		return nil
	})
	VADDPS(acc[1], acc[0], acc[0])
	VADDPS(acc[3], acc[2], acc[2])
	VADDPS(acc[2], acc[0], acc[0])
	storeResult(foldSum(acc[0]))
}

// extremum emits the largest or smallest element: what is NaN is remembered apart, and added at the end.
func extremum(name string, none uint32, f func(a, b, c Op)) {
	function(name, "func(x []float32) float32", func() {
		var acc [sums]vec
		for i := range acc {
			acc[i] = load(word(none))
		}
		nan := zeros()
		loop{sources: []string{"x"}, unroll: sums}.run(func(i int, in []vec, mask *vec) vec {
			x := in[0]
			VORPS(compare(unordered, x, x), nan, nan)
			if mask != nil {
				x = choose(*mask, acc[0], x)
			}
			f(x, acc[i], acc[i])
			return nil
		})
		f(acc[1], acc[0], acc[0])
		f(acc[3], acc[2], acc[2])
		f(acc[2], acc[0], acc[0])
		folded := fold(acc[0], f)
		seen := fold(nan, func(a, b, c Op) { VORPS(a, b, c) })
		VORPS(seen.AsX(), folded.AsX(), folded.AsX())
		storeResult(folded)
	})
}
