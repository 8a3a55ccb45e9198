package kernels

import "os"

// A tileFunc computes a tile of rows ≤ mr rows and cols ≤ nr columns of a matrix product, C = alpha·A·B, added to what C
// holds with accumulate. A's element (i, p) is a[i·ars + p·acs], B's (p, j) is b[p·brs + j], C's (i, j) is c[i·ldc + j].
// It reads nr columns of B whatever cols is, and may bring the 32·k bytes from ahead on to the L2 cache.
type tileFunc func(rows, cols, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, ldc int, alpha float32, accumulate bool, ahead *float32)

// tileSizes are the sizes that a matrix product takes from the instruction set. Blocks are those of Goto and van de Geijn,
// "Anatomy of High-Performance Matrix Multiplication", 2008: a panel of B of kc rows and nr columns stays in the L1 cache,
// a block of A of mc rows and kc columns in L2. They are the same for any pool.
type tileSizes struct {
	mr, nr int // rows and columns of the tile that stays in registers; nr a multiple of 16
	kc, mc int // largest blocks; mc a multiple of mr
}

// An instructionSet is the table of the functions that differ between processors. Slices in one call have one length
// unless said otherwise, and dst may be one of the sources.
type instructionSet struct {
	name string
	tileSizes
	tile tileFunc

	unary        [unaryOps]func(dst, x []float32)
	binary       [binaryOps]func(dst, x, y []float32)
	binaryScalar [binaryOps]func(dst, x []float32, s float32)
	scalarBinary [binaryOps]func(dst []float32, s float32, x []float32)

	mulAdd     func(dst, x, y, z []float32)                 // x·y + z
	axpy       func(dst []float32, a float32, x []float32)  // dst + a·x
	affine     func(dst, x []float32, scale, shift float32) // x·scale + shift
	expSub     func(dst, x []float32, s float32) float32    // exp(x − s); their sum
	sum        func(x []float32) float32
	sumSquares func(x []float32, mean float32) float32 // Σ (x − mean)²
	maximum    func(x []float32) float32               // NaN if there is one, −Inf for none
	minimum    func(x []float32) float32
	dot        func(x, y []float32) float32

	// softmaxRows turns rows of scores of a block of keys into weights relative to the row's new maximum, and takes the sums
	// of earlier blocks along: maxima, denominators, and the factor by which what was summed is to be corrected. Row i counts
	// its first seen + i·step numbers, within 0 and cols; the others become 0.
	softmaxRows func(scores []float32, stride, rows, cols, seen, step int, maxima, denominators, corrections []float32)
	// gradientRows turns scores into weights P = exp(S − logSumExp) and dP into dS = P·(dP − delta), both 0 where a row does
	// not count.
	gradientRows func(scores, grads []float32, stride, rows, cols, seen, step int, logSumExp, delta []float32)

	normalize       func(dst, x, gamma, beta []float32, mean, rstd float32)             // (x − mean)·rstd·gamma + beta
	addSquares      func(dst, x, mean []float32)                                        // dst + (x − mean)²
	winogradWeights func(dst []float32, dstStride int, src []float32, srcStride, n int) // n a multiple of 8
	winogradInput   func(dst []float32, dstStride int, src []float32, srcStride, n int) // n a multiple of 8
	winogradOutput  func(dst []float32, dstStride int, src []float32, srcStride, n int)
	// copyRows copies rows of at most nr numbers.
	copyRows func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int)
	// transpose sets dst [cols, rows], its rows dstStride apart, to the transposed src [rows, cols].
	transpose    func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int)
	adamW        func(param, grad, m, v []float32, step *AdamW)
	float16To32  func(dst []float32, src []uint16)
	bfloat16To32 func(dst []float32, src []uint16)
}

// active is the table in use, chosen once at start: the best that the processor has, or the one that REGFT_CPU names.
var active = choose(os.Getenv("REGFT_CPU"), available())

// choose gives the set named name, else the last and best of sets.
func choose(name string, sets []*instructionSet) *instructionSet {
	for _, s := range sets {
		if s.name == name {
			return s
		}
	}
	return sets[len(sets)-1]
}

// InstructionSet names the table in use, "portable", "avx2" or "avx512": the best that the processor has, or what the environment's
// REGFT_CPU names if the processor has it.
func InstructionSet() string { return active.name }
