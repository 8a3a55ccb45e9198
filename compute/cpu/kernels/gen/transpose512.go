package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose512 emits the transposition of up to 16 rows of any length, 16 × 16 numbers at a time.
func transpose512() {
	function("transposeRows", "func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int)", func() {
		dst, dstStride := Load(Param("dst").Base(), GP64()), Load(Param("dstStride"), GP64())
		src, srcStride := Load(Param("src").Base(), GP64()), Load(Param("srcStride"), GP64())
		rows, cols := Load(Param("rows"), GP64()), Load(Param("cols"), GP64())
		SHLQ(Imm(2), dstStride)
		SHLQ(Imm(2), srcStride)
		rowMask, colMask := K(), K()
		firstLanes(rows, rowMask)
		zero := GP64()
		XORQ(zero, zero)
		JMP(LabelRef("check"))
		Label("loop")
		firstLanes(cols, colMask)
		r := loadRows(src, srcStride, rows, zero, colMask)
		for k, column := range transposed16(r) {
			VMOVUPS(column, rowMask, Mem{Base: dst})
			ADDQ(dstStride, dst)
			if k < 15 {
				CMPQ(cols, Imm(uint64(k+1)))
				JEQ(LabelRef("done"))
			}
		}
		ADDQ(Imm(64), src)
		SUBQ(Imm(16), cols)
		Label("check")
		TESTQ(cols, cols)
		JG(LabelRef("loop"))
		Label("done")
	})
}

// firstLanes sets the mask of the first n lanes, of all for n > 15; n < 256.
func firstLanes(n Register, mask OpmaskVirtual) {
	bits, limit := GP32(), GP64()
	MOVQ(U32(16), limit)
	CMPQ(n, limit)
	CMOVQLT(n, limit)
	MOVL(I32(-1), bits)
	BZHIL(limit.As32(), bits, bits)
	KMOVW(bits, mask)
}

// loadRows loads 16 rows, the last again where there are fewer.
func loadRows(src, stride, rows, zero Register, mask OpmaskVirtual) (r [16]VecVirtual) {
	at, step := GP64(), GP64()
	MOVQ(src, at)
	for i := range r {
		r[i] = ZMM()
		VMOVUPS_Z(Mem{Base: at}, mask, r[i])
		if i < 15 {
			MOVQ(stride, step)
			CMPQ(rows, Imm(uint64(i+1)))
			CMOVQLE(zero, step)
			ADDQ(step, at)
		}
	}
	return r
}

// transposed16 are the columns of 16 × 16 numbers: pairs, quadruples, then quarters of registers.
func transposed16(r [16]VecVirtual) [16]VecVirtual {
	var s, t, u, v [16]VecVirtual
	for i := 0; i < 16; i += 2 {
		s[i], s[i+1] = ZMM(), ZMM()
		VUNPCKLPS(r[i+1], r[i], s[i])
		VUNPCKHPS(r[i+1], r[i], s[i+1])
	}
	for i := 0; i < 16; i += 4 { // t[i+k] holds column k of every quarter, of rows i to i+3
		for k := range 4 {
			t[i+k] = ZMM()
			VSHUFPS(Imm(uint64(0x44+0xaa*(k%2))), s[i+2+k/2], s[i+k/2], t[i+k])
		}
	}
	for k := range 4 {
		for h := range 2 { // quarters 0 and 2, and 1 and 3, of rows 0 to 7 and 8 to 15
			low, high := ZMM(), ZMM()
			VSHUFF32X4(Imm(0x88), t[8*h+4+k], t[8*h+k], low)
			VSHUFF32X4(Imm(0xdd), t[8*h+4+k], t[8*h+k], high)
			u[8*h+k], u[8*h+4+k] = low, high
		}
	}
	for k := range 4 {
		for odd := range 2 {
			low, high := u[4*odd+k], u[8+4*odd+k]
			v[4*odd+k], v[8+4*odd+k] = ZMM(), ZMM()
			VSHUFF32X4(Imm(0x88), high, low, v[4*odd+k])
			VSHUFF32X4(Imm(0xdd), high, low, v[8+4*odd+k])
		}
	}
	return v
}
