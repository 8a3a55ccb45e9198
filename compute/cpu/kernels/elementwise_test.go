package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// unaryReference are the functions in float64, and how far float32 may be off, in units of 2⁻²³ of the result, and beside
// that absolutely.
var unaryReference = map[UnaryOp]struct {
	f        func(x float64) float64
	ulps     float64
	absolute float64
}{
	Neg:       {func(x float64) float64 { return -x }, 0, 0},
	Abs:       {math.Abs, 0, 0},
	Sqrt:      {math.Sqrt, 0.5, 0},
	Rsqrt:     {func(x float64) float64 { return 1 / math.Sqrt(x) }, 1.5, 0},
	Exp:       {math.Exp, 1.5, 1e-45},
	Log:       {math.Log, 1.5, 0},
	Erf:       {math.Erf, 1.5, 1e-45},
	Tanh:      {math.Tanh, 2, 1e-45},
	Sigmoid:   {func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 2.5, 1e-38},
	Relu:      {func(x float64) float64 { return max(x, 0) }, 0, 0},
	Gelu:      {func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }, 2.5, 4e-7},
	GeluTanh:  {func(x float64) float64 { return x / (1 + math.Exp(-2*0.7978845608028654*(x+0.044715*x*x*x))) }, 2.5, 4e-7},
	QuickGelu: {func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }, 2.5, 4e-7},
	Silu:      {func(x float64) float64 { return x / (1 + math.Exp(-x)) }, 2.5, 1e-36},
}

// edgeNumbers are where functions change their formulas, and what is no finite number.
var edgeNumbers = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 0.625, 475.0 / 512, math.SmallestNonzeroFloat32, 1e-40, -1e-40, 1.17549435e-38,
	1e-20, -1e-20, 88.7, 88.72284, 88.8, 89, 104, -87.3, -87.4, -103.9, -104, -105, 1e4, -1e4, math.MaxFloat32, -math.MaxFloat32,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
}

// sweep is every finite exponent, both signs, several fractions, and the edges: 20 numbers a power of two near 1.
func sweep(r *rand.Rand) []float32 {
	x := append([]float32(nil), edgeNumbers...)
	for range 40000 {
		x = append(x, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()*4), float32(r.Float64()*220-110))
	}
	return x
}

func TestUnary(t *testing.T) {
	x := sweep(rand.New(rand.NewPCG(5, 6)))
	eachSet(t, func(t *testing.T) {
		for op, reference := range unaryReference {
			y, check := guarded(t, len(x))
			Unary(op, y, x)
			check()
			worst := 0.0
			for i, v := range x {
				worst = max(worst, ulpError(t, op, v, y[i], reference.f(float64(v)), reference.absolute))
			}
			t.Logf("op %d: at most %.2f ulp", op, worst)
			if worst > reference.ulps {
				t.Errorf("op %d is off by %.2f units in the last place", op, worst)
			}
		}
	})
}

// ulpError is how far got is from want in units in the last place of want, less the absolute error allowed.
func ulpError(t *testing.T, op UnaryOp, x, got float32, want, absolute float64) float64 {
	g, rounded := float64(got), float64(float32(want))
	if math.IsInf(g, 0) && g == rounded || math.IsNaN(g) && math.IsNaN(want) {
		return 0
	}
	if g == rounded {
		return max(0, ulps(g-want, want)-ulps(absolute, want))
	}
	if math.IsNaN(g) != math.IsNaN(want) || math.IsInf(g, 0) || math.IsInf(rounded, 0) {
		if closedGate(op, x) {
			return 0
		}
		t.Errorf("op %d of %v is %v, want %v", op, x, g, want)
		return 0
	}
	return ulps(max(0, math.Abs(g-want)-absolute), want)
}

// closedGate tells where x times a gate that is 0 in float32 is NaN or −0 instead of something next to nothing.
func closedGate(op UnaryOp, x float32) bool {
	return op >= Gelu && x < -1e10
}

func ulps(difference, of float64) float64 {
	if math.IsInf(of, 0) || math.IsNaN(of) || difference == 0 {
		return 0
	}
	_, exponent := math.Frexp(of)
	return math.Abs(difference) / math.Ldexp(1, max(exponent-24, -149))
}

