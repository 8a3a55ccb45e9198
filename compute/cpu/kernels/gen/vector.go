package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A vec is one or several registers of eight float32 that the same instructions work on in turn, so that the latency of one
// hides behind the others.
type vec []VecVirtual

// An operand is a vec as wide as the other operands, or one register or address that stands for all of them.
type operand any

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
		out[i] = YMM()
		f(i, out[i])
	}
	return out
}

var constants = map[uint32]Mem{}

// word is the address of eight copies of a word.
func word(bits uint32) Mem {
	if m, ok := constants[bits]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("word%08x", bits), RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(bits))
	}
	constants[bits] = m
	return m
}

// number is the address of eight copies of a float32.
func number(x float64) Mem { return word(math.Float32bits(float32(x))) }

// load reads one register.
func load(m Mem) VecVirtual {
	r := YMM()
	VMOVUPS(m, r)
	return r
}

// fill is a constant in as many registers as x has.
func fill(x vec, constant Mem) vec {
	return each(x, func(_ int, r VecVirtual) { VMOVUPS(constant, r) })
}

const signBit = 1 << 31

// binary makes a function of two operands, in the order of the formula, of an instruction; the second may be memory.
func binary(instruction func(a, b, c Op)) func(x vec, y operand) vec {
	return func(x vec, y operand) vec {
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

	// andNot is y where x is not set.
	andNot = binary(func(a, b, c Op) { VANDNPS(a, b, c) })

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
	return each(x, func(i int, r VecVirtual) {
		if m, ok := lane(z, i).(Mem); ok {
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
		for i := range r {
			VFMADD213PS(number(c), x[i], r[i])
		}
	}
	return r
}

// accumulate adds x·y to acc in place.
func accumulate(acc, x vec, y operand) {
	for i := range x {
		VFMADD231PS(lane(y, i), x[i], acc[i])
	}
}

// Predicates of compare.
const (
	equal       = 0
	lessThan    = 1
	unordered   = 3
	greaterThan = 14
)

// compare is all ones where x and y, in this order, satisfy the predicate.
func compare(predicate uint64, x vec, y operand) vec {
	return each(x, func(i int, r VecVirtual) { VCMPPS(Imm(predicate), lane(y, i), x[i], r) })
}

// choose is y where mask is set, else x.
func choose(mask, x vec, y operand) vec {
	return each(x, func(i int, r VecVirtual) { VBLENDVPS(mask[i], lane(y, i), x[i], r) })
}

// powerOfTwo is 2ⁿ for whole n from −126 to 127 in int32 lanes.
func powerOfTwo(n vec) vec { return shiftLeft(addInts(n, word(127)), 23) }

func zeros(n int) vec { return each(make(vec, n), func(_ int, r VecVirtual) { VXORPS(r, r, r) }) }

// fold combines the eight lanes of a register in its lowest, as foldLanes does.
func fold(x VecVirtual, f func(a, b, c Op)) {
	low, high := x.AsX(), XMM()
	VEXTRACTF128(Imm(1), x, high)
	f(high, low, low)
	VMOVHLPS(low, low, high)
	f(high, low, low)
	VMOVSHDUP(low, high)
	f(high, low, low)
}
