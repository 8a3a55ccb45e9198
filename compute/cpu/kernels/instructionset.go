package kernels

import "os"

// mr and nr are the rows and columns of the tile of a matrix product that stays in registers.
const (
	mr = 6
	nr = 16
)

// A tileFunc computes a tile of rows ≤ mr rows and nr columns of a matrix product, C = alpha·A·B, added to what C holds
// with accumulate. A's element (i, p) is a[i·ars + p·acs], B's (p, j) is b[p·brs + j], C's (i, j) is c[i·ldc + j].
type tileFunc func(rows, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, ldc int, alpha float32, accumulate bool)

// An instructionSet is the table of the functions that differ between processors. Slices in one call have one length
// unless said otherwise, and dst may be one of the sources.
type instructionSet struct {
	name string
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

	normalize       func(dst, x, gamma, beta []float32, mean, rstd float32)             // (x − mean)·rstd·gamma + beta
	addSquares      func(dst, x, mean []float32)                                        // dst + (x − mean)²
	winogradWeights func(dst []float32, dstStride int, src []float32, srcStride, n int) // n a multiple of 8
	winogradInput   func(dst []float32, dstStride int, src []float32, srcStride, n int) // n a multiple of 8
	winogradOutput  func(dst []float32, dstStride int, src []float32, srcStride, n int)
	transpose8x8    func(dst []float32, dstStride int, src []float32, srcStride int)
	adamW           func(param, grad, m, v []float32, step *adamWStep)
	float16To32     func(dst []float32, src []uint16)
	bfloat16To32    func(dst []float32, src []uint16)
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

// InstructionSet names the table in use, "portable" or "avx2": the best that the processor has, or what the environment's
// REGFT_CPU names if the processor has it.
func InstructionSet() string { return active.name }
