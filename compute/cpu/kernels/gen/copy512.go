package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// copyRows512 emits the copy of rows of up to 32 numbers, what packing a matrix is made of.
func copyRows512() {
	function("copyRows", "func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int)", func() {
		dst, dstStride := Load(Param("dst").Base(), GP64()), Load(Param("dstStride"), GP64())
		src, srcStride := Load(Param("src").Base(), GP64()), Load(Param("srcStride"), GP64())
		rows, cols := Load(Param("rows"), GP64()), GP64()
		Load(Param("cols"), cols)
		SHLQ(Imm(2), dstStride)
		SHLQ(Imm(2), srcStride)
		low, high, bits := K(), K(), GP32()
		MOVL(I32(-1), bits)
		BZHIL(cols.As32(), bits, bits)
		KMOVW(bits, low)
		SHRL(Imm(16), bits)
		KMOVW(bits, high)
		x, y := ZMM(), ZMM()
		CMPQ(cols, Imm(16))
		JG(LabelRef("wideCheck"))
		JMP(LabelRef("check"))
		Label("loop")
		VMOVUPS_Z(Mem{Base: src}, low, x)
		VMOVUPS(x, low, Mem{Base: dst})
		ADDQ(srcStride, src)
		ADDQ(dstStride, dst)
		Label("check")
		DECQ(rows)
		JGE(LabelRef("loop"))
		JMP(LabelRef("done"))
		Label("wide")
		VMOVUPS(Mem{Base: src}, x)
		VMOVUPS_Z(Mem{Base: src, Disp: 64}, high, y)
		VMOVUPS(x, Mem{Base: dst})
		VMOVUPS(y, high, Mem{Base: dst, Disp: 64})
		ADDQ(srcStride, src)
		ADDQ(dstStride, dst)
		Label("wideCheck")
		DECQ(rows)
		JGE(LabelRef("wide"))
		Label("done")
	})
}
