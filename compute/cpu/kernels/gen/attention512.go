package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attention512 emits what attention does with the scores of a block of queries and keys, row by row.
func attention512() {
	function("softmaxRows", "func(scores []float32, stride, rows, cols, seen, step int, maxima, denominators, corrections []float32)", func() {
		holdExp()
		r := newScoreRows("scores")
		maxima, denominators, corrections := Load(Param("maxima").Base(), GP64()), Load(Param("denominators").Base(), GP64()), Load(Param("corrections").Base(), GP64())
		r.each(func() {
			several := fill(make(vec, sums), word(signBit|infinity))
			r.chunks("max", sums, func(at []Mem, there mask) {
				for i := range at {
					if there == nil {
						VMAXPS(at[i], several[i], several[i])
					} else {
						VMAXPS(at[i], several[i], there[0], several[i])
					}
				}
			})
			foldRegisters(several, func(a, b, c Op) { VMAXPS(a, b, c) })
			largest := several[0]
			fold(largest, func(a, b, c Op) { VMAXPS(a, b, c) })
			before := XMM()
			VMOVSS(Mem{Base: maxima, Index: r.row, Scale: 4}, before)
			VMAXSS(before, largest.AsX(), largest.AsX())
			VMOVSS(largest.AsX(), Mem{Base: maxima, Index: r.row, Scale: 4})
			m, sum, correction := ZMM(), ZMM(), ZMM()
			VBROADCASTSS(largest.AsX(), m)
			VBROADCASTSS(before, correction)
			VSUBPS(m, correction, correction)
			VMOVAPS(expOfNegative(vec{correction})[0], correction)
			nothing := compare(equal, vec{m}, word(signBit|infinity)) // was seen so far: there is nothing to be corrected
			VMOVAPS(load(number(1)), nothing[0], correction)
			VMOVAPS(load(word(infinity)), nothing[0], m)
			VMOVSS(correction.AsX(), Mem{Base: corrections, Index: r.row, Scale: 4})
			zero(sum)
			r.chunks("exp", wide, func(at []Mem, there mask) {
				y := expOfNegative(sub(readScores(at, there), m))
				for _, y := range y {
					if there == nil {
						VADDPS(y, sum, sum)
					} else {
						VADDPS(y, sum, there[0], sum)
					}
				}
				writeScores(y, at, there)
			})
			fold(sum, func(a, b, c Op) { VADDPS(a, b, c) })
			d := Mem{Base: denominators, Index: r.row, Scale: 4}
			VFMADD231SS(d, correction.AsX(), sum.AsX())
			VMOVSS(sum.AsX(), d)
		})
	})
	function("gradientRows", "func(weights, grads []float32, stride, rows, cols, seen, step int, logSumExp, delta []float32)", func() {
		holdExp()
		r := newScoreRows("weights")
		grads := Load(Param("grads").Base(), GP64())
		logSumExp, delta := Load(Param("logSumExp").Base(), GP64()), Load(Param("delta").Base(), GP64())
		r.also = grads
		r.each(func() {
			l, d := ZMM(), ZMM()
			VBROADCASTSS(Mem{Base: logSumExp, Index: r.row, Scale: 4}, l)
			VBROADCASTSS(Mem{Base: delta, Index: r.row, Scale: 4}, d)
			nothing := compare(equal, vec{l}, word(signBit|infinity))
			VMOVAPS(load(word(infinity)), nothing[0], l)
			r.chunks("weights", wide, func(at []Mem, there mask) {
				other := withBase(at, grads)
				x, g := readScores(at, there), readScores(other, there)
				p := expOfNegative(sub(x, l))
				writeScores(p, at, there)
				writeScores(mul(sub(g, d), p), other, there)
			})
		})
	})
	held = nil
}

