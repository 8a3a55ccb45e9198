package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// chainLimit is how many operations one chain has at most: registers beyond it leave the L1 cache.
const chainLimit = 32

// lowerChain makes one step of n and of the element-wise operations that only it needs.
func (c *compiler) lowerChain(n *node) bool {
	if _, ok := applyOf(n); !ok {
		return false
	}
	if c.lowerLayerNormGradient(n) || c.lowerEpilogue(n) || c.lowerGroupNorm(n) || c.lowerAdamW(n) {
		return true
	}
	f := c.newFusion(n.outputs[0].shape.Size())
	f.collect(n)
	f.chain.result = f.register(n.outputs[0])
	c.emitChain(f, step{op: n.op, out: n.outputs, run: f.finish().store()})
	return true
}

// emitChain emits the step of a fusion, which reads the fusion's sources.
func (c *compiler) emitChain(f *fusion, s step) {
	s.in = f.inputs
	var plain []int
	for i := range f.inputs {
		if f.isPlain(i) {
			plain = append(plain, i)
		}
	}
	s.reuse = [][]int{plain}
	c.emit(s)
}

// A fusion builds a chain.
type fusion struct {
	*compiler
	chain  *chain
	inside map[*node]bool
	inputs []*value       // roots
	known  map[string]int // registers of sources
	refs   map[*value]int // registers of values
}

func (c *compiler) newFusion(size int) *fusion {
	return &fusion{compiler: c, chain: &chain{size: size}, inside: map[*node]bool{}, known: map[string]int{}, refs: map[*value]int{}}
}

// collect finds the nodes inside: n, and producers all of whose consumers are inside. The node with the largest number
// is looked at first, so that its consumers have been.
func (f *fusion) collect(n *node) {
	f.inside[n] = true
	candidates := f.producers(n, nil)
	for len(candidates) > 0 && len(f.inside) < chainLimit {
		last := len(candidates) - 1
		p := candidates[last]
		candidates = candidates[:last]
		if f.joins(p) {
			f.inside[p] = true
			candidates = f.producers(p, candidates)
		}
	}
}

// producers adds the nodes that n reads to candidates, in the order of their numbers.
func (f *fusion) producers(n *node, candidates []*node) []*node {
	for _, v := range n.inputs {
		p := f.root(v).node
		if i, found := slices.BinarySearchFunc(candidates, p.id, func(q *node, id int) int { return q.id - id }); !found {
			candidates = slices.Insert(candidates, i, p)
		}
	}
	return candidates
}

func (f *fusion) joins(p *node) bool {
	v := p.outputs[0]
	if _, known := f.constants[v]; known || f.demanded[v] || v.shape.Size() != f.chain.size {
		return false
	}
	if _, ok := applyOf(p); !ok || f.layerNormGradientAt(p) != nil {
		return false
	}
	return !slices.ContainsFunc(f.consumers[v], func(n *node) bool { return n == nil || !f.inside[n] }) || f.isCheap(p) || f.isGate(p)
}

// isCheap tells whether p is as well computed where it is needed as read: arithmetic on a tensor in memory and one that is
// much smaller.
func (f *fusion) isCheap(p *node) bool {
	if _, ok := binaryKernels[p.op]; !ok || slices.Contains(f.consumers[p.outputs[0]], nil) {
		return false
	}
	large := 0
	for _, v := range p.inputs {
		base, _ := f.viewOf(v, false)
		if base.shape.Size() > f.chain.size/8 {
			large++
			if _, isChain := applyOf(base.node); isChain && !f.demanded[base] {
				return false
			}
		}
	}
	return large == 1
}

// isGate tells whether p is the sigmoid, of a tensor in memory or that by a number, which SiLU and QuickGELU have in their value
// and in their slope: to compute it twice takes less than to keep it.
func (f *fusion) isGate(p *node) bool {
	if p.op != compute.OpTypeLogistic || slices.Contains(f.consumers[p.outputs[0]], nil) {
		return false
	}
	x := f.root(p.inputs[0])
	if x.node.op == compute.OpTypeMul {
		for i, v := range x.node.inputs {
			if _, ok := f.uniform(x.node.inputs[1-i]); ok {
				x = f.root(v)
				break
			}
		}
	}
	_, isChain := applyOf(x.node)
	return !isChain || f.demanded[x]
}

// register is the register that holds v, as many elements as the chain has; what computes it is added.
func (f *fusion) register(v *value) int {
	r := f.root(v)
	if i, ok := f.refs[r]; ok {
		return i
	}
	var i int
	if n := r.node; f.inside[n] {
		i = f.compute(n)
	} else {
		base, w := f.viewOf(v, false)
		i = f.source(base, w)
	}
	f.refs[r] = i
	return i
}

// compute adds the instruction of n.
func (f *fusion) compute(n *node) int {
	apply, _ := applyOf(n)
	if i, ok := f.withScalar(n); ok {
		return i
	}
	args := make([]int, len(n.inputs))
	for i, v := range n.inputs {
		args[i] = f.operand(n, v)
	}
	return f.add(instruction{args: args, scalar: -1, apply: apply})
}

// withScalar adds the instruction of n where one operand is a scalar and there is a kernel for that.
func (f *fusion) withScalar(n *node) (int, bool) {
	op, ok := binaryKernels[n.op]
	if !ok {
		return 0, false
	}
	if s, ok := f.scalar(n.inputs[1]); ok {
		return f.add(instruction{args: []int{f.operand(n, n.inputs[0])}, scalar: s, apply: scalarRight(op)}), true
	}
	if s, ok := f.scalar(n.inputs[0]); ok {
		return f.add(instruction{args: []int{f.operand(n, n.inputs[1])}, scalar: s, apply: scalarLeft(op)}), true
	}
	return 0, false
}

