package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

const (
	log2e  = 1.44269504088896341
	ln2Hi  = 0.693359375 // exact in float32 times any exponent
	ln2Lo  = -2.12194440e-4
	sqrt12 = 0.707106781186547524
)

// exp is exp(x): x = n·ln 2 + r, a polynomial in r, times 2ⁿ in two steps so that denormal results and n = 128 come out
// right. Below −104 it is 0, above 88.73 +Inf; NaN stays.
func exp(x vec) vec {
	x = minOrSecond(load(number(89)), x)
	x = maxOrSecond(load(number(-104)), x)
	y, n := expReduced(x)
	whole, half := YMM(), YMM()
	VCVTPS2DQ(n, whole)
	VPSRAD(Imm(1), whole, half)
	VPSUBD(half, whole, whole)
	return mul(mul(y, powerOfTwo(half)), powerOfTwo(whole))
}

// expFlushed is exp(x) for use inside sums and quotients: results below 5e-38 are 0, and 2ⁿ⁻¹ is added to the exponent.
func expFlushed(x vec) vec {
	y, n := expReduced(minOrSecond(load(number(89)), x))
	exponent := YMM()
	VCVTPS2DQ(sub(n, number(1)), exponent)
	VPSLLD(Imm(23), exponent, exponent)
	VPADDD(exponent, y, y)
	y = add(y, y)
	below := compare(lessThan, x, number(-86))
	VANDNPS(y, below, y)
	return y
}

// expReduced is exp(x − n·ln 2) by the polynomial of Cephes' expf, and n = round(x/ln 2).
func expReduced(x vec) (y, n vec) {
	n = round(mul(x, number(log2e)))
	r := fnma(n, number(ln2Hi), x)
	r = fnma(n, number(ln2Lo), r)
	y = polynomial(r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	y = fma(y, mul(r, r), r)
	return add(y, number(1)), n
}

// log is the natural logarithm (Cephes logf): x = 2ᵉ·m with m from √½ to √2, a polynomial in m − 1.
func log(x vec) vec {
	const smallest = 1.17549435e-38
	tiny := compare(lessThan, x, number(smallest))
	scaled := choose(tiny, x, mul(x, number(1<<23)))
	exponent, e := YMM(), YMM()
	VPSRLD(Imm(23), scaled, exponent)
	VPSUBD(word(126), exponent, exponent)
	VCVTDQ2PS(exponent, e)
	e = sub(e, and(tiny, number(23)))
	m := or(and(scaled, word(0x007fffff)), number(0.5))
	small := compare(lessThan, m, number(sqrt12))
	e = sub(e, and(small, number(1)))
	m = sub(add(m, and(small, m)), number(1))
	z := mul(m, m)
	y := polynomial(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	y = mul(mul(y, m), z)
	y = fma(e, number(ln2Lo), y)
	y = fnma(z, number(0.5), y)
	y = fma(e, number(ln2Hi), add(m, y))
	return logSpecial(x, y)
}

// logSpecial replaces what log gives for x that are not positive and finite.
func logSpecial(x, y vec) vec {
	zero := zeros()
	y = choose(compare(lessThan, x, zero), y, word(0x7fc00000))
	equal := YMM()
	VCMPPS(Imm(0), zero, x, equal)
	y = choose(equal, y, word(0xff800000))
	VCMPPS(Imm(0), word(0x7f800000), x, equal)
	y = choose(equal, y, x)
	return choose(compare(unordered, x, x), y, x)
}

func zeros() vec {
	r := YMM()
	VXORPS(r, r, r)
	return r
}

// erf follows N. Juffa's erff: a polynomial in x² below 475/512, 1 − exp of one in |x| above.
func erf(x vec) vec {
	t, s := and(x, word(0x7fffffff)), mul(x, x)
	low := polynomial(s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
	low = fma(low, x, x)
	high := polynomial(t, -1.72853470e-5, 3.83197126e-4)
	high = fma(high, s, polynomial(t, -3.88396438e-3, 2.42546219e-2))
	for _, c := range []float64{-1.06777877e-1, -6.34846687e-1, -1.28717512e-1} {
		VFMADD213PS(number(c), t, high)
	}
	high = fma(high, t, negate(t))
	high = sub(load(number(1)), expFlushed(high))
	high = or(and(high, word(0x7fffffff)), and(x, word(signBit)))
	return choose(compare(greaterThan, t, number(475.0/512)), low, high)
}

func negate(x vec) vec { return xor(x, word(signBit)) }

// tanh is Cephes' tanhf: a polynomial in x² below 0.625, 1 − 2/(exp(2|x|) + 1) above.
func tanh(x vec) vec {
	t, s := and(x, word(0x7fffffff)), mul(x, x)
	low := polynomial(s, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	low = fma(mul(low, s), x, x)
	high := add(expFlushed(add(t, t)), number(1))
	high = sub(load(number(1)), div(load(number(2)), high))
	high = or(high, and(x, word(signBit)))
	return choose(compare(greaterThan, t, number(0.625)), low, high)
}

// logistic is 1 + exp(−x), what sigmoid and its relatives divide by.
func logistic(x vec) vec { return add(expFlushed(negate(x)), number(1)) }

func sigmoid(x vec) vec { return div(load(number(1)), logistic(x)) }

func gelu(x vec) vec {
	return mul(mul(x, number(0.5)), add(erf(mul(x, number(sqrt12))), number(1)))
}

func geluTanh(x vec) vec {
	const scale = 2 * 0.7978845608028654 // 2·√(2/π)
	cube := mul(mul(x, x), x)
	return div(x, logistic(mul(fma(cube, number(0.044715), x), number(scale))))
}
