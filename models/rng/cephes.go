package rng

import "math"

// The elementary functions below are Cephes' in single precision (Moshier, 1984) with the fused multiply-adds
// that torch's avx_mathfun.h has when it is compiled for AVX2: bit for bit what torch.randn is made of on
// x86-64. Library functions are closer to the truth, and so differ from torch in one normal of six.

// fma returns a·b + c, rounded once.
func fma(a, b, c float32) float32 {
	return float32(float64(a)*float64(b) + float64(c)) // the product is exact
}

// horner evaluates a polynomial, highest coefficient first.
func horner(x float32, coefficients ...float32) float32 {
	sum := coefficients[0]
	for _, c := range coefficients[1:] {
		sum = fma(sum, x, c)
	}
	return sum
}

// ln 2 in two parts, of which the first has few bits: its product with an exponent is exact.
const (
	ln2High = 0.693359375
	ln2Low  = -2.12194440e-4
)

// log32 returns the natural logarithm of a positive, normal x.
func log32(x float32) float32 {
	bits := math.Float32bits(x)
	exponent := float32(int32(bits>>23) - 126)
	m := math.Float32frombits(bits&(1<<23-1) | 0x3f000000) // in [0.5, 1)
	if m < math.Sqrt2/2 {
		exponent--
		m += m - 1
	} else {
		m--
	}
	square := m * m
	y := m * horner(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	y = fma(y, square, exponent*ln2Low)
	y = fma(-square, 0.5, y)
	return fma(exponent, ln2High, m+y)
}

// π/4 in three parts, of which the first two have few bits.
const (
	quarterPi1 = 0.78515625
	quarterPi2 = 2.4187564849853515625e-4
	quarterPi3 = 3.77489497744594108e-8
)

// sincos32 returns sine and cosine of a small, non-negative x.
func sincos32(x float32) (sin, cos float32) {
	octant := (int32(x*(4/math.Pi)) + 1) &^ 1
	n := -float32(octant)
	x = fma(n, quarterPi3, fma(n, quarterPi2, fma(n, quarterPi1, x))) // in [-π/4, π/4]
	square := x * x
	c := square * horner(square, 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
	cos = fma(c, square, -square*0.5) + 1
	s := square * horner(square, -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
	sin = fma(s, x, x)
	switch octant & 7 {
	case 2:
		return cos, -sin
	case 4:
		return -sin, -cos
	case 6:
		return -cos, sin
	}
	return sin, cos
}
