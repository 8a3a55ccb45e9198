package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// winograd emits the one-dimensional transforms of F(4, 3), as the portable functions have them,
// for whole eights of numbers.
func winograd() {
	function("winogradInput", "func(dst []float32, dstStride int, src []float32, srcStride, n int)", func() {
		eachEight(6, func(d []vec) []vec {
			a, b := fnma(d[2], number(2), d[4]), mul(fnma(d[1], number(2), d[3]), number(1/math.Sqrt2))
			c, e := fnma(d[2], number(0.5), d[4]), mul(fnma(d[1], number(0.5), d[3]), number(math.Sqrt2))
			first, last := add(fnma(d[2], number(2.5), d[0]), d[4]), add(fnma(d[3], number(2.5), d[1]), d[5])
			return []vec{first, add(a, b), sub(a, b), add(c, e), sub(c, e), last}
		})
	})
	function("winogradWeights", "func(dst []float32, dstStride int, src []float32, srcStride, n int)", func() {
		eachEight(3, func(g []vec) []vec {
			a, b := fma(g[0], number(-2.0/3), mul(g[2], number(-1.0/3))), mul(g[1], number(math.Sqrt2/3))
			c, e := fma(g[0], number(1.0/6), mul(g[2], number(1.0/3))), mul(g[1], number(math.Sqrt2/6))
			return []vec{g[0], sub(a, b), add(a, b), add(c, e), sub(c, e), g[2]}
		})
	})
	function("winogradOutput", "func(dst []float32, dstStride int, src []float32, srcStride, n int)", func() {
		eachEight(6, func(m []vec) []vec {
			s, p, u, v := add(m[1], m[2]), sub(m[1], m[2]), add(m[3], m[4]), sub(m[3], m[4])
			return []vec{
				add(add(m[0], s), u),
				fma(p, number(1/math.Sqrt2), mul(v, number(math.Sqrt2))),
				fma(s, number(0.5), add(u, u)),
				add(fma(p, number(math.Sqrt2/4), mul(v, number(2*math.Sqrt2))), m[5]),
			}
		})
	})
}

// eachEight emits the loop that reads some rows and writes others, a register of each at a time; n is a multiple of eight.
func eachEight(read int, f func(rows []vec) []vec) {
	src, dst := rowsOf6("src", "srcStride"), rowsOf6("dst", "dstStride")
	n := Load(Param("n"), GP64())
	JMP(LabelRef("check"))
	Label("loop")
	rows := make([]vec, read)
	for i := range rows {
		rows[i] = vec{loadNumbers(src.row(i))}
	}
	for i, out := range f(rows) {
		VMOVUPS(out[0], dst.row(i))
	}
	src.next()
	dst.next()
	SUBQ(U8(lanes()), n)
	Label("check")
	CMPQ(n, U8(lanes()))
	JGE(LabelRef("loop"))
	if !avx512 {
		return
	}
	TESTQ(n, n)
	JZ(LabelRef("done"))
	there := maskOf(n)
	for i := range rows {
		rows[i] = vec{newRegister()}
		VMOVUPS_Z(src.row(i), there[0], rows[i][0])
	}
	for i, out := range f(rows) {
		VMOVUPS(out[0], there[0], dst.row(i))
	}
	Label("done")
}

// strided is six rows, a stride apart, at the current column.
type strided struct{ base, base3, stride Register }

func rowsOf6(name, stride string) strided {
	s := strided{base: Load(Param(name).Base(), GP64()), stride: Load(Param(stride), GP64()), base3: GP64()}
	SHLQ(Imm(2), s.stride)
	LEAQ(Mem{Base: s.base, Index: s.stride, Scale: 2}, s.base3)
	ADDQ(s.stride, s.base3)
	return s
}

func (s strided) row(i int) Mem { return rowAt(s.base, s.base3, s.stride, i) }

func (s strided) next() {
	ADDQ(Imm(uint64(4*lanes())), s.base)
	ADDQ(Imm(uint64(4*lanes())), s.base3)
}
