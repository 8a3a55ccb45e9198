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
func maskOf(n Register) VecVirtual {
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

// A loop visits slices of one length: width registers of eight elements at a time, then one, then the rest under a mask.
type loop struct {
	dst     []string // what is stored
	sources []string
	width   int
}

// A body computes what is stored from the sources' elements; mask is that of the elements that are there in the rest, else nil.
type body func(in []vec, mask *VecVirtual) []vec

// one is the body of one result.
func one(f func(in []vec) vec) body {
	return func(in []vec, _ *VecVirtual) []vec { return []vec{f(in)} }
}

// frame is where a loop's slices are.
type frame struct {
	loop
	i, n Register // the element, and how many there are
	base map[string]Register
}

func (l loop) run(f body) {
	r := frame{loop: l, i: GP64(), base: map[string]Register{}}
	names := append(append([]string{}, l.dst...), l.sources...)
	r.n = Load(Param(names[0]).Len(), GP64())
	for _, s := range names {
		if _, ok := r.base[s]; !ok {
			r.base[s] = Load(Param(s).Base(), GP64())
		}
	}
	XORQ(r.i, r.i)
	if l.width > 1 {
		r.whole(l.width, f)
	}
	r.whole(1, f)
	r.rest(f)
}

func (r frame) at(name string, i int) Mem {
	return Mem{Base: r.base[name], Index: r.i, Scale: 4, Disp: 32 * i}
}

// whole emits the loop over width·8 elements.
func (r frame) whole(width int, f body) {
	name := func(s string) string { return fmt.Sprintf("%s%d", s, 8*width) }
	last := GP64()
	MOVQ(r.n, last)
	SUBQ(Imm(uint64(8*width)), last)
	JMP(LabelRef(name("check")))
	Label(name("loop"))
	in := make([]vec, len(r.sources))
	for k, s := range r.sources {
		in[k] = each(make(vec, width), func(i int, v VecVirtual) { VMOVUPS(r.at(s, i), v) })
	}
	for k, out := range f(in, nil) {
		for i, v := range out {
			VMOVUPS(v, r.at(r.dst[k], i))
		}
	}
	ADDQ(Imm(uint64(8*width)), r.i)
	Label(name("check"))
	CMPQ(r.i, last)
	JLE(LabelRef(name("loop")))
}

func (r frame) rest(f body) {
	SUBQ(r.i, r.n)
	JZ(LabelRef("done"))
	mask := maskOf(r.n)
	in := make([]vec, len(r.sources))
	for k, s := range r.sources {
		in[k] = vec{YMM()}
		VMASKMOVPS(r.at(s, 0), mask, in[k][0])
	}
	for k, out := range f(in, &mask) {
		VMASKMOVPS(out[0], mask, r.at(r.dst[k], 0))
	}
	Label("done")
}

// broadcast is a float32 parameter in all lanes.
func broadcast(name string) VecVirtual {
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
