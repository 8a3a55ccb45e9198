package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tailMask is the address of eight words of ones, then eight of zeros.
var tailMask Mem

// maskOf is the mask of the first n lanes, n below lanes.
func maskOf(n Register) mask {
	if avx512 {
		k := K()
		firstLanes(n, k)
		return mask{k}
	}
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
	return mask{loadNumbers(Mem{Base: table, Index: back, Scale: 4})}
}

// A loop visits slices of one length: width registers at a time, then one, then the rest under a mask.
type loop struct {
	dst     []string // what is stored
	sources []string
	width   int
}

// A body computes what is stored from the sources' elements; there is the mask of those that are there in the rest, else nil.
type body func(in []vec, there mask) []vec

// one is the body of one result.
func one(f func(in []vec) vec) body {
	return func(in []vec, _ mask) []vec { return []vec{f(in)} }
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
	return Mem{Base: r.base[name], Index: r.i, Scale: 4, Disp: 4 * lanes() * i}
}

// whole emits the loop over width registers.
func (r frame) whole(width int, f body) {
	step := uint64(lanes() * width)
	name := func(s string) string { return fmt.Sprintf("%s%d", s, step) }
	last := GP64()
	MOVQ(r.n, last)
	SUBQ(Imm(step), last)
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
	ADDQ(Imm(step), r.i)
	Label(name("check"))
	CMPQ(r.i, last)
	JLE(LabelRef(name("loop")))
}

func (r frame) rest(f body) {
	SUBQ(r.i, r.n)
	JZ(LabelRef("done"))
	there := maskOf(r.n)
	in := make([]vec, len(r.sources))
	for k, s := range r.sources {
		in[k] = vec{newRegister()}
		if avx512 {
			VMOVUPS_Z(r.at(s, 0), there[0], in[k][0])
		} else {
			VMASKMOVPS(r.at(s, 0), there[0], in[k][0])
		}
	}
	for k, out := range f(in, there) {
		if avx512 {
			VMOVUPS(out[0], there[0], r.at(r.dst[k], 0))
		} else {
			VMASKMOVPS(out[0], there[0], r.at(r.dst[k], 0))
		}
	}
	Label("done")
}

// broadcast is a float32 parameter in all lanes.
func broadcast(name string) VecVirtual {
	r := newRegister()
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, r)
	return r
}

// function emits the frame of a function around its body.
func function(name, signature string, body func()) {
	name += suffix()
	TEXT(name, NOSPLIT, signature)
	Doc(name + " is a function of an instructionSet, in " + suffix() + ".")
	Pragma("noescape")
	body()
	VZEROUPPER()
	RET()
}