// operand is the register of an operand of n, repeated to n's shape where it is smaller.
func (f *fusion) operand(n *node, v *value) int {
	if s, ok := f.scalar(v); ok {
		return f.add(instruction{scalar: s, apply: spread})
	}
	if v.shape.Size() == f.chain.size {
		return f.register(v)
	}
	base, w := f.viewOf(v, false)
	dims := n.outputs[0].shape.Dimensions
	to := make([]int, len(dims))
	for i := range to {
		to[i] = i
	}
	return f.source(base, w.broadcast(dims, to))
}

// scalar is the number of the scalar that all elements of v are, if they are one.
func (f *fusion) scalar(v *value) (int, bool) {
	if x, ok := f.uniform(v); ok {
		f.chain.constants = append(f.chain.constants, x)
		return -1 - len(f.chain.constants), true // finish counts them behind the others
	}
	if f.inside[f.root(v).node] {
		return 0, false
	}
	base, w := f.viewOf(v, false)
	if w = w.merged(); !w.isScalar() {
		return 0, false
	}
	f.chain.scalars = append(f.chain.scalars, source{f.input(base), w})
	return len(f.chain.scalars) - 1, true
}

// uniform is the number that all elements of a constant are.
func (c *compiler) uniform(v *value) (float32, bool) {
	switch flat := c.constants[c.root(v)].(type) {
	case []float32:
		return allEqual(flat)
	case []bool:
		b, ok := allEqual(flat)
		return truth(b), ok
	}
	return 0, false
}

func allEqual[T comparable](flat []T) (T, bool) {
	for _, x := range flat {
		if x != flat[0] {
			return x, false
		}
	}
	return flat[0], true
}

// source is the register of a view of an input.
func (f *fusion) source(base *value, w view) int {
	s := source{f.input(base), w.merged()}
	key := fmt.Sprint(s)
	if i, ok := f.known[key]; ok {
		return i
	}
	f.chain.sources = append(f.chain.sources, s)
	f.known[key] = len(f.chain.sources) - 1
	return len(f.chain.sources) - 1
}

func (f *fusion) input(base *value) int {
	i := slices.Index(f.inputs, base)
	if i < 0 {
		i = len(f.inputs)
		f.inputs = append(f.inputs, base)
	}
	return i
}

// isPlain tells whether input i is read in order only, so that the result may take its place.
func (f *fusion) isPlain(i int) bool {
	if f.inputs[i].shape.DType != dtypes.Float32 {
		return false
	}
	if n := len(f.chain.instructions); n > 0 { // clamp reads its last operand after it wrote
		if args := f.chain.instructions[n-1].args; len(args) == 3 && args[2] < len(f.chain.sources) && f.chain.sources[args[2]].input == i {
			return false
		}
	}
	for _, s := range slices.Concat(f.chain.sources, f.chain.scalars) {
		if s.input == i && !(len(s.dims) == 1 && s.isRun() && s.offset == 0 && s.dims[0] == f.inputs[i].shape.Size()) {
			return false
		}
	}
	return true
}

// add adds an instruction; its register is new, and numbered behind the sources by finish.
func (f *fusion) add(ins instruction) int {
	ins.dst = -1 - len(f.chain.instructions)
	f.chain.instructions = append(f.chain.instructions, ins)
	return ins.dst
}

// finish gives registers and constants their numbers. A register is used again when its value is not needed any more.
func (f *fusion) finish() *chain {
	c := f.chain
	last := map[int]int{c.result: len(c.instructions)}
	for k, ins := range c.instructions {
		for _, a := range ins.args {
			last[a] = max(last[a], k)
		}
	}
	c.registers = len(c.sources)
	var free []int
	number := map[int]int{}
	for k := range c.instructions {
		ins := &c.instructions[k]
		for i, a := range ins.args {
			if a >= 0 {
				continue
			}
			ins.args[i] = number[a]
			if last[a] == k && !slices.Contains(free, number[a]) && !slices.Contains(ins.args[:i], number[a]) {
				free = append(free, number[a])
			}
		}
		if ins.scalar < -1 {
			ins.scalar = len(c.scalars) - 2 - ins.scalar
		}
		number[ins.dst] = c.newRegister(&free, k)
		ins.dst = number[ins.dst]
	}
	if c.result < 0 {
		c.result = number[c.result]
	}
	return c
}

// newRegister is a free register, or one more. Kernels read an element before they write it, so an instruction's result
// may take the register of an operand; where there are three, clamp reads the last after it wrote.
func (c *chain) newRegister(free *[]int, k int) int {
	if n := len(*free); n > 0 && len(c.instructions[k].args) < 3 {
		r := (*free)[n-1]
		*free = (*free)[:n-1]
		return r
	}
	c.registers++
	return c.registers - 1
}

// lowerView makes a step that copies a view.
func (c *compiler) lowerView(n *node) bool {
	switch n.op {
	case compute.OpTypeBroadcastInDim, compute.OpTypeSlice, compute.OpTypeTranspose:
	default:
		return false
	}
	v := n.outputs[0]
	if !onTiles(v) {
		return false
	}
	c.demanded[v] = false // or it would be read where it is to be written
	f := c.newFusion(v.shape.Size())
	base, w := c.viewOf(v, false)
	if base == v {
		c.demanded[v] = true
		return false
	}
	f.chain.result = f.source(base, w)
	c.emitChain(f, step{op: n.op, out: n.outputs, run: f.finish().store()})
	return true
}
