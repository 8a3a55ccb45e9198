package schedulers

import "math"

// The functions below round as torch and numpy do in float32, on x86-64: where a schedule takes a small difference of two
// of their results, or cuts the fraction off one, the last bit shows.

// fma returns a·b + c, rounded once.
func fma(a, b, c float32) float32 {
	return float32(float64(a)*float64(b) + float64(c)) // the product is exact
}

// sqrt32 is torch.sqrt: Newton's method from an estimate of 12 bits, as MKL's.
func sqrt32(x float32) float32 {
	if x <= 0 || math.IsInf(float64(x), 1) {
		return float32(math.Sqrt(float64(x)))
	}
	inverse := inverseSqrt12(x)
	root, half := x*inverse, inverse*0.5
	residual := 0.5 - float32(root*half)
	root += float32(root * residual)
	half += float32(half * residual)
	return root + float32((x-float32(root*root))*half)
}

// inverseSqrt12 returns 1/√x of the middle of the 2¹¹ numbers that share the upper bits of x, in 12 bits.
func inverseSqrt12(x float32) float32 {
	const lower = 1<<11 - 1
	middle := math.Float32frombits(math.Float32bits(x)&^lower | 1<<10)
	estimate := float32(1 / math.Sqrt(float64(middle)))
	return math.Float32frombits((math.Float32bits(estimate) + 1<<10) &^ lower)
}

// log32 is numpy.log of a positive, normal x: a rational function around 1.
func log32(x float32) float32 {
	const ln2 = 0.693147180559945309417232121458176568
	fraction, exponent := math.Frexp(float64(x)) // in [0.5, 1)
	if fraction < math.Sqrt2/2 {
		fraction, exponent = 2*fraction, exponent-1
	}
	m := float32(fraction) - 1
	p := horner(m, 2.589979117907922693523e-02, 3.808837741388407920751e-01, 1.480000633576506585156, 2.112677543073053063722, 1, 0)
	q := horner(m, 5.875095403124574342950e-03, 1.546476374983906719538e-01, 9.864942958519418960339e-01, 2.453006071784736363091,
		2.612677543073109236779, 1)
	return fma(float32(exponent), ln2, p/q)
}

// horner evaluates a polynomial, highest coefficient first.
func horner(x float32, coefficients ...float32) float32 {
	sum := coefficients[0]
	for _, c := range coefficients[1:] {
		sum = fma(sum, x, c)
	}
	return sum
}
