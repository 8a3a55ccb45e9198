package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose emits the transposition of 8 × 8 numbers: pairs, quadruples, halves.
func transpose() {
	function("transpose8x8", "func(dst []float32, dstStride int, src []float32, srcStride int)", func() {
		src := rowsOf8("src", "srcStride")
		var r, s [8]VecVirtual
		for i := range r {
			r[i] = loadNumbers(src(i))
		}
		for i := 0; i < 8; i += 2 {
			s[i], s[i+1] = YMM(), YMM()
			VUNPCKLPS(r[i+1], r[i], s[i])
			VUNPCKHPS(r[i+1], r[i], s[i+1])
		}
		for i := 0; i < 8; i += 4 {
			for k := range 4 {
				r[i+k] = YMM()
				VSHUFPS(Imm(uint64(0x44+0xaa*(k%2))), s[i+2+k/2], s[i+k/2], r[i+k])
			}
		}
		dst := rowsOf8("dst", "dstStride")
		for k := range 4 {
			low, high := YMM(), YMM()
			VPERM2F128(Imm(0x20), r[4+k], r[k], low)
			VPERM2F128(Imm(0x31), r[4+k], r[k], high)
			VMOVUPS(low, dst(k))
			VMOVUPS(high, dst(4+k))
		}
	})
}

// rowsOf8 gives the addresses of eight rows, stride elements apart.
func rowsOf8(name, stride string) func(i int) Mem {
	base := Load(Param(name).Base(), GP64())
	step := Load(Param(stride), GP64())
	SHLQ(Imm(2), step)
	base3, base6 := GP64(), GP64()
	LEAQ(Mem{Base: base, Index: step, Scale: 2}, base3)
	ADDQ(step, base3)
	LEAQ(Mem{Base: base3, Index: step, Scale: 2}, base6)
	ADDQ(step, base6)
	return func(i int) Mem {
		m := Mem{Base: []Register{base, base3, base6}[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = step, uint8(i%3)
		}
		return m
	}
}