func readScores(at []Mem, there mask) vec {
	return each(make(vec, len(at)), func(i int, r VecVirtual) {
		if there == nil {
			VMOVUPS(at[i], r)
		} else {
			VMOVUPS_Z(at[i], there[0], r)
		}
	})
}

func writeScores(x vec, at []Mem, there mask) {
	for i, r := range x {
		if there == nil {
			VMOVUPS(r, at[i])
		} else {
			VMOVUPS(r, there[0], at[i])
		}
	}
}

// withBase are the same places of another matrix.
func withBase(at []Mem, base Register) []Mem {
	other := append([]Mem(nil), at...)
	for i := range other {
		other[i].Base = base
	}
	return other
}

// scoreRows are rows of scores, of which the first seen count and the others become 0; seen changes by step from row to row.
type scoreRows struct {
	base, stride, rows, cols, seen, step Register
	row                                  Register // counts
	n, i                                 Register // what counts of a row, and the current number
	also                                 Register // the base of a second matrix, or nil
}

func newScoreRows(base string) *scoreRows {
	load := func(c Component) Register { return Load(c, GP64()) }
	r := &scoreRows{base: load(Param(base).Base()), stride: load(Param("stride")), rows: load(Param("rows")), cols: load(Param("cols")),
		seen: load(Param("seen")), step: load(Param("step")), row: GP64(), n: GP64(), i: GP64()}
	SHLQ(Imm(2), r.stride)
	return r
}

// each emits the loop over the rows.
func (r *scoreRows) each(f func()) {
	zeroNumber, none := ZMM(), GP64()
	zero(zeroNumber)
	XORQ(none, none)
	XORQ(r.row, r.row)
	JMP(LabelRef("checkRow"))
	Label("row")
	MOVQ(r.seen, r.n)
	CMPQ(r.n, r.cols)
	CMOVQGT(r.cols, r.n)
	TESTQ(r.n, r.n)
	CMOVQLT(none, r.n)
	f()
	MOVQ(r.n, r.i)
	MOVQ(r.cols, r.n)
	r.from("clear", 1, func(at []Mem, there mask) {
		writeScores(vec{zeroNumber}, at, there)
		if r.also != nil {
			writeScores(vec{zeroNumber}, withBase(at, r.also), there)
		}
	})
	ADDQ(r.stride, r.base)
	if r.also != nil {
		ADDQ(r.stride, r.also)
	}
	ADDQ(r.step, r.seen)
	INCQ(r.row)
	Label("checkRow")
	CMPQ(r.row, r.rows)
	JLT(LabelRef("row"))
}

// chunks emits the loop over what counts of a row, width registers at a time, then one, the last under a mask.
func (r *scoreRows) chunks(name string, width int, f func(at []Mem, there mask)) {
	XORQ(r.i, r.i)
	r.from(name, width, f)
}

// from is chunks from the current number on.
func (r *scoreRows) from(name string, width int, f func(at []Mem, there mask)) {
	if width > 1 {
		r.whole(name+"Wide", width, f)
	}
	r.whole(name, 1, f)
	rest := GP64()
	MOVQ(r.n, rest)
	SUBQ(r.i, rest)
	JZ(LabelRef(name + "Done"))
	f(r.at(1), maskOf(rest))
	Label(name + "Done")
}

func (r *scoreRows) whole(name string, width int, f func(at []Mem, there mask)) {
	last := GP64()
	MOVQ(r.n, last)
	SUBQ(U32(16*width), last)
	JMP(LabelRef(name + "Check"))
	Label(name)
	f(r.at(width), nil)
	ADDQ(U32(16*width), r.i)
	Label(name + "Check")
	CMPQ(r.i, last)
	JLE(LabelRef(name))
}

// at are the places of width registers from the current number on.
func (r *scoreRows) at(width int) []Mem {
	at := make([]Mem, width)
	for i := range at {
		at[i] = Mem{Base: r.base, Index: r.i, Scale: 4, Disp: 64 * i}
	}
	return at
}
