// Command jpeg writes the functions of package jpeg for AVX2 and BMI2: avx2_amd64.s and their Go declarations. Run it with go generate in that
// package's folder. It is in a module of its own, so that nobody who builds the package needs avo.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	coefficients()
	inverse()
	weigh()
	triangle()
	colours()
	Generate()
}

func function(name, signature string, body func()) {
	TEXT(name, NOSPLIT, signature)
	Doc(name + " is a function of an instructionSet.")
	Pragma("noescape")
	body()
	VZEROUPPER()
	RET()
}

var constants = map[string]Mem{}

// words is a constant: 16-bit values, repeated to 32 bytes.
func words(values ...int16) Mem {
	name := "words"
	for _, v := range values {
		name += fmt.Sprintf("_%04x", uint16(v))
	}
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 16 {
		DATA(2*i, U16(uint16(values[i%len(values)])))
	}
	constants[name] = m
	return m
}

// long is a constant: a 32-bit value, repeated to 32 bytes.
func long(v int32) Mem { return words(int16(v), int16(v>>16)) }

// order is a constant for VPSHUFB: 16 positions, of which negative ones give zero, repeated to 32 bytes.
func order(name string, positions ...int) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(uint8(int8(positions[i%16]))))
	}
	return m
}

// each emits a loop over i from 0 in steps, while a whole step is left of n.
func each(n, i GPVirtual, step int, body func()) {
	XORQ(i, i)
	SUBQ(Imm(uint64(step-1)), n)
	JMP(LabelRef("check"))
	Label("loop")
	body()
	ADDQ(Imm(uint64(step)), i)
	Label("check")
	CMPQ(i, n)
	JLT(LabelRef("loop"))
}

// coefficients emits what coefficientsPortable does, step by step.
func coefficients() {
	function("coefficientsAVX2", "func(data *byte, at int, next uint64, n int, look *uint32, zigzag *uint8, block *int16, k int) (at1 int, next1 uint64, n1 int, k1 int)", func() {
		load := func(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }
		data, at, next, n := load("data"), load("at"), load("next"), load("n")
		look, zigzag, block, k := load("look"), load("zigzag"), load("block"), load("k")
		entry, t, v := GP64(), GP64(), GP64()
		Label("loop")
		CMPQ(k, Imm(64))
		JGE(LabelRef("done"))
		MOVQ(Mem{Base: data, Index: at, Scale: 1}, v) // fill
		BSWAPQ(v)
		SHRXQ(n, v, v)
		ORQ(v, next)
		MOVL(U32(63), t.As32())
		SUBQ(n, t)
		SHRQ(Imm(3), t)
		ADDQ(t, at)
		ORQ(Imm(56), n)
		MOVQ(next, t)
		SHRQ(Imm(64-10), t)
		MOVL(Mem{Base: look, Index: t, Scale: 4}, entry.As32())
		MOVL(entry.As32(), t.As32())
		ANDL(Imm(63), t.As32())
		CMPL(entry.As32(), U32(0x10000))
		JCS(LabelRef("symbol"))
		SHLXQ(entry, next, next)
		SUBQ(t, n)
		MOVL(entry.As32(), t.As32())
		SHRL(Imm(8), t.As32())
		MOVBLZX(t.As8(), t.As32())
		ADDQ(t, k)
		SHRL(Imm(16), entry.As32())
		MOVBLZX(Mem{Base: zigzag, Index: k, Scale: 1}, t.As32())
		MOVW(entry.As16(), Mem{Base: block, Index: t, Scale: 2})
		INCQ(k)
		JMP(LabelRef("loop"))

		Label("symbol")
		TESTL(entry.As32(), entry.As32())
		JZ(LabelRef("done"))
		SHLXQ(entry, next, next)
		SUBQ(t, n)
		SHRL(Imm(8), entry.As32())
		MOVL(entry.As32(), t.As32())
		ANDL(Imm(15), t.As32())
		JZ(LabelRef("noValue"))
		SHRL(Imm(4), entry.As32())
		ADDQ(entry, k)
		SUBQ(t, n)
		negative, one := GP64(), GP64()
		MOVQ(next, negative) // all ones where the first bit of the value is 0: 1 - 1<<size is to be added
		NOTQ(negative)
		SARQ(Imm(63), negative)
		MOVL(U32(1), one.As32())
		SHLXQ(t, one, v)
		SUBQ(v, one)
		ANDQ(negative, one)
		SHLXQ(t, next, v)
		NEGQ(t)
		SHRXQ(t, next, next) // by 64 - size
		ADDQ(next, one)
		MOVQ(v, next)
		MOVBLZX(Mem{Base: zigzag, Index: k, Scale: 1}, t.As32())
		MOVW(one.As16(), Mem{Base: block, Index: t, Scale: 2})
		INCQ(k)
		JMP(LabelRef("loop"))

		Label("noValue")
		ADDQ(Imm(16), k)
		CMPL(entry.As32(), Imm(0xf0))
		JEQ(LabelRef("loop"))
		MOVL(U32(64), k.As32())
		Label("done")
		Store(at, ReturnIndex(0))
		Store(next, ReturnIndex(1))
		Store(n, ReturnIndex(2))
		Store(k, ReturnIndex(3))
	})
}

