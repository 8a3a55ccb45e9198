package kernels

import "math"

// portable is the reference. Functions without an exact formula in float32 are computed in float64 and rounded.
var portable = &instructionSet{
	name:      "portable",
	tileSizes: tileSizes{mr: 6, nr: 16, kc: 320, mc: 96},
	tile:      tilePortable,
	unary: [unaryOps]func(dst, x []float32){
		Neg:       eachUnary(func(x float32) float32 { return -x }),
		Abs:       eachUnary(func(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }),
		Sqrt:      eachUnary(in64(math.Sqrt)),
		Rsqrt:     eachUnary(in64(func(x float64) float64 { return 1 / math.Sqrt(x) })),
		Exp:       eachUnary(in64(math.Exp)),
		Log:       eachUnary(in64(math.Log)),
		Erf:       eachUnary(in64(math.Erf)),
		Tanh:      eachUnary(in64(math.Tanh)),
		Sigmoid:   eachUnary(in64(sigmoid)),
		Relu:      eachUnary(func(x float32) float32 { return max(x, 0) }),
		Gelu:      eachUnary(in64(gelu)),
		GeluTanh:  eachUnary(in64(geluTanh)),
		QuickGelu: eachUnary(in64(func(x float64) float64 { return x * sigmoid(1.702*x) })),
		Silu:      eachUnary(in64(func(x float64) float64 { return x * sigmoid(x) })),
	},
	binary:       [binaryOps]func(dst, x, y []float32){},
	binaryScalar: [binaryOps]func(dst, x []float32, s float32){},
	scalarBinary: [binaryOps]func(dst []float32, s float32, x []float32){},

	mulAdd:     mulAddPortable,
	axpy:       axpyPortable,
	affine:     affinePortable,
	expSub:     expSubPortable,
	sum:        sumPortable,
	sumSquares: sumSquaresPortable,
	maximum:    maximumPortable,
	minimum:    minimumPortable,
	dot:        dotPortable,

	softmaxRows:  softmaxRowsBy(maximumPortable, expSubPortable),
	gradientRows: gradientRowsBy(expSubPortable, affinePortable, mulPortable),

	normalize:       normalizePortable,
	addSquares:      addSquaresPortable,
	winogradWeights: winogradWeightsPortable,
	winogradInput:   winogradInputPortable,
	winogradOutput:  winogradOutputPortable,
	copyRows:        copyRowsPortable,
	transpose:       transposePortable,
	adamW:           adamWPortable,
	float16To32:     float16To32Portable,
	bfloat16To32:    bfloat16To32Portable,
}

func init() {
	for op, f := range [binaryOps]func(x, y float32) float32{
		Add: func(x, y float32) float32 { return x + y },
		Sub: func(x, y float32) float32 { return x - y },
		Mul: func(x, y float32) float32 { return x * y },
		Div: func(x, y float32) float32 { return x / y },
		Max: func(x, y float32) float32 { return max(x, y) },
		Min: func(x, y float32) float32 { return min(x, y) },
	} {
		portable.binary[op] = func(dst, x, y []float32) {
			for i := range dst {
				dst[i] = f(x[i], y[i])
			}
		}
		portable.binaryScalar[op] = func(dst, x []float32, s float32) {
			for i := range dst {
				dst[i] = f(x[i], s)
			}
		}
		portable.scalarBinary[op] = func(dst []float32, s float32, x []float32) {
			for i := range dst {
				dst[i] = f(s, x[i])
			}
		}
	}
}

func eachUnary(f func(float32) float32) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i, v := range x {
			dst[i] = f(v)
		}
	}
}

func in64(f func(float64) float64) func(float32) float32 {
	return func(x float32) float32 { return float32(f(float64(x))) }
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gelu(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }

func geluTanh(x float64) float64 {
	const scale = 0.7978845608028654 // √(2/π)
	return x * sigmoid(2*scale*(x+0.044715*x*x*x))
}

// tilePortable computes pairs of rows by groups of four columns, eight sums at a time.
func tilePortable(rows, cols, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, ldc int, alpha float32, accumulate bool, _ *float32) {
	for i := 0; i < rows; i += 2 {
		second := min(i+1, rows-1) // of an odd number of rows the last is computed twice and stored once
		for j := 0; j < cols; j += 4 {
			var s, t [4]float32
			for p := range k {
				x, y := a[i*ars+p*acs], a[second*ars+p*acs]
				q := (*[4]float32)(b[p*brs+j:])
				s[0] += x * q[0]
				s[1] += x * q[1]
				s[2] += x * q[2]
				s[3] += x * q[3]
				t[0] += y * q[0]
				t[1] += y * q[1]
				t[2] += y * q[2]
				t[3] += y * q[3]
			}
			n := min(4, cols-j)
			storeQuad(c[i*ldc+j:][:n], &s, alpha, accumulate)
			if second > i {
				storeQuad(c[second*ldc+j:][:n], &t, alpha, accumulate)
			}
		}
	}
}

func storeQuad(c []float32, s *[4]float32, alpha float32, accumulate bool) {
	for j := range c {
		if accumulate {
			c[j] += alpha * s[j]
		} else {
			c[j] = alpha * s[j]
		}
	}
}

func mulPortable(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

func mulAddPortable(dst, x, y, z []float32) {
	for i := range dst {
		dst[i] = x[i]*y[i] + z[i]
	}
}

func axpyPortable(dst []float32, a float32, x []float32) {
	for i, v := range x {
		dst[i] += a * v
	}
}

func affinePortable(dst, x []float32, scale, shift float32) {
	for i, v := range x {
		dst[i] = v*scale + shift
	}
}

func expSubPortable(dst, x []float32, s float32) float32 {
	for i, v := range x {
		dst[i] = float32(math.Exp(float64(v - s)))
	}
	return sumPortable(dst)
}

// lanes is how many partial sums a sum is made of: element i goes to sum i mod lanes.
const lanes = 8

func sumPortable(x []float32) float32 {
	var s [lanes]float32
	for i, v := range x {
		s[i%lanes] += v
	}
	return foldLanes(&s)
}

func sumSquaresPortable(x []float32, mean float32) float32 {
	var s [lanes]float32
	for i, v := range x {
		s[i%lanes] += (v - mean) * (v - mean)
	}
	return foldLanes(&s)
}

func dotPortable(x, y []float32) float32 {
	var s [lanes]float32
	for i, v := range x {
		s[i%lanes] += v * y[i]
	}
	return foldLanes(&s)
}

func foldLanes(s *[lanes]float32) float32 {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

func maximumPortable(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func minimumPortable(x []float32) float32 {
	m := float32(math.Inf(1))
	for _, v := range x {
		m = min(m, v)
	}
	return m
}

func normalizePortable(dst, x, gamma, beta []float32, mean, rstd float32) {
	for i, v := range x {
		dst[i] = (v-mean)*rstd*gamma[i] + beta[i]
	}
}

func addSquaresPortable(dst, x, mean []float32) {
	for i, v := range x {
		dst[i] += (v - mean[i]) * (v - mean[i])
	}
}

func copyRowsPortable(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for i := range rows {
		copy(dst[i*dstStride:][:cols], src[i*srcStride:][:cols])
	}
}

func transposePortable(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for i := range rows {
		for j := range cols {
			dst[j*dstStride+i] = src[i*srcStride+j]
		}
	}
}
