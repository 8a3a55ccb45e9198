package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// avx512 tells which instruction set is written: AVX-512, else AVX2 with FMA.
var avx512 bool

// suffix ends the names of functions.
func suffix() string {
	if avx512 {
		return "AVX512"
	}
	return "AVX2"
}

// lanes is how many float32 a register has.
func lanes() int {
	if avx512 {
		return 16
	}
	return 8
}

// newRegister is a register of the instruction set's full width.
func newRegister() VecVirtual {
	if avx512 {
		return ZMM()
	}
	return YMM()
}

// A vec is one or several registers of float32 that the same instructions work on in turn, so that the latency of one
// hides behind the others.
type vec []VecVirtual

// An operand is a vec as wide as the other operands, or one register or address that stands for all of them.
type operand any

// direct makes a constant a register where an instruction would read it from memory once for each register of a vec:
// AVX-512 has registers enough, and its constants are single words.
func direct(o operand) operand {
	if m, ok := o.(Mem); ok && avx512 {
		if r, ok := held[m.Symbol.Name]; ok {
			return r
		}
		return load(m)
	}
	return o
}

// held are the constants that stay in registers throughout a function, by their symbols.
var held map[string]VecVirtual

func hold(constants ...Mem) {
	held = map[string]VecVirtual{}
	for _, m := range constants {
		held[m.Symbol.Name] = load(m)
	}
}

func lane(o operand, i int) Op {
	if v, ok := o.(vec); ok {
		return v[i]
	}
	return o.(Op)
}

// each gives new registers, filled by f from those of x.
func each(x vec, f func(i int, r VecVirtual)) vec {
	out := make(vec, len(x))
	for i := range x {
		out[i] = newRegister()
		f(i, out[i])
	}
	return out
}

var constants = map[uint32]Mem{}

// word is the address of a word: of eight copies, or with AVX-512 of one.
func word(bits uint32) Mem {
	if m, ok := constants[bits]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("word%08x", bits), RODATA|NOPTR)
	copies := 8
	if avx512 {
		copies = 1
	}
	for i := range copies {
		DATA(4*i, U32(bits))
	}
	constants[bits] = m
	return m
}

// number is word of a float32.
func number(x float64) Mem { return word(math.Float32bits(float32(x))) }

// load reads a constant.
func load(constant Mem) VecVirtual {
	r := newRegister()
	loadInto(constant, r)
	return r
}

func loadInto(constant Mem, r VecVirtual) {
	if avx512 {
		VBROADCASTSS(constant, r)
	} else {
		VMOVUPS(constant, r)
	}
}

// loadNumbers reads one register of numbers.
func loadNumbers(m Mem) VecVirtual {
	r := newRegister()
	VMOVUPS(m, r)
	return r
}

// fill is a constant in as many registers as x has.
func fill(x vec, constant Mem) vec {
	return each(x, func(_ int, r VecVirtual) { loadInto(constant, r) })
}

const signBit = 1 << 31

// binary makes a function of two operands, in the order of the formula, of an instruction; the second may be memory.
func binary(instruction func(a, b, c Op)) func(x vec, y operand) vec {
	return func(x vec, y operand) vec {
		y = direct(y)
		return each(x, func(i int, r VecVirtual) { instruction(lane(y, i), x[i], r) })
	}
}

var (
	add = binary(func(a, b, c Op) { VADDPS(a, b, c) })
	sub = binary(func(a, b, c Op) { VSUBPS(a, b, c) })
	mul = binary(func(a, b, c Op) { VMULPS(a, b, c) })
	div = binary(func(a, b, c Op) { VDIVPS(a, b, c) })
	and = binary(func(a, b, c Op) { VANDPS(a, b, c) })
	or  = binary(func(a, b, c Op) { VORPS(a, b, c) })
	xor = binary(func(a, b, c Op) { VXORPS(a, b, c) })

	// maxOrSecond and minOrSecond give y if either is NaN.
	maxOrSecond = binary(func(a, b, c Op) { VMAXPS(a, b, c) })
	minOrSecond = binary(func(a, b, c Op) { VMINPS(a, b, c) })

	addInts = binary(func(a, b, c Op) { VPADDD(a, b, c) })
	subInts = binary(func(a, b, c Op) { VPSUBD(a, b, c) })
)

func unary(instruction func(a, b Op)) func(x vec) vec {
	return func(x vec) vec { return each(x, func(i int, r VecVirtual) { instruction(x[i], r) }) }
}

var (
	sqrt    = unary(func(a, b Op) { VSQRTPS(a, b) })
	round   = unary(func(a, b Op) { VROUNDPS(Imm(0), a, b) })
	toInt   = unary(func(a, b Op) { VCVTPS2DQ(a, b) })
	fromInt = unary(func(a, b Op) { VCVTDQ2PS(a, b) })
)

func shiftLeft(x vec, bits uint64) vec {
	return each(x, func(i int, r VecVirtual) { VPSLLD(Imm(bits), x[i], r) })
}

func shiftRight(x vec, bits uint64) vec {
	return each(x, func(i int, r VecVirtual) { VPSRLD(Imm(bits), x[i], r) })
}

func halve(x vec) vec { return each(x, func(i int, r VecVirtual) { VPSRAD(Imm(1), x[i], r) }) }