// columns are the eight inputs or outputs of a transform, each 16 values of 16 bits: eight of one block, eight of another.
type columns [8]VecVirtual

// inverse emits the inverse cosine transform of pairs of blocks: the even one in the lower lanes, the odd one in the upper lanes.
func inverse() {
	function("inverseAVX2", "func(samples *uint8, stride int, coefficients *int16, pairs int, quant *uint16)", func() {
		samples, stride := Load(Param("samples"), GP64()), Load(Param("stride"), GP64())
		coefficients, pairs := Load(Param("coefficients"), GP64()), Load(Param("pairs"), GP64())
		quant := Load(Param("quant"), GP64())
		stride3, stride4 := GP64(), GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
		MOVQ(stride, stride4)
		SHLQ(Imm(2), stride4)
		high := AllocLocal(8 * 32)
		Label("loop")
		var c columns
		below := YMM()
		for y := range c {
			c[y] = YMM()
			q := YMM()
			VMOVDQU(Mem{Base: coefficients}.Offset(16*y), c[y]) // 16 bytes too many, which the next replaces
			VINSERTI128(Imm(1), Mem{Base: coefficients}.Offset(128+16*y), c[y], c[y])
			switch y {
			case 0:
			case 1:
				VMOVDQA(c[1], below)
			default:
				VPOR(c[y], below, below)
			}
			VBROADCASTI128(Mem{Base: quant}.Offset(16*y), q)
			VPMULLW(q, c[y], c[y])
		}
		wrapAlone(c[0], below)
		c = oneDimension(c, 11, high)
		c = transposed(c)
		c = oneDimension(c, 18, high)
		c = transposed(c)
		lower := GP64()
		LEAQ(Mem{Base: samples, Index: stride4, Scale: 1}, lower)
		row := func(y int) Mem {
			m := Mem{Base: samples}
			if y >= 4 {
				m.Base = lower
			}
			switch y % 4 {
			case 1:
				m.Index, m.Scale = stride, 1
			case 2:
				m.Index, m.Scale = stride, 2
			case 3:
				m.Index, m.Scale = stride3, 1
			}
			return m
		}
		for y := 0; y < 8; y += 2 {
			VPACKSSWB(c[y+1], c[y], c[y])
			VPADDB(words(-0x7f80), c[y], c[y]) // 128 in every byte
			VPERMQ(Imm(0b11011000), c[y], c[y])
			VMOVDQU(c[y].AsX(), row(y))
			VEXTRACTI128(Imm(1), c[y], row(y+1))
		}
		ADDQ(Imm(16), samples)
		ADDQ(U32(256), coefficients)
		DECQ(pairs)
		JNZ(LabelRef("loop"))
	})
}

// wrapAlone emits wrapped of the portable functions, in the lanes where there is nothing below the first row.
func wrapAlone(first, below VecVirtual) {
	swapped, wrapped := YMM(), YMM()
	VPXOR(swapped, swapped, swapped)
	VPCMPEQQ(swapped, below, below)
	VPSHUFD(Imm(0b01001110), below, swapped)
	VPAND(swapped, below, below)
	VPSLLW(Imm(2), first, wrapped)
	VPSRAW(Imm(2), wrapped, wrapped)
	VPBLENDVB(below, wrapped, first, first)
}

