package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// sums is how many registers a sum runs in: enough to hide the latency of an addition.
const sums = 4

func reductions() {
	function("sum", "func(x []float32) float32", func() {
		sumLoop([]string{"x"}, func(acc vec, in []vec, _ mask) { addTo(acc, in[0]) })
	})
	function("dot", "func(x, y []float32) float32", func() {
		sumLoop([]string{"x", "y"}, func(acc vec, in []vec, _ mask) { accumulate(acc, in[0], in[1]) })
	})
	function("sumSquares", "func(x []float32, mean float32) float32", func() {
		mean := broadcast("mean")
		sumLoop([]string{"x"}, func(acc vec, in []vec, there mask) {
			d := masked(sub(in[0], mean), there)
			accumulate(acc, d, d)
		})
	})
	function("expSub", "func(dst, x []float32, s float32) float32", func() {
		s, acc := broadcast("s"), zeros(wide)
		loop{dst: []string{"dst"}, sources: []string{"x"}, width: wide}.run(func(in []vec, there mask) []vec {
			y := masked(expFlushed(sub(in[0], s)), there)
			addTo(acc, y)
			return []vec{y}
		})
		returnFolded(acc, func(a, b, c Op) { VADDPS(a, b, c) })
	})
	extremum("maximum", signBit|infinity, func(a, b, c Op) { VMAXPS(a, b, c) })
	extremum("minimum", infinity, func(a, b, c Op) { VMINPS(a, b, c) })
}

// addTo adds x to as many registers of acc.
func addTo(acc, x vec) {
	for i := range x {
		VADDPS(x[i], acc[i], acc[i])
	}
}

// masked is x, 0 in the lanes that are not there.
func masked(x vec, there mask) vec {
	if there == nil {
		return x
	}
	return where(there, x)
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
func sumLoop(sources []string, step func(acc vec, in []vec, there mask)) {
	acc := zeros(sums)
	loop{sources: sources, width: sums}.run(func(in []vec, there mask) []vec {
		step(acc, in, there)
		return nil
	})
	returnFolded(acc, func(a, b, c Op) { VADDPS(a, b, c) })
}

// extremum emits the largest or smallest element: what is NaN is remembered apart, and added at the end.
func extremum(name string, none uint32, f func(a, b, c Op)) {
	function(name, "func(x []float32) float32", func() {
		acc, nan := fill(make(vec, sums), word(none)), newNaNs()
		loop{sources: []string{"x"}, width: sums}.run(func(in []vec, there mask) []vec {
			x := in[0]
			nan.note(compare(unordered, x, x))
			if there != nil {
				x = choose(there, acc[:1], x)
			}
			for i := range x {
				f(x[i], acc[i], acc[i])
			}
			return nil
		})
		foldRegisters(acc, f)
		fold(acc[0], f)
		VORPS(nan.word(), acc[0].AsX(), acc[0].AsX())
		Store(acc[0].AsX(), ReturnIndex(0))
	})
}

// nans remembers whether some lane was NaN, in a register or with AVX-512 in a mask register.
type nans struct {
	register VecVirtual
	mask     OpmaskVirtual
}

func newNaNs() nans {
	n := nans{}
	if avx512 {
		n.mask = K()
		KXORW(n.mask, n.mask, n.mask)
	} else {
		n.register = YMM()
		zero(n.register)
	}
	return n
}

func (n nans) note(m mask) {
	for _, isNaN := range m {
		if avx512 {
			KORW(isNaN, n.mask, n.mask)
		} else {
			VORPS(isNaN, n.register, n.register)
		}
	}
}

// word is all ones in the lowest lane if there was NaN, else 0.
func (n nans) word() Register {
	if !avx512 {
		fold(n.register, func(a, b, c Op) { VORPS(a, b, c) })
		return n.register.AsX()
	}
	bits, x := GP32(), XMM()
	KMOVW(n.mask, bits)
	NEGL(bits)
	SBBL(bits, bits)
	VMOVD(bits, x)
	return x
}
