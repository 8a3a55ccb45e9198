package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// mr512 is how many rows the tile of AVX-512 has: with 32 columns 28 registers of sums, two of B, two of A.
const mr512 = 14

// Registers of the tile, the same for all numbers of rows. The first are as tile.go has them.
var (
	// tileMultiples are odd multiples of the bytes between rows of A: with scales 1, 2, 4 and 8 they reach all rows.
	tileMultiples = map[int]Register{1: tileARS, 3: R10, 5: R11, 7: R12, 9: R13, 11: R14, 13: R15}
	tileAhead     = RDX // what is to be in the L2 cache soon
	tileB512      = []VecPhysical{Z28, Z29}
	tileRow512    = []VecPhysical{Z30, Z31}
	tileMasks     = []OpmaskPhysical{K1, K2} // of the columns of each register
	tileSums512   = []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13,
		Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27}
)

// tile512 writes the product of up to 14 rows and 32 columns; up to 16 columns take one register a row.
func tile512() {
	TEXT("tileAVX512", NOSPLIT, "func(rows, cols, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, ldc int, alpha float32, accumulate bool, ahead *float32)")
	Doc("tileAVX512 is tile of an instructionSet.")
	Pragma("noescape")
	loadTile512Arguments()
	rows := Load(Param("rows"), R9)
	cols := RDX
	CMPQ(cols, Imm(16))
	JLE(LabelRef("narrow"))
	for _, registers := range []int{2, 1} {
		if registers == 1 {
			Label("narrow")
		}
		for n := mr512; n > 1; n-- {
			CMPQ(rows, Imm(uint64(n)))
			JEQ(LabelRef(fmt.Sprintf("rows%dx%d", n, registers)))
		}
		for n := 1; n <= mr512; n++ {
			t := tile512Shape{rows: n, registers: registers}
			t.emit()
		}
	}
}

// loadTile512Arguments leaves the number of columns in DX.
func loadTile512Arguments() {
	Load(Param("cols"), RDX)
	MOVL(I32(-1), EAX)
	BZHIL(EDX, EAX, EAX)
	KMOVW(EAX, tileMasks[0])
	SHRL(Imm(16), EAX)
	KMOVW(EAX, tileMasks[1])
	Load(Param("k"), tileK)
	Load(Param("a").Base(), tileA)
	Load(Param("ars"), tileARS)
	Load(Param("acs"), tileACS)
	Load(Param("b").Base(), tileB)
	Load(Param("brs"), tileBRS)
	for _, stride := range []Register{tileARS, tileACS, tileBRS} {
		SHLQ(Imm(2), stride)
	}
	for n := 3; n <= 13; n += 2 {
		two := Mem{Base: tileMultiples[n-2], Index: tileARS, Scale: 2}
		LEAQ(two, tileMultiples[n])
	}
}

// A tile512Shape is one number of rows and of registers in a row.
type tile512Shape struct{ rows, registers int }

func (t tile512Shape) label(name string) string {
	return fmt.Sprintf("%s%dx%d", name, t.rows, t.registers)
}

func (t tile512Shape) sum(row, register int) VecPhysical {
	return tileSums512[row*t.registers+register]
}

func (t tile512Shape) emit() {
	Label(t.label("rows"))
	c, ldc := RDX, R9
	Load(Param("c").Base(), c)
	Load(Param("ldc"), ldc)
	for i := range t.rows {
		for r := range t.registers {
			VPXORD(t.sum(i, r), t.sum(i, r), t.sum(i, r))
			PREFETCHT0(Mem{Base: c, Disp: 64 * r})
		}
		LEAQ(Mem{Base: c, Index: ldc, Scale: 4}, c)
	}
	t.loop()
	t.store()
}

func (t tile512Shape) loop() {
	const unroll = 4
	count := R9
	Load(Param("ahead"), tileAhead)
	MOVQ(tileK, count)
	SHRQ(Imm(2), count)
	JZ(LabelRef(t.label("rest")))
	Label(t.label("loop"))
	for i := range unroll {
		if i%2 == 0 {
			PREFETCHT1(Mem{Base: tileAhead})
			ADDQ(Imm(64), tileAhead)
		}
		t.step()
	}
	DECQ(count)
	JNZ(LabelRef(t.label("loop")))
	Label(t.label("rest"))
	ANDQ(Imm(unroll-1), tileK)
	JZ(LabelRef(t.label("store")))
	Label(t.label("single"))
	t.step()
	DECQ(tileK)
	JNZ(LabelRef(t.label("single")))
	Label(t.label("store"))
}

func (t tile512Shape) step() {
	for r := range t.registers {
		VMOVUPS(Mem{Base: tileB, Disp: 64 * r}, tileB512[r])
	}
	for i := range t.rows {
		if t.registers == 1 {
			VFMADD231PS_BCST(row512(i), tileB512[0], t.sum(i, 0))
			continue
		}
		x := tileRow512[i%2]
		VBROADCASTSS(row512(i), x)
		for r := range t.registers {
			VFMADD231PS(x, tileB512[r], t.sum(i, r))
		}
	}
	ADDQ(tileBRS, tileB)
	ADDQ(tileACS, tileA)
}

// row512 is the address of row i of A at the current k.
func row512(i int) Mem {
	if i == 0 {
		return Mem{Base: tileA}
	}
	scale := i & -i
	return Mem{Base: tileA, Index: tileMultiples[i/scale], Scale: uint8(scale)}
}

func (t tile512Shape) store() {
	c, ldc, alpha := RDX, R9, Z28
	Load(Param("c").Base(), c)
	Load(Param("ldc"), ldc)
	SHLQ(Imm(2), ldc)
	alphaAddress, _ := Param("alpha").Resolve()
	VBROADCASTSS(alphaAddress.Addr, alpha)
	Load(Param("accumulate"), AL)
	TESTB(AL, AL)
	JZ(LabelRef(t.label("set")))
	for i := range t.rows {
		for r := range t.registers {
			VFMADD213PS(Mem{Base: c, Disp: 64 * r}, alpha, tileMasks[r], t.sum(i, r))
			VMOVUPS(t.sum(i, r), tileMasks[r], Mem{Base: c, Disp: 64 * r})
		}
		ADDQ(ldc, c)
	}
	VZEROUPPER()
	RET()
	Label(t.label("set"))
	for i := range t.rows {
		for r := range t.registers {
			VMULPS(alpha, t.sum(i, r), t.sum(i, r))
			VMOVUPS(t.sum(i, r), tileMasks[r], Mem{Base: c, Disp: 64 * r})
		}
		ADDQ(ldc, c)
	}
	VZEROUPPER()
	RET()
}
