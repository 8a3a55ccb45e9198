package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// adamW emits one step of AdamW. Coefficients stay on the stack: broadcasts from there cost nothing beside the traffic of
// seven numbers an element.
func adamW() {
	function("adamWAVX2", "func(param, grad, m, v []float32, decay, beta1, keep1, beta2, keep2, stepSize, rootBias2, epsilon, gradientScale float32)", func() {
		i, n := GP64(), Load(Param("param").Len(), GP64())
		XORQ(i, i)
		base := map[string]Register{}
		for _, s := range []string{"param", "grad", "m", "v"} {
			base[s] = Load(Param(s).Base(), GP64())
		}
		at := func(s string) Mem { return Mem{Base: base[s], Index: i, Scale: 4} }
		last := GP64()
		MOVQ(n, last)
		SUBQ(Imm(8), last)
		JMP(LabelRef("check"))
		Label("loop")
		adamWStep(func(s string) vec { return load(at(s)) }, func(x vec, s string) { VMOVUPS(x, at(s)) })
		ADDQ(Imm(8), i)
		Label("check")
		CMPQ(i, last)
		JLE(LabelRef("loop"))
		SUBQ(i, n)
		JZ(LabelRef("done"))
		mask := maskOf(n)
		adamWStep(func(s string) vec {
			r := YMM()
			VMASKMOVPS(at(s), mask, r)
			return r
		}, func(x vec, s string) { VMASKMOVPS(x, mask, at(s)) })
		Label("done")
	})
}

func adamWStep(read func(string) vec, write func(vec, string)) {
	g := mul(read("grad"), broadcast("gradientScale"))
	m := fma(read("m"), broadcast("beta1"), mul(g, broadcast("keep1")))
	write(m, "m")
	v := fma(read("v"), broadcast("beta2"), mul(mul(g, g), broadcast("keep2")))
	write(v, "v")
	denominator := fma(sqrt(v), broadcast("rootBias2"), broadcast("epsilon"))
	update := div(mul(m, broadcast("stepSize")), denominator)
	write(sub(mul(read("param"), broadcast("decay")), update), "param")
}
