package cpu

import (
	"runtime"
	"runtime/debug"
	"slices"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// A program is a function ready to be executed: steps on numbered slots of memory.
type program struct {
	backend   *Backend
	slots     []slot
	steps     []plannedStep
	inputs    []int // slots of the parameters, then of the captured values; -1 for those not used
	outputs   []output
	arena     int // bytes
	idle      idle[frame]
	layouts   []*layout // of the inputs that are read in one alone, nil for others
	constants map[int]any
}

// A slot is where a value is during an execution: in the arena where offset ≥ 0.
type slot struct {
	shape  shapes.Shape
	offset int
}

type plannedStep struct {
	op      compute.OpType
	in, out []int
	run     kernel

	stored   kernel // instead of run where input storedBy of the program is in its layout
	storedBy int    // -1 for none
}

// An output is a slot that leaves the program.
type output struct {
	slot  int
	shape shapes.Shape
	own   bool // computed into memory of its own; otherwise copied from its slot at the end
	donor int  // the input whose memory it takes where that is donated, -1 for none
}

// alignment of values in the arena, bytes: a cache line, and the widest vectors.
const alignment = 64

// A planner gives values their slots.
type planner struct {
	*compiler
	p       *program
	slotOf  map[*value]int
	lastUse map[int]int // by slot: the last step that reads it
	outside map[int]int // slots of outputs with memory of their own → index of the output
	free    []hole
	holder  map[int]hole // by slot in the arena
}

// A hole is a range of the arena.
type hole struct{ offset, size int }

func (c *compiler) plan() *program {
	slices.Reverse(c.steps)
	p := &planner{
		compiler: c, p: &program{backend: c.backend, constants: map[int]any{}}, slotOf: map[*value]int{},
		lastUse: map[int]int{}, outside: map[int]int{}, holder: map[int]hole{},
	}
	p.placeInputs()
	p.numberSteps()
	p.placeOutputs()
	p.findStored()
	for i := range c.steps {
		p.placeStep(i)
	}
	return p.p
}

// slot is the number of v's slot, new where it has none.
func (p *planner) slot(v *value) int {
	s, ok := p.slotOf[v]
	if !ok {
		s = len(p.p.slots)
		p.slotOf[v] = s
		p.p.slots = append(p.p.slots, slot{v.shape, -1})
		if flat, known := p.constants[v]; known {
			p.p.constants[s] = flat
		}
	}
	return s
}

func (p *planner) placeInputs() {
	for _, v := range p.function.parameters {
		p.p.inputs = append(p.p.inputs, p.slot(v))
	}
}

func (p *planner) numberSteps() {
	for i, s := range p.steps {
		planned := plannedStep{op: s.op, run: s.run, storedBy: -1}
		if s.stored != nil {
			planned.stored = s.stored.run
		}
		for _, v := range s.in {
			planned.in = append(planned.in, p.slot(v))
			p.lastUse[p.slot(v)] = i
		}
		for _, v := range s.out {
			planned.out = append(planned.out, p.slot(v))
		}
		p.p.steps = append(p.p.steps, planned)
	}
}

// placeOutputs finds which outputs are computed in place and which copied.
func (p *planner) placeOutputs() {
	for i, v := range p.function.outputs {
		r := p.root(v)
		s := p.slot(r)
		_, known := p.p.constants[s]
		_, taken := p.outside[s]
		own := !known && !taken && r.node.emit != nil
		p.p.outputs = append(p.p.outputs, output{slot: s, shape: v.shape, own: own, donor: -1})
		if own {
			p.outside[s] = i
		}
	}
	taken := map[int]bool{}
	for i, s := range p.p.steps {
		for k, out := range s.out {
			if o, ok := p.outside[out]; ok {
				p.p.outputs[o].donor = p.donor(i, k, taken)
			}
		}
	}
}

// donor finds an input that is not read after output k of step i is computed, and that has its size.
func (p *planner) donor(i, k int, taken map[int]bool) int {
	s := p.steps[i]
	want := p.p.slots[p.p.steps[i].out[k]].shape
	for d, in := range p.p.inputs {
		last, used := p.lastUse[in]
		if taken[d] || !p.p.slots[in].shape.Equal(want) || p.isOutput(in) || used && last > i {
			continue
		}
		if used && last == i && !slices.ContainsFunc(s.reusable(k), func(r int) bool { return p.p.steps[i].in[r] == in }) {
			continue
		}
		taken[d] = true
		return d
	}
	return -1
}

func (p *planner) isOutput(slot int) bool {
	return slices.ContainsFunc(p.p.outputs, func(o output) bool { return o.slot == slot })
}

// placeStep gives the outputs of step i memory, and frees what it was the last to read.
func (p *planner) placeStep(i int) {
	s := p.p.steps[i]
	for k, out := range s.out {
		if _, ok := p.outside[out]; ok {
			continue
		}
		if h, ok := p.inherit(i, k); ok {
			p.occupy(out, h)
			continue
		}
		p.occupy(out, p.allocate(size(p.p.slots[out].shape)))
	}
	for _, in := range s.in {
		if p.lastUse[in] == i {
			p.release(in)
		}
	}
	for _, out := range s.out {
		if _, read := p.lastUse[out]; !read && !p.isOutput(out) {
			p.release(out)
		}
	}
}

// inherit is the memory of an input that step i is the last to read and may overwrite.
func (p *planner) inherit(i, k int) (hole, bool) {
	want := size(p.p.slots[p.p.steps[i].out[k]].shape)
	for _, r := range p.steps[i].reusable(k) {
		in := p.p.steps[i].in[r]
		h, ok := p.holder[in]
		if ok && p.lastUse[in] == i && !p.isOutput(in) && h.size == want {
			delete(p.holder, in)
			return h, true
		}
	}
	return hole{}, false
}

func (p *planner) occupy(slot int, h hole) {
	p.holder[slot] = h
	p.p.slots[slot].offset = h.offset
}

func (p *planner) release(slot int) {
	h, ok := p.holder[slot]
	if !ok || p.isOutput(slot) {
		return
	}
	delete(p.holder, slot)
	p.giveBack(h)
}

// size is a value's size in the arena.
func size(s shapes.Shape) int {
	bytes := s.DType.SizeForDimensions(s.Dimensions...)
	return max(1, (bytes+alignment-1)/alignment) * alignment
}

// allocate takes the smallest hole that is large enough, or makes the arena longer.
func (p *planner) allocate(bytes int) hole {
	best := -1
	for i, h := range p.free {
		if h.size >= bytes && (best < 0 || h.size < p.free[best].size) {
			best = i
		}
	}
	if best < 0 {
		return p.extend(bytes)
	}
	h := p.free[best]
	p.free[best] = hole{h.offset + bytes, h.size - bytes}
	if h.size == bytes {
		p.free = slices.Delete(p.free, best, best+1)
	}
	return hole{h.offset, bytes}
}

// extend makes the arena longer, from its last hole on.
func (p *planner) extend(bytes int) hole {
	offset := p.p.arena
	if n := len(p.free); n > 0 && p.free[n-1].offset+p.free[n-1].size == offset {
		offset = p.free[n-1].offset
		p.free = p.free[:n-1]
	}
	p.p.arena = offset + bytes
	return hole{offset, bytes}
}

// giveBack adds a hole, joined with its neighbours; holes are in the order of their offsets.
func (p *planner) giveBack(h hole) {
	i, _ := slices.BinarySearchFunc(p.free, h.offset, func(a hole, offset int) int { return a.offset - offset })
	if i < len(p.free) && h.offset+h.size == p.free[i].offset {
		h.size += p.free[i].size
		p.free = slices.Delete(p.free, i, i+1)
	}
	if i > 0 && p.free[i-1].offset+p.free[i-1].size == h.offset {
		p.free[i-1].size += h.size
		return
	}
	p.free = slices.Insert(p.free, i, h)
}

// A frame is the memory of one execution.
type frame struct {
	arena []byte
	flats []any // by slot
}

// largeArena is the size, in bytes, from which on an arena is worth some milliseconds of looking for memory to give back.
const largeArena = 256 << 20

// frame takes a frame that no execution uses, or makes one. What is idle goes before a large one is made: what the U-Net used,
// which is not needed while the VAE decodes, would otherwise stay until the heap has doubled.
func (p *program) frame() *frame {
	if f := p.idle.take(); f != nil {
		return f
	}
	if p.arena >= largeArena {
		runtime.GC() // a sync.Pool lets go at the second
		debug.FreeOSMemory()
	}
	f := &frame{arena: make([]byte, p.arena+alignment), flats: make([]any, len(p.slots))}
	base := uintptr(unsafe.Pointer(unsafe.SliceData(f.arena)))
	start := int(-base & (alignment - 1))
	for i, s := range p.slots {
		if flat, ok := p.constants[i]; ok {
			f.flats[i] = flat
		} else if s.offset >= 0 {
			f.flats[i] = flatAt(f.arena[start+s.offset:], s.shape)
		}
	}
	return f
}

// flatAt is a tensor's slice at the start of memory.
func flatAt(memory []byte, s shapes.Shape) any {
	if s.Size() == 0 {
		return newFlat(s)
	}
	if s.DType.IsPacked() {
		return memory[:length(s)]
	}
	return dtypes.UnsafeAnySliceFromBytes(unsafe.Pointer(unsafe.SliceData(memory)), s.DType, s.Size())
}
