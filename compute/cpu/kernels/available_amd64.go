package kernels

import "golang.org/x/sys/cpu"

//go:generate go run -C gen . -set avx2 -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernels
//go:generate go run -C gen . -set avx512 -out ../avx512_amd64.s -stubs ../avx512_amd64.go -pkg kernels

// available are the instruction sets of this processor, the best last.
func available() []*instructionSet {
	sets := []*instructionSet{portable}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA { // and so F16C, older than both
		sets = append(sets, avx2)
		// AVX512 is F with the system's support of its registers; what has it all has FMA, F16C and BMI2.
		if cpu.X86.HasAVX512 && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2 {
			sets = append(sets, avx512)
		}
	}
	return sets
}

// avx2 holds the functions of gen, for AVX2 and FMA.
var avx2 = &instructionSet{
	name:      "avx2",
	tileSizes: tileSizes{mr: 6, nr: 16, kc: 320, mc: 96}, // 20 of 32 KiB of L1, 120 of 512 KiB of L2
	tile:      tileEdgesAVX2,
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

	softmaxRows:  softmaxRowsBy(maximumAVX2, expSubAVX2),
	gradientRows: gradientRowsBy(expSubAVX2, affineAVX2, mulAVX2),

	normalize:       normalizeAVX2,
	addSquares:      addSquaresAVX2,
	winogradWeights: winogradWeightsAVX2,
	winogradInput:   winogradInputAVX2,
	winogradOutput:  winogradOutputAVX2,
	copyRows:        copyRowsAVX2,
	transpose:       inBlocksOf8(transpose8x8AVX2),
	adamW: func(param, grad, m, v []float32, s *AdamW) {
		adamWAVX2(param, grad, m, v, s.Decay, s.Beta1, s.Keep1, s.Beta2, s.Keep2, s.StepSize, s.RootBias2, s.Epsilon, s.GradientScale)
	},
	float16To32:  inWhole(8, float16To32AVX2, float16To32Portable),
	bfloat16To32: inWhole(8, bfloat16To32AVX2, bfloat16To32Portable),
}

// avx512 holds the functions of gen for AVX-512.
var avx512 = &instructionSet{
	name:      "avx512",
	tileSizes: tileSizes{mr: 14, nr: 32, kc: 256, mc: 168}, // 32 of 48 KiB of L1, 168 KiB of L2
	tile:      tileAVX512,
	unary: [unaryOps]func(dst, x []float32){
		Neg: negAVX512, Abs: absAVX512, Sqrt: sqrtAVX512, Rsqrt: rsqrtAVX512, Exp: expAVX512, Log: logAVX512, Erf: erfAVX512, Tanh: tanhAVX512,
		Sigmoid: sigmoidAVX512, Relu: reluAVX512, Gelu: geluAVX512, GeluTanh: geluTanhAVX512, QuickGelu: quickGeluAVX512, Silu: siluAVX512,
	},
	binary: [binaryOps]func(dst, x, y []float32){
		Add: addAVX512, Sub: subAVX512, Mul: mulAVX512, Div: divAVX512, Max: maxAVX512, Min: minAVX512,
	},
	binaryScalar: [binaryOps]func(dst, x []float32, s float32){
		Add: addScalarAVX512, Sub: subScalarAVX512, Mul: mulScalarAVX512, Div: divScalarAVX512, Max: maxScalarAVX512, Min: minScalarAVX512,
	},
	scalarBinary: [binaryOps]func(dst []float32, s float32, x []float32){
		Add: scalarAddAVX512, Sub: scalarSubAVX512, Mul: scalarMulAVX512, Div: scalarDivAVX512, Max: scalarMaxAVX512, Min: scalarMinAVX512,
	},

	mulAdd:     mulAddAVX512,
	axpy:       axpyAVX512,
	affine:     affineAVX512,
	expSub:     expSubAVX512,
	sum:        sumAVX512,
	sumSquares: sumSquaresAVX512,
	maximum:    maximumAVX512,
	minimum:    minimumAVX512,
	dot:        dotAVX512,

	softmaxRows:  softmaxRowsAVX512,
	gradientRows: gradientRowsAVX512,

	normalize:       normalizeAVX512,
	addSquares:      addSquaresAVX512,
	winogradWeights: winogradWeightsAVX512,
	winogradInput:   winogradInputAVX512,
	winogradOutput:  winogradOutputAVX512,
	copyRows:        copyRowsAVX512,
	transpose:       transposeAVX512,
	adamW: func(param, grad, m, v []float32, s *AdamW) {
		adamWAVX512(param, grad, m, v, s.Decay, s.Beta1, s.Keep1, s.Beta2, s.Keep2, s.StepSize, s.RootBias2, s.Epsilon, s.GradientScale)
	},
	float16To32:  inWhole(16, float16To32AVX512, float16To32Portable),
	bfloat16To32: inWhole(16, bfloat16To32AVX512, bfloat16To32Portable),
}

