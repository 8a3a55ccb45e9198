package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const mr = 6

// Registers of the tile, the same for all numbers of rows.
var (
	tileA, tileA3       = RAX, R11 // rows 0 and 3 of A at the current k
	tileARS, tileACS    = RSI, RDI // bytes between rows and columns of A
	tileB, tileBRS      = RBX, R8
	tileC, tileC3       = RDX, R12
	tileLDC             = R9
	tileK               = RCX
	tileBLow, tileBHigh = Y12, Y13
	tileRow             = []VecPhysical{Y14, Y15}
	tileSums            = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11}
)

// tile writes the product of up to 6 rows and 16 columns: 12 registers of sums, two of B, two of a broadcast element of A.
func tile() {
	TEXT("tileAVX2", NOSPLIT, "func(rows, k int, a []float32, ars, acs int, b []float32, brs int, c []float32, ldc int, alpha float32, accumulate bool)")
	Doc("tileAVX2 is tile of an instructionSet.")
	Pragma("noescape")
	loadTileArguments()
	rows := Load(Param("rows"), R10)
	for n := mr; n > 1; n-- {
		CMPQ(rows, Imm(uint64(n)))
		JEQ(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	for n := 1; n <= mr; n++ {
		tileRows(n)
	}
}

func loadTileArguments() {
	Load(Param("k"), tileK)
	Load(Param("a").Base(), tileA)
	Load(Param("ars"), tileARS)
	Load(Param("acs"), tileACS)
	Load(Param("b").Base(), tileB)
	Load(Param("brs"), tileBRS)
	Load(Param("c").Base(), tileC)
	Load(Param("ldc"), tileLDC)
	for _, stride := range []Register{tileARS, tileACS, tileBRS, tileLDC} {
		SHLQ(Imm(2), stride)
	}
	LEAQ(Mem{Base: tileARS, Index: tileARS, Scale: 2}, tileA3)
	ADDQ(tileA, tileA3)
	LEAQ(Mem{Base: tileLDC, Index: tileLDC, Scale: 2}, tileC3)
	ADDQ(tileC, tileC3)
}

// rowAt is the address of row i of a matrix whose rows 0 and 3 are known.
func rowAt(base, base3, stride Register, i int) Mem {
	if i >= 3 {
		base, i = base3, i-3
	}
	if i == 0 {
		return Mem{Base: base}
	}
	return Mem{Base: base, Index: stride, Scale: uint8(i)}
}

func tileRows(rows int) {
	label := func(name string) string { return fmt.Sprintf("%s%d", name, rows) }
	Label(label("rows"))
	for i := range rows {
		VXORPS(tileSums[2*i], tileSums[2*i], tileSums[2*i])
		VXORPS(tileSums[2*i+1], tileSums[2*i+1], tileSums[2*i+1])
		c := rowAt(tileC, tileC3, tileLDC, i)
		PREFETCHT0(c)
		PREFETCHT0(c.Offset(60))
	}
	tileLoop(rows, label)
	tileStore(rows, label)
}

func tileLoop(rows int, label func(string) string) {
	const unroll = 4
	count := R10
	MOVQ(tileK, count)
	SHRQ(Imm(2), count)
	JZ(LabelRef(label("rest")))
	Label(label("loop"))
	for range unroll {
		tileStep(rows)
	}
	DECQ(count)
	JNZ(LabelRef(label("loop")))
	Label(label("rest"))
	ANDQ(Imm(unroll-1), tileK)
	JZ(LabelRef(label("store")))
	Label(label("single"))
	tileStep(rows)
	DECQ(tileK)
	JNZ(LabelRef(label("single")))
	Label(label("store"))
}

func tileStep(rows int) {
	VMOVUPS(Mem{Base: tileB}, tileBLow)
	VMOVUPS(Mem{Base: tileB, Disp: 32}, tileBHigh)
	for i := range rows {
		x := tileRow[i%2]
		VBROADCASTSS(rowAt(tileA, tileA3, tileARS, i), x)
		VFMADD231PS(x, tileBLow, tileSums[2*i])
		VFMADD231PS(x, tileBHigh, tileSums[2*i+1])
	}
	ADDQ(tileBRS, tileB)
	ADDQ(tileACS, tileA)
	if rows > 3 {
		ADDQ(tileACS, tileA3)
	}
}

func tileStore(rows int, label func(string) string) {
	alpha := Y12
	alphaAddress, _ := Param("alpha").Resolve()
	VBROADCASTSS(alphaAddress.Addr, alpha)
	Load(Param("accumulate"), R10B)
	TESTB(R10B, R10B)
	JZ(LabelRef(label("set")))
	for i := range rows {
		c := rowAt(tileC, tileC3, tileLDC, i)
		VFMADD213PS(c, alpha, tileSums[2*i])
		VFMADD213PS(c.Offset(32), alpha, tileSums[2*i+1])
		VMOVUPS(tileSums[2*i], c)
		VMOVUPS(tileSums[2*i+1], c.Offset(32))
	}
	VZEROUPPER()
	RET()
	Label(label("set"))
	for i := range rows {
		c := rowAt(tileC, tileC3, tileLDC, i)
		VMULPS(alpha, tileSums[2*i], tileSums[2*i])
		VMULPS(alpha, tileSums[2*i+1], tileSums[2*i+1])
		VMOVUPS(tileSums[2*i], c)
		VMOVUPS(tileSums[2*i+1], c.Offset(32))
	}
	VZEROUPPER()
	RET()
}
