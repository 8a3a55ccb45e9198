package kernels

// A UnaryOp is a function of one number.
type UnaryOp uint8

// The functions of one number. NaN gives NaN; products with gates that have closed give NaN at −Inf, as torch's do.
//
// Largest errors of AVX2 and AVX-512 against float64, in units in the last place, by TestUnary over all exponents: Sqrt 0.5, Log 0.8,
// Erf 0.9, Exp 1.0, Tanh 1.3, Rsqrt 1.5, Silu 1.9, Sigmoid 2.1; Gelu, GeluTanh and QuickGelu 0.6 beyond an absolute error of
// 4e-7, which their negative tails have. Portable functions are rounded from float64: 0.5.
const (
	Neg UnaryOp = iota
	Abs
	Sqrt
	Rsqrt     // 1/√x, exactly rounded steps: no approximation instruction
	Exp       // 0 below −104, +Inf above 88.73
	Log       // NaN below 0, −Inf at 0
	Erf       // Gauss' error function
	Tanh      // hyperbolic tangent
	Sigmoid   // 1 / (1 + exp(−x))
	Relu      // max(x, 0)
	Gelu      // x·Φ(x) = x/2·(1 + erf(x/√2)) (Hendrycks and Gimpel, 2016)
	GeluTanh  // x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the same paper's approximation
	QuickGelu // x·sigmoid(1.702·x), as CLIP's published weights have it
	Silu      // x·sigmoid(x)
	unaryOps
)

// A BinaryOp is a function of two numbers.
type BinaryOp uint8

// The functions of two numbers. Max and Min are NaN if either number is.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div
	Max
	Min
	binaryOps
)

// Unary sets dst[i] = op(x[i]) for every i of dst; x is as long or longer, and may be dst.
func Unary(op UnaryOp, dst, x []float32) { active.unary[op](dst, x[:len(dst)]) }

// Binary sets dst[i] = op(x[i], y[i]) for every i of dst; either source may be dst.
func Binary(op BinaryOp, dst, x, y []float32) {
	active.binary[op](dst, x[:len(dst)], y[:len(dst)])
}

// BinaryScalar sets dst[i] = op(x[i], s) for every i of dst.
func BinaryScalar(op BinaryOp, dst, x []float32, s float32) {
	active.binaryScalar[op](dst, x[:len(dst)], s)
}

// ScalarBinary sets dst[i] = op(s, x[i]) for every i of dst.
func ScalarBinary(op BinaryOp, dst []float32, s float32, x []float32) {
	active.scalarBinary[op](dst, s, x[:len(dst)])
}

// MulAdd sets dst[i] = x[i]·y[i] + z[i], rounded once or twice as the instruction set does.
func MulAdd(dst, x, y, z []float32) {
	n := len(dst)
	active.mulAdd(dst, x[:n], y[:n], z[:n])
}

// Axpy adds a·x[i] to every dst[i].
func Axpy(dst []float32, a float32, x []float32) { active.axpy(dst, a, x[:len(dst)]) }

// Affine sets dst[i] = x[i]·scale + shift.
func Affine(dst, x []float32, scale, shift float32) {
	active.affine(dst, x[:len(dst)], scale, shift)
}

// ExpSub sets dst[i] = exp(x[i] − s) and returns the sum of dst.
func ExpSub(dst, x []float32, s float32) float32 { return active.expSub(dst, x[:len(dst)], s) }

// Sum is the sum of x, 0 for none. Sums, here and below, run in an order that depends on the length alone.
func Sum(x []float32) float32 { return active.sum(x) }

// SumSquares is the sum of (x[i] − mean)².
func SumSquares(x []float32, mean float32) float32 { return active.sumSquares(x, mean) }

// Dot is the sum of x[i]·y[i].
func Dot(x, y []float32) float32 { return active.dot(x, y[:len(x)]) }

// Maximum is the largest of x, NaN if x holds one, −Inf for none.
func Maximum(x []float32) float32 { return active.maximum(x) }

// Minimum is the smallest of x, NaN if x holds one, +Inf for none.
func Minimum(x []float32) float32 { return active.minimum(x) }