// oneDimension emits the transform of eight inputs, rounded by `shift` bits: oneDimension of the portable functions. Its upper half
// waits in `high`.
func oneDimension(in columns, shift int, high Mem) (out columns) {
	added := func(i, k int, add func(...Op)) VecVirtual {
		r := YMM()
		add(in[k], in[i], r)
		return r
	}
	sum04, difference04 := added(0, 4, VPADDW), added(0, 4, VPSUBW)
	for _, upper := range []bool{true, false} {
		unpack := VPUNPCKLWD
		if upper {
			unpack = VPUNPCKHWD
		}
		both := func(a, b VecVirtual) VecVirtual {
			r := YMM()
			unpack(b, a, r)
			return r
		}
		product := func(x VecVirtual, a, b int16) VecVirtual {
			r := YMM()
			VPMADDWD(words(a, b), x, r)
			return r
		}
		scaled := func(x VecVirtual) VecVirtual { // by 13 bits, with the rounding
			r := both(x, x)
			VPSRAD(Imm(16), r, r)
			VPSLLD(Imm(13), r, r)
			VPADDD(long(1<<(shift-1)), r, r)
			return r
		}
		sum, difference := scaled(sum04), scaled(difference04)
		x26 := both(in[2], in[6])
		a, b := product(x26, 10703, 4433), product(x26, 4433, -10704)
		even := [4]VecVirtual{YMM(), YMM(), difference, sum}
		VPADDD(a, sum, even[0])
		VPADDD(b, difference, even[1])
		VPSUBD(b, difference, even[2])
		VPSUBD(a, sum, even[3])
		z4 := both(added(7, 3, VPADDW), added(5, 1, VPADDW))
		z3 := product(z4, -6436, 9633)
		VPMADDWD(words(9633, 6437), z4, z4)
		for i, o := range []struct {
			a, b   int
			fa, fb int16
			z      VecVirtual
		}{{7, 1, -7373, 4926, z4}, {5, 3, -20995, 4177, z3}, {5, 3, -4176, -20995, z4}, {7, 1, -4927, -7373, z3}} {
			odd := both(in[o.a], in[o.b])
			VPMADDWD(words(o.fa, o.fb), odd, odd)
			VPADDD(o.z, odd, odd)
			first, last := YMM(), even[i]
			VPADDD(odd, even[i], first)
			VPSUBD(odd, even[i], last)
			out[i], out[7-i] = first, last
			for _, at := range []int{i, 7 - i} {
				VPSRAD(Imm(uint64(shift)), out[at], out[at])
				if upper {
					VMOVDQU(out[at], high.Offset(32*at))
				} else {
					VPACKSSDW(high.Offset(32*at), out[at], out[at])
				}
			}
		}
	}
	return out
}

// transposed emits the transposition of 8 × 8 words in both lanes.
func transposed(c columns) columns {
	for range 3 { // a perfect shuffle of rows and of their words; three of them transpose
		var next columns
		for i := range 4 {
			next[2*i], next[2*i+1] = YMM(), YMM()
			VPUNPCKLWD(c[i+4], c[i], next[2*i])
			VPUNPCKHWD(c[i+4], c[i], next[2*i+1])
		}
		c = next
	}
	return c
}

func weigh() {
	function("weighAVX2", "func(sums *uint16, near, far *uint8, n, a, b int)", func() {
		sums, near, far := Load(Param("sums"), GP64()), Load(Param("near"), GP64()), Load(Param("far"), GP64())
		n, i := Load(Param("n"), GP64()).(GPVirtual), GP64()
		a, b := broadcast("a"), broadcast("b")
		each(n, i, 16, func() {
			x, y := YMM(), YMM()
			VPMOVZXBW(Mem{Base: near, Index: i, Scale: 1}, x)
			VPMOVZXBW(Mem{Base: far, Index: i, Scale: 1}, y)
			VPMULLW(a, x, x)
			VPMULLW(b, y, y)
			VPADDW(y, x, x)
			VMOVDQU(x, Mem{Base: sums, Index: i, Scale: 2})
		})
	})
}

// broadcast loads a parameter into all 16 words of a register.
func broadcast(name string) VecVirtual {
	general, r := Load(Param(name), GP64()), YMM()
	VMOVQ(general, r.AsX())
	VPBROADCASTW(r.AsX(), r)
	return r
}

