package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// sums is how many registers a sum runs in: enough to hide the latency of an addition.
const sums = 4

func reductions() {
	function("sumAVX2", "func(x []float32) float32", func() {
		sumLoop([]string{"x"}, func(acc vec, in []vec, _ *VecVirtual) { addTo(acc, in[0]) })
	})
	function("dotAVX2", "func(x, y []float32) float32", func() {
		sumLoop([]string{"x", "y"}, func(acc vec, in []vec, _ *VecVirtual) { accumulate(acc, in[0], in[1]) })
	})
	function("sumSquaresAVX2", "func(x []float32, mean float32) float32", func() {
		mean := broadcast("mean")
		sumLoop([]string{"x"}, func(acc vec, in []vec, mask *VecVirtual) {
			d := masked(sub(in[0], mean), mask)
			accumulate(acc, d, d)
		})
	})
	function("expSubAVX2", "func(dst, x []float32, s float32) float32", func() {
		s, acc := broadcast("s"), zeros(wide)
		loop{dst: []string{"dst"}, sources: []string{"x"}, width: wide}.run(func(in []vec, mask *VecVirtual) []vec {
			y := masked(expFlushed(sub(in[0], s)), mask)
			addTo(acc, y)
			return []vec{y}
		})
		returnFolded(acc, func(a, b, c Op) { VADDPS(a, b, c) })
	})
	extremum("maximumAVX2", signBit|infinity, func(a, b, c Op) { VMAXPS(a, b, c) })
	extremum("minimumAVX2", infinity, func(a, b, c Op) { VMINPS(a, b, c) })
}

// addTo adds x to as many registers of acc.
func addTo(acc, x vec) {
	for i := range x {
		VADDPS(x[i], acc[i], acc[i])
	}
}

// masked is x, 0 in the lanes that are not there.
func masked(x vec, mask *VecVirtual) vec {
	if mask == nil {
		return x
	}
	return and(x, *mask)
}

// returnFolded returns all lanes of x combined by f.
func returnFolded(x vec, f func(a, b, c Op)) {
	foldRegisters(x, f)
	fold(x[0], f)
	Store(x[0].AsX(), ReturnIndex(0))
}

// foldRegisters combines the registers of x, a power of two of them, in the first.
func foldRegisters(x vec, f func(a, b, c Op)) {
	for n := len(x) / 2; n > 0; n /= 2 {
		for i := range n {
			f(x[i+n], x[i], x[i])
		}
	}
}

// sumLoop sums in four registers and returns their sum.
func sumLoop(sources []string, step func(acc vec, in []vec, mask *VecVirtual)) {
	acc := zeros(sums)
	loop{sources: sources, width: sums}.run(func(in []vec, mask *VecVirtual) []vec {
		step(acc, in, mask)
		return nil
	})
	returnFolded(acc, func(a, b, c Op) { VADDPS(a, b, c) })
}

// extremum emits the largest or smallest element: what is NaN is remembered apart, and added at the end.
func extremum(name string, none uint32, f func(a, b, c Op)) {
	function(name, "func(x []float32) float32", func() {
		acc, nan := fill(make(vec, sums), word(none)), zeros(1)
		loop{sources: []string{"x"}, width: sums}.run(func(in []vec, mask *VecVirtual) []vec {
			x := in[0]
			for i, isNaN := range compare(unordered, x, x) {
				VORPS(isNaN, nan[0], nan[0])
				if mask != nil {
					VBLENDVPS(*mask, x[i], acc[i], x[i])
				}
				f(x[i], acc[i], acc[i])
			}
			return nil
		})
		fold(nan[0], func(a, b, c Op) { VORPS(a, b, c) })
		foldRegisters(acc, f)
		fold(acc[0], f)
		VORPS(nan[0].AsX(), acc[0].AsX(), acc[0].AsX())
		Store(acc[0].AsX(), ReturnIndex(0))
	})
}
