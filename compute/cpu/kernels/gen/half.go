package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// halves emits the conversions of 16-bit floats, a register at a time; dst's length is a multiple of lanes.
func halves() {
	for _, f := range []struct {
		name  string
		widen func(m Mem, r VecVirtual)
	}{
		{"bfloat16To32", func(m Mem, r VecVirtual) { VPMOVZXWD(m, r); VPSLLD(Imm(16), r, r) }},
		{"float16To32", func(m Mem, r VecVirtual) { VCVTPH2PS(m, r) }},
	} {
		function(f.name, "func(dst []float32, src []uint16)", func() {
			dst, src := Load(Param("dst").Base(), GP64()), Load(Param("src").Base(), GP64())
			n, i := Load(Param("dst").Len(), GP64()), GP64()
			XORQ(i, i)
			JMP(LabelRef("check"))
			Label("loop")
			r := newRegister()
			f.widen(Mem{Base: src, Index: i, Scale: 2}, r)
			VMOVUPS(r, Mem{Base: dst, Index: i, Scale: 4})
			ADDQ(Imm(uint64(lanes())), i)
			Label("check")
			CMPQ(i, n)
			JLT(LabelRef("loop"))
		})
	}
}