func triangle() {
	function("triangleAVX2", "func(out *uint8, sums *uint16, n, biasEven, biasOdd, shift int)", func() {
		out, sums := Load(Param("out"), GP64()), Load(Param("sums"), GP64())
		n, i := Load(Param("n"), GP64()).(GPVirtual), GP64()
		biasEven, biasOdd := broadcast("biasEven"), broadcast("biasOdd")
		shift := XMM()
		VMOVQ(Load(Param("shift"), GP64()), shift)
		each(n, i, 16, func() {
			left, here, right := YMM(), YMM(), YMM()
			at := Mem{Base: sums, Index: i, Scale: 2}
			VMOVDQU(at.Offset(2), here)
			VPADDW(here, here, left)
			VPADDW(left, here, here)
			VPADDW(at, here, left)
			VPADDW(at.Offset(4), here, right)
			VPADDW(biasEven, left, left)
			VPADDW(biasOdd, right, right)
			VPSRLW(shift, left, left)
			VPSRLW(shift, right, right)
			VPSLLW(Imm(8), right, right) // values of a byte: even ones below, odd ones above
			VPOR(right, left, left)
			VMOVDQU(left, Mem{Base: out, Index: i, Scale: 2})
		})
	})
}

// colours emits YCbCr to RGB: 16 pixels at a time. Factors beyond 16 bits leave whole multiples to additions.
func colours() {
	function("coloursAVX2", "func(out, luma, cb, cr *uint8, n int)", func() {
		out, luma := Load(Param("out"), GP64()), Load(Param("luma"), GP64())
		cb, cr := Load(Param("cb"), GP64()), Load(Param("cr"), GP64())
		n, i := Load(Param("n"), GP64()).(GPVirtual), GP64()
		// Of eight pixels: a register of red (0 to 7) and green (8 to 15), one of blue.
		rg0 := order("rg0", 0, 8, -1, 1, 9, -1, 2, 10, -1, 3, 11, -1, 4, 12, -1, 5)
		b0 := order("b0", -1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1)
		rg1 := order("rg1", 13, -1, 6, 14, -1, 7, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1)
		b1 := order("b1", -1, 5, -1, -1, 6, -1, -1, 7, -1, -1, -1, -1, -1, -1, -1, -1)
		each(n, i, 16, func() {
			at := func(base Register) Mem { return Mem{Base: base, Index: i, Scale: 1} }
			y, u, v := YMM(), YMM(), YMM()
			VPMOVZXBW(at(luma), y)
			VPMOVZXBW(at(cb), u)
			VPMOVZXBW(at(cr), v)
			VPSUBW(words(128), u, u)
			VPSUBW(words(128), v, v)
			two := YMM()
			VMOVDQU(words(2), two)

			red := scaled(v, two, 26345, 16384, 0) // 1.402 Cr = Cr + 26345/65536 Cr
			VPADDW(v, red, red)
			VPADDW(y, red, red)
			blue := scaled(u, two, -14942, 16384, 0) // 1.772 Cb = 2 Cb - 14942/65536 Cb
			VPADDW(u, blue, blue)
			VPADDW(u, blue, blue)
			VPADDW(y, blue, blue)
			green := scaled(u, v, -22554, 18734, 1<<15) // -0.34414 Cb - 0.71414 Cr, the latter 18734/65536 Cr - Cr
			VPSUBW(v, green, green)
			VPADDW(y, green, green)

			VPACKUSWB(green, red, red)
			VPACKUSWB(blue, blue, blue)
			first, rest, part := YMM(), YMM(), YMM()
			VPSHUFB(rg0, red, first)
			VPSHUFB(b0, blue, part)
			VPOR(part, first, first)
			VPSHUFB(rg1, red, rest)
			VPSHUFB(b1, blue, blue)
			VPOR(blue, rest, rest)
			VMOVDQU(first.AsX(), Mem{Base: out})
			VMOVQ(rest.AsX(), Mem{Base: out}.Offset(16))
			VEXTRACTI128(Imm(1), first, Mem{Base: out}.Offset(24))
			VEXTRACTI128(Imm(1), rest, rest.AsX())
			VMOVQ(rest.AsX(), Mem{Base: out}.Offset(40))
			ADDQ(Imm(48), out)
		})
	})
}

// scaled emits (x·a + y·b + round) >> 16.
func scaled(x, y VecVirtual, a, b int16, round int32) VecVirtual {
	low, high := YMM(), YMM()
	VPUNPCKLWD(y, x, low)
	VPUNPCKHWD(y, x, high)
	for _, half := range []VecVirtual{low, high} {
		VPMADDWD(words(a, b), half, half)
		if round != 0 {
			VPADDD(long(round), half, half)
		}
		VPSRAD(Imm(16), half, half)
	}
	VPACKSSDW(high, low, low)
	return low
}
