package main

import . "github.com/mmcloughlin/avo/operand"

const (
	log2e  = 1.44269504088896341
	ln2Hi  = 0.693359375 // exact in float32 times any exponent
	ln2Lo  = -2.12194440e-4
	sqrt12 = 0.707106781186547524

	rounding = 3 << 22

	allButSign = 1<<31 - 1
	infinity   = 0x7f800000
	notANumber = 0x7fc00000
)

// exp is exp(x): x = n·ln 2 + r, a polynomial in r, times 2ⁿ in two steps so that denormal results and n = 128 come out
// right. Below −104 it is 0, above 88.73 +Inf; NaN stays.
func exp(x vec) vec {
	x = minOrSecond(fill(x, number(89)), x)
	x = maxOrSecond(fill(x, number(-104)), x)
	y, n := expReduced(x)
	if avx512 {
		return timesPowerOfTwo(y, n)
	}
	whole := toInt(n)
	half := halve(whole)
	y = mul(y, powerOfTwo(half))
	return mul(y, powerOfTwo(subInts(whole, half)))
}

// expFlushed is exp(x) for use inside sums and quotients: results below 5e-38 are 0, and 2ⁿ⁻¹ is added to the exponent.
func expFlushed(x vec) vec {
	if avx512 {
		return expOfNegative(minOrSecond(fill(x, number(89)), x))
	}
	below := compare(lessThan, x, number(-86))
	y, n := expReduced(minOrSecond(fill(x, number(89)), x))
	y = addInts(y, shiftLeft(toInt(sub(n, number(1))), 23))
	return whereNot(below, add(y, y))
}

// expOfNegative is expFlushed of x up to 89, with AVX-512.
func expOfNegative(x vec) vec {
	there := compare(notLess, x, number(-86))
	y, n := expReduced(x)
	return timesPowerOfTwoWhere(there, y, n)
}

// expModerate is exp(x) for x whose result is far from the ends of float32's range.
func expModerate(x vec) vec {
	y, n := expReduced(x)
	if avx512 {
		return timesPowerOfTwo(y, n)
	}
	return addInts(y, shiftLeft(toInt(n), 23))
}

var expCoefficients = []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

// holdExp keeps the constants of expOfNegative in registers.
func holdExp() {
	constants := []Mem{number(-86), number(log2e), number(ln2Hi), number(ln2Lo), number(1), number(rounding)}
	for _, c := range expCoefficients {
		constants = append(constants, number(c))
	}
	hold(constants...)
}

// expReduced is exp(x − n·ln 2) by the polynomial of Cephes' expf, and n = round(x/ln 2).
func expReduced(x vec) (y, n vec) {
	if avx512 {
		return expReduced512(x)
	}
	n = round(mul(x, number(log2e)))
	r := fnma(n, number(ln2Hi), x)
	r = fnma(n, number(ln2Lo), r)
	y = polynomial(r, expCoefficients...)
	y = fma(y, mul(r, r), r)
	return add(y, number(1)), n
}

// expReduced512 is expReduced with fewer instructions, and fewer that wait for each other: x/ln 2 is rounded by adding a number
// whose unit in the last place is 1, and the polynomial is summed by pairs (Estrin). x becomes what is left of it.
func expReduced512(x vec) (y, n vec) {
	n = fill(x, number(rounding))
	accumulate(n, x, number(log2e))
	n = sub(n, number(rounding))
	r := x
	deduct(r, n, number(ln2Hi))
	deduct(r, n, number(ln2Lo))
	c, square := expCoefficients, mul(r, r)
	pair := func(high, low float64) vec { return continued(fill(r, number(high)), r, low) }
	first, second, third := pair(c[0], c[1]), pair(c[2], c[3]), pair(c[4], c[5])
	accumulate(second, first, square)
	accumulate(third, second, square)
	accumulate(r, third, square)
	return add(r, number(1)), n
}

// log is the natural logarithm (Cephes logf): x = 2ᵉ·m with m from √½ to √2, a polynomial in m − 1.
func log(x vec) vec {
	const smallest = 1.17549435e-38
	tiny := compare(lessThan, x, number(smallest))
	scaled := choose(tiny, x, mul(x, number(1<<23)))
	e := fromInt(subInts(shiftRight(scaled, 23), word(126)))
	e = sub(e, where(tiny, number(23)))
	m := or(and(scaled, word(0x007fffff)), number(0.5))
	small := compare(lessThan, m, number(sqrt12))
	e = sub(e, where(small, number(1)))
	m = sub(add(m, where(small, m)), number(1))
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
	y = choose(compare(lessThan, x, number(0)), y, word(notANumber))
	y = choose(compare(equal, x, number(0)), y, word(signBit|infinity))
	y = choose(compare(equal, x, word(infinity)), y, x)
	return keepNaN(y, x)
}

// erf follows N. Juffa's erff: 1 − exp of a polynomial in |x| above 475/512, a polynomial in x² below. From 4 on it is 1.
func erf(x vec) vec {
	t := minOrSecond(fill(x, number(4)), and(x, word(allButSign)))
	high := polynomial(t, -1.72853470e-5, 3.83197126e-4)
	high = fma(high, mul(t, t), polynomial(t, -3.88396438e-3, 2.42546219e-2))
	high = continued(high, t, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1)
	high = fma(high, t, negate(t))
	high = sub(fill(x, number(1)), expModerate(high))
	high = or(high, and(x, word(signBit)))
	s := mul(x, x)
	low := polynomial(s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
	low = fma(low, x, x)
	return choose(compare(greaterThan, and(x, word(allButSign)), number(475.0/512)), low, high)
}

func negate(x vec) vec { return xor(x, word(signBit)) }

// tanh is Cephes' tanhf: 1 − 2/(exp(2|x|) + 1) above 0.625, a polynomial in x² below. From 10 on it is 1.
func tanh(x vec) vec {
	t := minOrSecond(fill(x, number(10)), and(x, word(allButSign)))
	high := add(expModerate(add(t, t)), number(1))
	if avx512 {
		high = fnma(reciprocal(high), number(2), fill(x, number(1)))
	} else {
		high = sub(fill(x, number(1)), div(fill(x, number(2)), high))
	}
	high = or(high, and(x, word(signBit)))
	s := mul(x, x)
	low := polynomial(s, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	low = fma(mul(low, s), x, x)
	return choose(compare(greaterThan, and(x, word(allButSign)), number(0.625)), low, high)
}

// logistic is 1 + exp(−x), what sigmoid and its relatives divide by.
func logistic(x vec) vec { return add(expFlushed(negate(x)), number(1)) }

func sigmoid(x vec) vec {
	if avx512 {
		return openGate(x)
	}
	return div(fill(x, number(1)), logistic(x))
}

// gated is y·sigmoid(x).
func gated(y, x vec) vec {
	if avx512 {
		return mul(y, openGate(x))
	}
	return div(y, logistic(x))
}

// openGate is sigmoid(x) without a division, 0 below −88. What is divided by stays where the reciprocal is normal.
func openGate(x vec) vec {
	open := compare(notLess, x, number(-88))
	x = maxOrSecond(fill(x, number(-87.33)), x)
	return where(open, reciprocal(logistic(x)))
}

func gelu(x vec) vec {
	return mul(mul(x, number(0.5)), add(erf(mul(x, number(sqrt12))), number(1)))
}

func geluTanh(x vec) vec {
	const scale = 2 * 0.7978845608028654 // 2·√(2/π)
	cube := mul(mul(x, x), x)
	return gated(x, mul(fma(cube, number(0.044715), x), number(scale)))
}