// fma is x·y + z in new registers; y and z may be memory.
func fma(x vec, y, z operand) vec {
	y = direct(y)
	return each(x, func(i int, r VecVirtual) {
		if m, ok := lane(z, i).(Mem); ok && avx512 {
			loadInto(m, r)
			VFMADD231PS(lane(y, i), x[i], r)
			return
		} else if ok {
			VMOVAPS(x[i], r)
			VFMADD213PS(m, register(lane(y, i)), r)
			return
		}
		VMOVAPS(lane(z, i), r)
		VFMADD231PS(lane(y, i), x[i], r)
	})
}

// register is o, read into a register if it is memory.
func register(o Op) Op {
	if m, ok := o.(Mem); ok {
		return load(m)
	}
	return o
}

// fnma is z − x·y in new registers; y may be memory.
func fnma(x vec, y operand, z vec) vec {
	y = direct(y)
	return each(x, func(i int, r VecVirtual) {
		VMOVAPS(z[i], r)
		VFNMADD231PS(lane(y, i), x[i], r)
	})
}

// polynomial is Horner's scheme in x, the highest coefficient first.
func polynomial(x vec, coefficients ...float64) vec {
	return continued(fill(x, number(coefficients[0])), x, coefficients[1:]...)
}

// continued goes on with Horner's scheme from r, in place.
func continued(r, x vec, coefficients ...float64) vec {
	for _, c := range coefficients {
		constant := direct(number(c))
		for i := range r {
			VFMADD213PS(lane(constant, i), x[i], r[i])
		}
	}
	return r
}

// accumulate adds x·y to acc in place.
func accumulate(acc, x vec, y operand) {
	y = direct(y)
	for i := range x {
		VFMADD231PS(lane(y, i), x[i], acc[i])
	}
}

// deduct takes x·y from acc in place.
func deduct(acc, x vec, y operand) {
	y = direct(y)
	for i := range x {
		VFNMADD231PS(lane(y, i), x[i], acc[i])
	}
}

// Predicates of compare.
const (
	equal       = 0
	lessThan    = 1
	unordered   = 3
	notLess     = 5 // or unordered
	greaterThan = 14
)

// A mask says of every lane of a vec yes or no: in registers of all ones or zeros, or with AVX-512 in mask registers.
type mask []Register

// compare is the mask of where x and y, in this order, satisfy the predicate.
func compare(predicate uint64, x vec, y operand) mask {
	y = direct(y)
	m := make(mask, len(x))
	for i := range x {
		if avx512 {
			m[i] = K()
		} else {
			m[i] = YMM()
		}
		VCMPPS(Imm(predicate), lane(y, i), x[i], m[i])
	}
	return m
}

// choose is y where m is set, else x.
func choose(m mask, x vec, y operand) vec {
	y = direct(y)
	return each(x, func(i int, r VecVirtual) {
		if avx512 {
			VBLENDMPS(lane(y, i), x[i], m[i], r)
		} else {
			VBLENDVPS(m[i], lane(y, i), x[i], r)
		}
	})
}

// where is y where m is set, else 0.
func where(m mask, y operand) vec {
	y = direct(y)
	return each(make(vec, len(m)), func(i int, r VecVirtual) {
		if avx512 {
			VMOVAPS_Z(lane(y, i), m[i], r)
		} else {
			VANDPS(lane(y, i), m[i], r)
		}
	})
}

// whereNot is y where m is not set, else 0, with AVX2.
func whereNot(m mask, y operand) vec {
	return each(make(vec, len(m)), func(i int, r VecVirtual) { VANDNPS(lane(y, i), m[i], r) })
}

// powerOfTwo is 2ⁿ for whole n from −126 to 127 in int32 lanes.
func powerOfTwo(n vec) vec { return shiftLeft(addInts(n, word(127)), 23) }

// timesPowerOfTwo is y·2ⁿ for whole n in float32.
func timesPowerOfTwo(y, n vec) vec {
	return each(y, func(i int, r VecVirtual) { VSCALEFPS(n[i], y[i], r) })
}

// timesPowerOfTwoWhere is y·2ⁿ where m is set, else 0.
func timesPowerOfTwoWhere(m mask, y, n vec) vec {
	return each(y, func(i int, r VecVirtual) { VSCALEFPS_Z(n[i], y[i], m[i], r) })
}

// reciprocal is 1/x, within a unit in the last place, for normal x whose reciprocal is normal: Newton's step after 14 bits.
func reciprocal(x vec) vec {
	r := each(x, func(i int, r VecVirtual) { VRCP14PS(x[i], r) })
	e := fill(x, number(1))
	deduct(e, x, r)
	accumulate(r, r, e)
	return r
}

func zeros(n int) vec { return each(make(vec, n), func(_ int, r VecVirtual) { zero(r) }) }

func zero(r VecVirtual) {
	if avx512 {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

// fold combines the lanes of a register in its lowest, as foldLanes does.
func fold(x VecVirtual, f func(a, b, c Op)) {
	low, high := x.AsX(), XMM()
	if avx512 {
		half := YMM()
		VEXTRACTF64X4(Imm(1), x, half)
		f(half, x.AsY(), x.AsY())
		VEXTRACTF32X4(Imm(1), x.AsY(), high)
	} else {
		VEXTRACTF128(Imm(1), x, high)
	}
	f(high, low, low)
	VMOVHLPS(low, low, high)
	f(high, low, low)
	VMOVSHDUP(low, high)
	f(high, low, low)
}
