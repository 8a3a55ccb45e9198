package main

// adamW emits one step of AdamW. Coefficients stay on the stack: broadcasts from there cost nothing beside the traffic of
// seven numbers an element.
func adamW() {
	function("adamW", "func(param, grad, m, v []float32, decay, beta1, keep1, beta2, keep2, stepSize, rootBias2, epsilon, gradientScale float32)", func() {
		l := loop{dst: []string{"param", "m", "v"}, sources: []string{"param", "grad", "m", "v"}}
		l.run(func(in []vec, _ mask) []vec {
			g := mul(in[1], broadcast("gradientScale"))
			m := fma(in[2], broadcast("beta1"), mul(g, broadcast("keep1")))
			v := fma(in[3], broadcast("beta2"), mul(mul(g, g), broadcast("keep2")))
			denominator := fma(sqrt(v), broadcast("rootBias2"), broadcast("epsilon"))
			update := div(mul(m, broadcast("stepSize")), denominator)
			return []vec{sub(mul(in[0], broadcast("decay")), update), m, v}
		})
	})
}
