package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func elementwiseFunctions() {
	unaryFunctions()
	binaryFunctions()
	ternaryFunctions()
}

func unaryFunctions() {
	for _, f := range []struct {
		name string
		body func(x vec) vec
	}{
		{"neg", negate},
		{"abs", func(x vec) vec { return and(x, word(0x7fffffff)) }},
		{"sqrt", sqrt},
		{"rsqrt", func(x vec) vec { return div(load(number(1)), sqrt(x)) }},
		{"exp", exp},
		{"log", log},
		{"erf", erf},
		{"tanh", tanh},
		{"sigmoid", sigmoid},
		{"relu", func(x vec) vec { return maxOrSecond(zeros(), x) }},
		{"gelu", gelu},
		{"geluTanh", geluTanh},
		{"quickGelu", func(x vec) vec { return div(x, logistic(mul(x, number(1.702)))) }},
		{"silu", func(x vec) vec { return div(x, logistic(x)) }},
	} {
		function(f.name+"AVX2", "func(dst, x []float32)", func() {
			loop{dst: "dst", sources: []string{"x"}}.run(func(_ int, in []vec, _ *vec) vec { return f.body(in[0]) })
		})
	}
}

// keepNaN is r, or x where that is NaN.
func keepNaN(r, x vec) vec { return choose(compare(unordered, x, x), r, x) }

func binaryFunctions() {
	for _, f := range []struct {
		name string
		body func(x, y vec) vec
	}{
		{"add", func(x, y vec) vec { return add(x, y) }},
		{"sub", func(x, y vec) vec { return sub(x, y) }},
		{"mul", func(x, y vec) vec { return mul(x, y) }},
		{"div", func(x, y vec) vec { return div(x, y) }},
		{"max", func(x, y vec) vec { return keepNaN(maxOrSecond(x, y), x) }},
		{"min", func(x, y vec) vec { return keepNaN(minOrSecond(x, y), x) }},
	} {
		function(f.name+"AVX2", "func(dst, x, y []float32)", func() {
			loop{dst: "dst", sources: []string{"x", "y"}}.run(func(_ int, in []vec, _ *vec) vec { return f.body(in[0], in[1]) })
		})
		function(f.name+"ScalarAVX2", "func(dst, x []float32, s float32)", func() {
			s := broadcast("s")
			loop{dst: "dst", sources: []string{"x"}}.run(func(_ int, in []vec, _ *vec) vec { return f.body(in[0], s) })
		})
		function("scalar"+title(f.name)+"AVX2", "func(dst []float32, s float32, x []float32)", func() {
			s := broadcast("s")
			loop{dst: "dst", sources: []string{"x"}}.run(func(_ int, in []vec, _ *vec) vec { return f.body(s, in[0]) })
		})
	}
}

func title(s string) string { return string(s[0]-'a'+'A') + s[1:] }

func ternaryFunctions() {
	function("mulAddAVX2", "func(dst, x, y, z []float32)", func() {
		loop{dst: "dst", sources: []string{"x", "y", "z"}}.run(func(_ int, in []vec, _ *vec) vec {
			VFMADD231PS(in[1], in[0], in[2])
			return in[2]
		})
	})
	function("axpyAVX2", "func(dst []float32, a float32, x []float32)", func() {
		a := broadcast("a")
		loop{dst: "dst", sources: []string{"dst", "x"}}.run(func(_ int, in []vec, _ *vec) vec {
			VFMADD231PS(a, in[1], in[0])
			return in[0]
		})
	})
	function("affineAVX2", "func(dst, x []float32, scale, shift float32)", func() {
		scale, shift := broadcast("scale"), broadcast("shift")
		loop{dst: "dst", sources: []string{"x"}}.run(func(_ int, in []vec, _ *vec) vec {
			VFMADD213PS(shift, scale, in[0])
			return in[0]
		})
	})
	function("normalizeAVX2", "func(dst, x, gamma, beta []float32, mean, rstd float32)", func() {
		mean, rstd := broadcast("mean"), broadcast("rstd")
		loop{dst: "dst", sources: []string{"x", "gamma", "beta"}}.run(func(_ int, in []vec, _ *vec) vec {
			return fma(mul(sub(in[0], mean), rstd), in[1], in[2])
		})
	})
	function("addSquaresAVX2", "func(dst, x, mean []float32)", func() {
		loop{dst: "dst", sources: []string{"dst", "x", "mean"}}.run(func(_ int, in []vec, _ *vec) vec {
			d := sub(in[1], in[2])
			return fma(d, d, in[0])
		})
	})
}
