package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tailMask is the address of eight words of ones, then eight of zeros.
var tailMask Mem

// maskOf loads the mask of the first n lanes.
func maskOf(n Register) vec {
	if tailMask.Symbol.Name == "" {
		tailMask = GLOBL("tailMask", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(^uint32(0)*uint32(1-i/8)))
		}
	}
	table, back := GP64(), GP64()
	LEAQ(tailMask, table)
	MOVQ(U32(8), back)
	SUBQ(n, back)
	return load(Mem{Base: table, Index: back, Scale: 4})
}

// A loop visits slices of one length, eight elements at a time, then the rest under a mask.
type loop struct {
	dst     string // "" where nothing is stored
	sources []string
	unroll  int // steps of the main loop with registers of their own in reductions; 1 if 0
}

// run emits the loop. body takes the step's number, the sources' elements, and in the rest the mask of those that are there
// (else nil), and gives what is stored.
func (l loop) run(body func(step int, in []vec, mask *vec) vec) {
	length := l.dst
	if length == "" {
		length = l.sources[0]
	}
	n := Load(Param(length).Len(), GP64())
	base := map[string]Register{}
	for _, s := range append([]string{l.dst}, l.sources...) {
		if _, ok := base[s]; !ok && s != "" {
			base[s] = Load(Param(s).Base(), GP64())
		}
	}
	i := GP64()
	XORQ(i, i)
	at := func(s string, step int) Mem { return Mem{Base: base[s], Index: i, Scale: 4, Disp: 32 * step} }
	for _, unroll := range l.steps() {
		l.whole(unroll, i, n, at, body)
	}
	l.rest(i, n, at, body)
}

func (l loop) steps() []int {
	if l.unroll > 1 {
		return []int{l.unroll, 1}
	}
	return []int{1}
}

// whole emits the loop over unroll·8 elements.
func (l loop) whole(unroll int, i, n Register, at func(string, int) Mem, body func(int, []vec, *vec) vec) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, 8*unroll) }
	last := GP64()
	MOVQ(n, last)
	SUBQ(Imm(uint64(8*unroll)), last)
	JMP(LabelRef(name("check")))
	Label(name("loop"))
	for step := range unroll {
		in := make([]vec, len(l.sources))
		for k, s := range l.sources {
			in[k] = load(at(s, step))
		}
		out := body(step, in, nil)
		if l.dst != "" {
			VMOVUPS(out, at(l.dst, step))
		}
	}
	ADDQ(Imm(uint64(8*unroll)), i)
	Label(name("check"))
	CMPQ(i, last)
	JLE(LabelRef(name("loop")))
}

func (l loop) rest(i, n Register, at func(string, int) Mem, body func(int, []vec, *vec) vec) {
	SUBQ(i, n)
	JZ(LabelRef("done"))
	mask := maskOf(n)
	in := make([]vec, len(l.sources))
	for k, s := range l.sources {
		in[k] = YMM()
		VMASKMOVPS(at(s, 0), mask, in[k])
	}
	out := body(0, in, &mask)
	if l.dst != "" {
		VMASKMOVPS(out, mask, at(l.dst, 0))
	}
	Label("done")
}

// broadcast is a float32 parameter in all lanes.
func broadcast(name string) vec {
	r := YMM()
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, r)
	return r
}

// function emits the frame of a function around its body.
func function(name, signature string, body func()) {
	TEXT(name, NOSPLIT, signature)
	Doc(name + " is a function of an instructionSet, in AVX2.")
	Pragma("noescape")
	body()
	VZEROUPPER()
	RET()
}