// inWhole calls f for whole registers of a power of two of numbers and portable for the rest: the conversions are exact in both.
func inWhole(lanes int, f, portable func(dst []float32, src []uint16)) func(dst []float32, src []uint16) {
	return func(dst []float32, src []uint16) {
		n := len(dst) &^ (lanes - 1)
		f(dst[:n], src[:n])
		portable(dst[n:], src[n:])
	}
}

// tileEdgesAVX2 computes whole tiles, those with fewer columns beside C.
func tileEdgesAVX2(rows, cols, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, ldc int, alpha float32, accumulate bool, _ *float32) {
	const nr = 16
	if cols == nr {
		tileAVX2(rows, k, a, ars, acs, b, brs, c, ldc, alpha, accumulate)
		return
	}
	var edge [6 * nr]float32
	tileAVX2(rows, k, a, ars, acs, b, brs, edge[:], nr, alpha, false)
	for i := range rows {
		row, src := c[i*ldc:][:cols], edge[i*nr:][:cols]
		if !accumulate {
			copy(row, src)
			continue
		}
		for j, v := range src {
			row[j] += v
		}
	}
}

// copyRowsAVX2 copies rows as wide as panels number by number or by sixteens: the compiler makes a call of a copy.
func copyRowsAVX2(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	switch cols {
	case 6:
		for i := range rows {
			d, s := (*[6]float32)(dst[i*dstStride:]), (*[6]float32)(src[i*srcStride:])
			d[0], d[1], d[2], d[3], d[4], d[5] = s[0], s[1], s[2], s[3], s[4], s[5]
		}
	case 16:
		for i := range rows {
			*(*[16]float32)(dst[i*dstStride:]) = *(*[16]float32)(src[i*srcStride:])
		}
	default:
		copyRowsPortable(dst, dstStride, src, srcStride, rows, cols)
	}
}

// inBlocksOf8 transposes whole blocks of 8 × 8 by f and the rest one by one.
func inBlocksOf8(f func(dst []float32, dstStride int, src []float32, srcStride int)) func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	return func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		rows8, cols8 := rows&^7, cols&^7
		for i := 0; i < rows8; i += 8 {
			for j := 0; j < cols8; j += 8 {
				f(dst[j*dstStride+i:], dstStride, src[i*srcStride+j:], srcStride)
			}
		}
		if cols8 < cols {
			transposePortable(dst[cols8*dstStride:], dstStride, src[cols8:], srcStride, rows8, cols-cols8)
		}
		if rows8 < rows {
			transposePortable(dst[rows8:], dstStride, src[rows8*srcStride:], srcStride, rows-rows8, cols)
		}
	}
}

// transposeAVX512 takes sixteen rows at a time.
func transposeAVX512(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for i := 0; i < rows; i += 16 {
		transposeRowsAVX512(dst[i:], dstStride, src[i*srcStride:], srcStride, min(16, rows-i), cols)
	}
}
