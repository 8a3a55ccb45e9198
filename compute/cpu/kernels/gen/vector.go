package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A vec is eight float32 in a register.
type vec = VecVirtual

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

const signBit = 1 << 31

// Each of these emits one instruction into a new register, operands in the order of the formula. The second operand may be
// memory.

func load(m Mem) vec {
	r := YMM()
	VMOVUPS(m, r)
	return r
}

func add(x vec, y Op) vec {
	r := YMM()
	VADDPS(y, x, r)
	return r
}

func sub(x vec, y Op) vec {
	r := YMM()
	VSUBPS(y, x, r)
	return r
}

func mul(x vec, y Op) vec {
	r := YMM()
	VMULPS(y, x, r)
	return r
}

func div(x vec, y Op) vec {
	r := YMM()
	VDIVPS(y, x, r)
	return r
}

// maxOrSecond and minOrSecond give y if either is NaN.
func maxOrSecond(x vec, y Op) vec {
	r := YMM()
	VMAXPS(y, x, r)
	return r
}

func minOrSecond(x vec, y Op) vec {
	r := YMM()
	VMINPS(y, x, r)
	return r
}

func and(x vec, y Op) vec {
	r := YMM()
	VANDPS(y, x, r)
	return r
}

func or(x vec, y Op) vec {
	r := YMM()
	VORPS(y, x, r)
	return r
}

func xor(x vec, y Op) vec {
	r := YMM()
	VXORPS(y, x, r)
	return r
}

func sqrt(x vec) vec {
	r := YMM()
	VSQRTPS(x, r)
	return r
}

// fma is x·y + z in a new register: x and y are kept, z is a register or memory.
func fma(x vec, y, z Op) vec {
	r := YMM()
	if m, ok := z.(Mem); ok {
		VMOVAPS(x, r)
		if n, ok := y.(Mem); ok {
			y = load(n)
		}
		VFMADD213PS(m, y, r)
		return r
	}
	VMOVAPS(z, r)
	VFMADD231PS(y, x, r)
	return r
}

// fnma is z − x·y in a new register.
func fnma(x vec, y Op, z vec) vec {
	r := YMM()
	VMOVAPS(z, r)
	VFNMADD231PS(y, x, r)
	return r
}

// polynomial is Horner's scheme in x, the highest coefficient first.
func polynomial(x vec, coefficients ...float64) vec {
	r := load(number(coefficients[0]))
	for _, c := range coefficients[1:] {
		VFMADD213PS(number(c), x, r)
	}
	return r
}

// Predicates of compare.
const (
	lessThan    = 1
	unordered   = 3
	greaterThan = 14
)

// compare is all ones where x and y, in this order, satisfy the predicate.
func compare(predicate uint64, x vec, y Op) vec {
	r := YMM()
	VCMPPS(Imm(predicate), y, x, r)
	return r
}

// choose is y where mask is set, else x.
func choose(mask, x vec, y Op) vec {
	r := YMM()
	VBLENDVPS(mask, y, x, r)
	return r
}

func round(x vec) vec {
	r := YMM()
	VROUNDPS(Imm(0), x, r)
	return r
}

// powerOfTwo is 2ⁿ for whole n from −126 to 127 in int32 lanes.
func powerOfTwo(n vec) vec {
	r := YMM()
	VPADDD(word(127), n, r)
	VPSLLD(Imm(23), r, r)
	return r
}

// foldSum leaves the sum of the lanes in the lowest, added as foldLanes does.
func foldSum(x vec) VecVirtual { return fold(x, func(a, b, c Op) { VADDPS(a, b, c) }) }

func fold(x vec, f func(a, b, c Op)) VecVirtual {
	low, high := x.AsX(), XMM()
	VEXTRACTF128(Imm(1), x, high)
	f(high, low, low)
	VMOVHLPS(low, low, high)
	f(high, low, low)
	VMOVSHDUP(low, high)
	f(high, low, low)
	return x
}