// TestElementwiseLengths compares every function with the portable one at every length up to a few vectors: no result
// depends on the place of its number, and nothing outside is written.
func TestElementwiseLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	eachSet(t, func(t *testing.T) {
		for n := range 70 {
			x, y, z := randomNumbers(r, n), randomNumbers(r, n), randomNumbers(r, n)
			for op := range unaryOps {
				dst, check := guarded(t, n)
				Unary(op, dst, x)
				check()
				for i := range x {
					var one [1]float32
					Unary(op, one[:], x[i:i+1])
					sameBits(t, fmt.Sprintf("op %d alone", op), one[:], dst[i:i+1])
				}
			}
			for op := range binaryOps {
				compareLengths(t, n, func(dst []float32) { Binary(op, dst, x, y) }, func(dst []float32) { portable.binary[op](dst, x, y) })
				compareLengths(t, n, func(dst []float32) { BinaryScalar(op, dst, x, 1.5) }, func(dst []float32) { portable.binaryScalar[op](dst, x, 1.5) })
				compareLengths(t, n, func(dst []float32) { ScalarBinary(op, dst, 1.5, x) }, func(dst []float32) { portable.scalarBinary[op](dst, 1.5, x) })
			}
			compareLengths(t, n, func(dst []float32) { MulAdd(dst, x, y, z) }, func(dst []float32) { mulAddPortable(dst, x, y, z) })
			compareLengths(t, n, func(dst []float32) { Affine(dst, x, 2.5, -1) }, func(dst []float32) { affinePortable(dst, x, 2.5, -1) })
			compareLengths(t, n, func(dst []float32) { ExpSub(dst, x, 0.5) }, func(dst []float32) { expSubPortable(dst, x, 0.5) })
			compareLengths(t, n, func(dst []float32) { copy(dst, y); Axpy(dst, 3, x) }, func(dst []float32) { copy(dst, y); axpyPortable(dst, 3, x) })
			compareLengths(t, n, func(dst []float32) { active.normalize(dst, x, y, z, 0.1, 2) }, func(dst []float32) { normalizePortable(dst, x, y, z, 0.1, 2) })
			compareLengths(t, n, func(dst []float32) { copy(dst, y); active.addSquares(dst, x, z) }, func(dst []float32) { copy(dst, y); addSquaresPortable(dst, x, z) })
		}
	})
}

func compareLengths(t *testing.T, n int, f, reference func(dst []float32)) {
	t.Helper()
	dst, check := guarded(t, n)
	f(dst)
	check()
	want := make([]float32, n)
	reference(want)
	near(t, fmt.Sprintf("length %d", n), dst, widen(want), 1e-6)
}

func TestBinaryEdges(t *testing.T) {
	var x, y []float32
	for _, v := range edgeNumbers {
		for _, w := range edgeNumbers {
			x, y = append(x, v), append(y, w)
		}
	}
	eachSet(t, func(t *testing.T) {
		for op := range binaryOps {
			got, want := make([]float32, len(x)), make([]float32, len(x))
			Binary(op, got, x, y)
			portable.binary[op](want, x, y)
			near(t, fmt.Sprintf("op %d", op), got, widen(want), 0)
			got, want = got[:len(edgeNumbers)], want[:len(edgeNumbers)]
			for _, s := range edgeNumbers {
				BinaryScalar(op, got, edgeNumbers, s)
				portable.binaryScalar[op](want, edgeNumbers, s)
				near(t, fmt.Sprintf("op %d of all and %v", op, s), got, widen(want), 0)
				ScalarBinary(op, got, s, edgeNumbers)
				portable.scalarBinary[op](want, s, edgeNumbers)
				near(t, fmt.Sprintf("op %d of %v and all", op, s), got, widen(want), 0)
			}
		}
	})
}

func TestReductionsOfRows(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	eachSet(t, func(t *testing.T) {
		for n := range 200 {
			x, y := randomNumbers(r, n), randomNumbers(r, n)
			var sum, squares, dot float64
			for i, v := range x {
				sum += float64(v)
				squares += (float64(v) - 0.5) * (float64(v) - 0.5)
				dot += float64(v) * float64(y[i])
			}
			near(t, "sums", []float32{Sum(x), SumSquares(x, 0.5), Dot(x, y)}, []float64{sum, squares, dot}, 1e-6)
			near(t, "extrema", []float32{Maximum(x), Minimum(x)}, []float64{float64(maximumPortable(x)), float64(minimumPortable(x))}, 0)
			if n > 0 {
				x[r.IntN(n)] = float32(math.NaN())
				near(t, "extrema with NaN", []float32{Maximum(x), Minimum(x), Sum(x)}, []float64{math.NaN(), math.NaN(), math.NaN()}, 0)
				x[0] = float32(math.Inf(1))
				near(t, "infinity", []float32{SumSquares(x[:1], 0)}, []float64{math.Inf(1)}, 0)
			}
		}
	})
}

func TestHalves(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	eachSet(t, func(t *testing.T) {
		for name, f := range map[string][2]func(dst []float32, src []uint16){
			"float16": {Float16ToFloat32, float16To32Portable}, "bfloat16": {BFloat16ToFloat32, bfloat16To32Portable},
		} {
			got, check := guarded(t, len(all)-3)
			f[0](got, all)
			check()
			want := make([]float32, len(all))
			f[1](want, all)
			sameBits(t, name, got, want[:len(got)])
		}
	})
}

// TestFloat16Values holds the portable conversion to numbers of IEEE 754.
func TestFloat16Values(t *testing.T) {
	got := make([]float32, 7)
	float16To32Portable(got, []uint16{0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x7c00, 0x8000})
	near(t, "float16", got, []float64{1, -2, 65504, math.Ldexp(1, -24), math.Ldexp(1, -14), math.Inf(1), 0}, 0)
}
