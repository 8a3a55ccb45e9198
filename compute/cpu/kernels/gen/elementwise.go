package main

import "strings"

func elementwiseFunctions() {
	unaryFunctions()
	binaryFunctions()
	ternaryFunctions()
}

// narrow and wide are how many registers loops use: long chains of dependent instructions gain by working on several.
const (
	narrow = 1
	wide   = 2
)

func unaryFunctions() {
	for _, f := range []struct {
		name  string
		width int
		body  func(x vec) vec
	}{
		{"neg", narrow, negate},
		{"abs", narrow, func(x vec) vec { return and(x, word(allButSign)) }},
		{"sqrt", narrow, sqrt},
		{"rsqrt", narrow, func(x vec) vec { return div(fill(x, number(1)), sqrt(x)) }},
		{"exp", wide, exp},
		{"log", wide, log},
		{"erf", wide, erf},
		{"tanh", wide, tanh},
		{"sigmoid", wide, sigmoid},
		{"relu", narrow, func(x vec) vec { return maxOrSecond(zeros(len(x)), x) }},
		{"gelu", wide, gelu},
		{"geluTanh", wide, geluTanh},
		{"quickGelu", wide, func(x vec) vec { return gated(x, mul(x, number(1.702))) }},
		{"silu", wide, func(x vec) vec { return gated(x, x) }},
	} {
		function(f.name, "func(dst, x []float32)", func() {
			loop{dst: []string{"dst"}, sources: []string{"x"}, width: f.width}.run(one(func(in []vec) vec { return f.body(in[0]) }))
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
		function(f.name, "func(dst, x, y []float32)", func() {
			loop{dst: []string{"dst"}, sources: []string{"x", "y"}}.run(one(func(in []vec) vec { return f.body(in[0], in[1]) }))
		})
		function(f.name+"Scalar", "func(dst, x []float32, s float32)", func() {
			s := vec{broadcast("s")}
			loop{dst: []string{"dst"}, sources: []string{"x"}}.run(one(func(in []vec) vec { return f.body(in[0], s) }))
		})
		function("scalar"+strings.ToUpper(f.name[:1])+f.name[1:], "func(dst []float32, s float32, x []float32)", func() {
			s := vec{broadcast("s")}
			loop{dst: []string{"dst"}, sources: []string{"x"}}.run(one(func(in []vec) vec { return f.body(s, in[0]) }))
		})
	}
}

func ternaryFunctions() {
	function("mulAdd", "func(dst, x, y, z []float32)", func() {
		loop{dst: []string{"dst"}, sources: []string{"x", "y", "z"}}.run(one(func(in []vec) vec { return fma(in[0], in[1], in[2]) }))
	})
	function("axpy", "func(dst []float32, a float32, x []float32)", func() {
		a := broadcast("a")
		loop{dst: []string{"dst"}, sources: []string{"dst", "x"}}.run(one(func(in []vec) vec { return fma(in[1], a, in[0]) }))
	})
	function("affine", "func(dst, x []float32, scale, shift float32)", func() {
		scale, shift := broadcast("scale"), broadcast("shift")
		loop{dst: []string{"dst"}, sources: []string{"x"}}.run(one(func(in []vec) vec { return fma(in[0], scale, shift) }))
	})
	function("normalize", "func(dst, x, gamma, beta []float32, mean, rstd float32)", func() {
		mean, rstd := broadcast("mean"), broadcast("rstd")
		loop{dst: []string{"dst"}, sources: []string{"x", "gamma", "beta"}}.run(one(func(in []vec) vec {
			return fma(mul(sub(in[0], mean), rstd), in[1], in[2])
		}))
	})
	function("addSquares", "func(dst, x, mean []float32)", func() {
		loop{dst: []string{"dst"}, sources: []string{"dst", "x", "mean"}}.run(one(func(in []vec) vec {
			d := sub(in[1], in[2])
			return fma(d, d, in[0])
		}))
	})
}
