package kernels

import "golang.org/x/sys/cpu"

//go:generate go run -C gen . -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernels

// available are the instruction sets of this processor, the best last.
func available() []*instructionSet {
	sets := []*instructionSet{portable}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA { // and so F16C, older than both
		sets = append(sets, avx2)
	}
	return sets
}

// avx2 holds the functions of gen, for AVX2 and FMA.
var avx2 = &instructionSet{
	name: "avx2",
	tile: tileAVX2,
	unary: [unaryOps]func(dst, x []float32){
		Neg: negAVX2, Abs: absAVX2, Sqrt: sqrtAVX2, Rsqrt: rsqrtAVX2, Exp: expAVX2, Log: logAVX2, Erf: erfAVX2, Tanh: tanhAVX2,
		Sigmoid: sigmoidAVX2, Relu: reluAVX2, Gelu: geluAVX2, GeluTanh: geluTanhAVX2, QuickGelu: quickGeluAVX2, Silu: siluAVX2,
	},
	binary: [binaryOps]func(dst, x, y []float32){
		Add: addAVX2, Sub: subAVX2, Mul: mulAVX2, Div: divAVX2, Max: maxAVX2, Min: minAVX2,
	},
	binaryScalar: [binaryOps]func(dst, x []float32, s float32){
		Add: addScalarAVX2, Sub: subScalarAVX2, Mul: mulScalarAVX2, Div: divScalarAVX2, Max: maxScalarAVX2, Min: minScalarAVX2,
	},
	scalarBinary: [binaryOps]func(dst []float32, s float32, x []float32){
		Add: scalarAddAVX2, Sub: scalarSubAVX2, Mul: scalarMulAVX2, Div: scalarDivAVX2, Max: scalarMaxAVX2, Min: scalarMinAVX2,
	},

	mulAdd:     mulAddAVX2,
	axpy:       axpyAVX2,
	affine:     affineAVX2,
	expSub:     expSubAVX2,
	sum:        sumAVX2,
	sumSquares: sumSquaresAVX2,
	maximum:    maximumAVX2,
	minimum:    minimumAVX2,
	dot:        dotAVX2,

	normalize:       normalizeAVX2,
	addSquares:      addSquaresAVX2,
	winogradWeights: winogradWeightsAVX2,
	winogradInput:   winogradInputAVX2,
	winogradOutput:  winogradOutputAVX2,
	transpose8x8:    transpose8x8AVX2,
	adamW: func(param, grad, m, v []float32, s *adamWStep) {
		adamWAVX2(param, grad, m, v, s.decay, s.beta1, s.keep1, s.beta2, s.keep2, s.stepSize, s.rootBias2, s.epsilon, s.gradientScale)
	},
	float16To32:  inEights(float16To32AVX2, float16To32Portable),
	bfloat16To32: inEights(bfloat16To32AVX2, bfloat16To32Portable),
}

// inEights calls f for whole eights of numbers and portable for the rest: the conversions are exact in both.
func inEights(f, portable func(dst []float32, src []uint16)) func(dst []float32, src []uint16) {
	return func(dst []float32, src []uint16) {
		n := len(dst) &^ 7
		f(dst[:n], src[:n])
		portable(dst[n:], src[n:])
	}
}
