// Command pil writes the AVX2 functions of package pil: avx2_amd64.s and their Go declarations. Run it with go generate in that
// package's folder. It is in a module of its own, so that nobody who builds the package needs avo.
//
// Weights of 24 bits are too wide for VPMADDWD, which adds two products of 16 bits: they come in two parts, whose sums are put together
// at the end.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	row()
	column()
	Generate()
}

func function(name, signature, doc string, body func()) {
	TEXT(name, NOSPLIT, signature)
	Doc(name + " " + doc)
	Pragma("noescape")
	body()
	VZEROUPPER()
	RET()
}

func load(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

func zero() VecVirtual {
	r := YMM()
	VPXOR(r, r, r)
	return r
}

// rounding is half of a byte's one, eight times.
func rounding() VecVirtual {
	general, r := GP32(), YMM()
	MOVL(U32(1<<21), general)
	VMOVD(general, r.AsX())
	VPBROADCASTD(r.AsX(), r)
	return r
}

// finish puts the sums of both parts together, and drops the fractional bits.
func finish(upper, lower, half VecVirtual) {
	VPSLLD(Imm(12), upper, upper)
	VPADDD(lower, upper, upper)
	VPADDD(half, upper, upper)
	VPSRAD(Imm(22), upper, upper)
}

// order is a constant for VPSHUFB: red, green and blue of two pixels in turn, as words, from byte `start` on, in both lanes.
func order(name string, start int) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		position := 0xff // zero
		if i%2 == 0 && i%16 < 12 {
			position = start + i%16/4 + i%4/2*3
		}
		DATA(i, U8(uint8(position)))
	}
	return m
}

// row emits the convolution along two rows, one in each lane, four inputs at a time.
func row() {
	function("rowAVX2", "func(out0, out1, in0, in1 *uint8, first *int, kernel *uint32, n, groups int)",
		"convolves along two rows, as rowsAVX2 lays them out: n pixels, each of `groups` times four inputs. It writes one byte more.", func() {
			out0, out1, in0, in1 := load("out0"), load("out1"), load("in0"), load("in1")
			first, kernel, n, groups := load("first"), load("kernel"), load("n"), load("groups")
			pairs, after := YMM(), YMM()
			VMOVDQU(order("pairs", 0), pairs)
			VMOVDQU(order("after", 6), after)
			half := rounding()
			Label("pixel")
			at, group := GP64(), GP64()
			MOVQ(Mem{Base: first}, at)
			MOVQ(groups, group)
			upper, lower := zero(), zero()
			Label("group")
			x, y, k := YMM(), YMM(), YMM()
			VMOVDQU(Mem{Base: in0, Index: at, Scale: 1}, x.AsX())
			VINSERTI128(Imm(1), Mem{Base: in1, Index: at, Scale: 1}, x, x)
			VPSHUFB(after, x, y)
			VPSHUFB(pairs, x, x)
			for i, pixels := range []VecVirtual{x, y} {
				for part, sum := range []VecVirtual{upper, lower} {
					VPBROADCASTD(Mem{Base: kernel}.Offset(4*(2*part+i)), k)
					VPMADDWD(pixels, k, k)
					VPADDD(k, sum, sum)
				}
			}
			ADDQ(Imm(12), at)
			ADDQ(Imm(16), kernel)
			DECQ(group)
			JNZ(LabelRef("group"))
			finish(upper, lower, half)
			VPACKSSDW(upper, upper, upper)
			VPACKUSWB(upper, upper, upper)
			VMOVD(upper.AsX(), Mem{Base: out0})
			VEXTRACTI128(Imm(1), upper, upper.AsX())
			VMOVD(upper.AsX(), Mem{Base: out1})
			ADDQ(Imm(3), out0)
			ADDQ(Imm(3), out1)
			ADDQ(Imm(8), first)
			DECQ(n)
			JNZ(LabelRef("pixel"))
		})
}

// column emits the convolution down 16 columns at a time, two inputs at a time.
func column() {
	function("columnAVX2", "func(out, in *uint8, stride, n int, kernel *uint32, taps int)",
		"convolves down n columns, n at least 16, as columnsAVX2 lays them out: of `taps` inputs, stride bytes apart.", func() {
			out, in, stride, n := load("out"), load("in"), load("stride"), load("n")
			kernel, taps := load("kernel"), load("taps")
			half := rounding()
			x, last := GP64(), GP64()
			XORQ(x, x)
			MOVQ(n, last)
			SUBQ(Imm(16), last)
			Label("columns")
			upper0, upper1, lower0, lower1 := zero(), zero(), zero(), zero()
			source, weights, left := GP64(), GP64(), GP64()
			LEAQ(Mem{Base: in, Index: x, Scale: 1}, source)
			MOVQ(kernel, weights)
			MOVQ(taps, left)
			a, b := YMM(), YMM()
			Label("taps")
			VPMOVZXBW(Mem{Base: source}, a)
			VPXOR(b, b, b)
			CMPQ(left, Imm(1))
			JEQ(LabelRef("single"))
			VPMOVZXBW(Mem{Base: source, Index: stride, Scale: 1}, b)
			Label("single")
			first, second := YMM(), YMM()
			VPUNPCKLWD(b, a, first)
			VPUNPCKHWD(b, a, second)
			upper, lower, product := YMM(), YMM(), YMM()
			VPBROADCASTD(Mem{Base: weights}, upper)
			VPBROADCASTD(Mem{Base: weights}.Offset(4), lower)
			for _, p := range []struct{ pixels, kernel, sum VecVirtual }{{first, upper, upper0}, {second, upper, upper1}, {first, lower, lower0}, {second, lower, lower1}} {
				VPMADDWD(p.pixels, p.kernel, product)
				VPADDD(product, p.sum, p.sum)
			}
			LEAQ(Mem{Base: source, Index: stride, Scale: 2}, source)
			ADDQ(Imm(8), weights)
			SUBQ(Imm(2), left)
			JG(LabelRef("taps"))
			finish(upper0, lower0, half)
			finish(upper1, lower1, half)
			VPACKSSDW(upper1, upper0, upper0)
			VPACKUSWB(upper0, upper0, upper0)
			VPERMQ(Imm(0b1000), upper0, upper0)
			VMOVDQU(upper0.AsX(), Mem{Base: out, Index: x, Scale: 1})
			CMPQ(x, last)
			JEQ(LabelRef("done"))
			ADDQ(Imm(16), x)
			CMPQ(x, last)
			JLE(LabelRef("columns"))
			MOVQ(last, x) // the last 16, some of them again
			JMP(LabelRef("columns"))
			Label("done")
		})
}
