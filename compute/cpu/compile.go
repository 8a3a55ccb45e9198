package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
)

// A kernel computes outputs from inputs, slices of the Go types of their dtypes.
type kernel func(x *execution, in, out []any) error

// A step is one kernel of a program with its operands.
type step struct {
	op      compute.OpType
	in, out []*value
	run     kernel
	reuse   [][]int // by output: inputs whose memory it may take where they are not needed any more

	stored     *storedInput // nil where all inputs are read as they are
	keepsOrder bool         // elements of the first input and the first output correspond, in whatever order they are
}

// reusable are the inputs whose memory output k may take.
func (s step) reusable(k int) []int {
	if k >= len(s.reuse) {
		return nil
	}
	return s.reuse[k]
}

// A compiler turns a function into a program.
type compiler struct {
	backend   *Backend
	function  *Function
	needed    []bool             // by node: an output depends on it
	roots     map[*value]*value  // of values that are another one's elements in another shape
	constants map[*value]any     // what is known before an execution
	consumers map[*value][]*node // of roots, those that are needed
	demanded  map[*value]bool    // roots that have to be in memory
	placed    map[*value]*value  // results of attention that are computed in another order of axes
	steps     []step             // in reverse
}

func compile(f *Function) (p *program, err error) {
	defer caught(&err)
	c := &compiler{
		backend: f.builder.backend, function: f, needed: make([]bool, len(f.nodes)), roots: map[*value]*value{},
		constants: map[*value]any{}, consumers: map[*value][]*node{}, demanded: map[*value]bool{}, placed: map[*value]*value{},
	}
	c.findRoots()
	c.findNeeded()
	if err := c.fold(); err != nil {
		return nil, err
	}
	c.findNeeded()
	c.findConsumers()
	c.placeHeads()
	c.findRoots()
	c.findConsumers()
	if err := c.lower(); err != nil {
		return nil, err
	}
	return c.plan(), nil
}

// root is the value whose memory v is.
func (c *compiler) root(v *value) *value {
	if r, ok := c.roots[v]; ok {
		return r
	}
	return v
}

// findRoots finds the operations that change a shape or nothing.
func (c *compiler) findRoots() {
	for _, n := range c.function.nodes {
		switch n.op {
		case compute.OpTypeIdentity, compute.OpTypeReshape, compute.OpTypeSchedulingBarrier, compute.OpTypeOptimizationBarrier:
			for i, v := range n.outputs {
				c.roots[v] = c.root(n.inputs[i])
			}
		case compute.OpTypeTranspose:
			if slices.IsSorted(n.attrs.(permutation)) {
				c.roots[n.outputs[0]] = c.root(n.inputs[0])
			} else if p, ok := c.placed[c.root(n.inputs[0])]; ok && swaps(n) && n.inputs[0].shape.Equal(c.root(n.inputs[0]).shape) {
				c.roots[n.outputs[0]] = p
			}
		}
	}
}

// isAlias tells whether n computes nothing.
func (c *compiler) isAlias(n *node) bool {
	_, ok := c.roots[n.outputs[0]]
	return ok
}

// findNeeded marks the nodes that outputs depend on and that are not known.
func (c *compiler) findNeeded() {
	clear(c.needed)
	for _, v := range c.function.outputs {
		c.needed[v.node.id] = true
	}
	for i := len(c.needed) - 1; i >= 0; i-- {
		n := c.function.nodes[i]
		if _, known := c.constants[n.outputs[0]]; known || !c.needed[i] {
			continue
		}
		for _, v := range n.inputs {
			c.needed[v.node.id] = true
		}
	}
}

// foldLimit is how many elements a folded constant has at most: larger ones are cheaper to compute than to keep.
const foldLimit = 1 << 16

// fold computes the nodes that depend on constants only.
func (c *compiler) fold() error {
	for i, n := range c.function.nodes {
		if !c.needed[i] {
			continue
		}
		if n.op == compute.OpTypeConstant {
			c.constants[n.outputs[0]] = n.flat
			continue
		}
		if n.emit == nil || c.isAlias(n) || !c.foldable(n) {
			continue
		}
		if err := c.evaluate(n); err != nil {
			return fmt.Errorf("computing the constant operation %s: %w", n.op, err)
		}
	}
	return nil
}

func (c *compiler) foldable(n *node) bool {
	for _, v := range n.outputs {
		if v.shape.Size() > foldLimit {
			return false
		}
	}
	for _, v := range n.inputs {
		if _, ok := c.constants[c.root(v)]; !ok {
			return false
		}
	}
	return true
}

// evaluate computes n, whose inputs are known, on the reference.
func (c *compiler) evaluate(n *node) error {
	run, err := c.backend.compileReference(n)
	if err != nil {
		return err
	}
	in, out := make([]any, len(n.inputs)), make([]any, len(n.outputs))
	for i, v := range n.inputs {
		in[i] = c.constants[c.root(v)]
	}
	for i, v := range n.outputs {
		out[i] = newFlat(v.shape)
		c.constants[v] = out[i]
	}
	return run(nil, in, out)
}

// findConsumers finds what uses each root.
func (c *compiler) findConsumers() {
	clear(c.consumers)
	for i, n := range c.function.nodes {
		if !c.needed[i] || c.isAlias(n) {
			continue
		}
		for _, v := range n.inputs {
			r := c.root(v)
			c.consumers[r] = append(c.consumers[r], n)
		}
	}
	for _, v := range c.function.outputs {
		r := c.root(v)
		c.consumers[r] = append(c.consumers[r], nil) // an output is used by whoever executes the program
	}
}

// lower makes the steps, from the last to the first: what a step reads is demanded of those before.
func (c *compiler) lower() error {
	for _, v := range c.function.outputs {
		c.demanded[c.root(v)] = true
	}
	for i := len(c.function.nodes) - 1; i >= 0; i-- {
		n := c.function.nodes[i]
		if n.emit == nil || c.isAlias(n) || !c.isDemanded(n) {
			continue
		}
		if err := c.lowerNode(n); err != nil {
			return fmt.Errorf("operation %s: %w", n.op, err)
		}
	}
	return nil
}

// isDemanded tells whether a value of n has to be computed into memory.
func (c *compiler) isDemanded(n *node) bool {
	for _, v := range n.outputs {
		if _, known := c.constants[v]; c.demanded[v] && !known {
			return true
		}
		if p, ok := c.placed[v]; ok && c.demanded[p] {
			return true
		}
	}
	return false
}

// emit appends a step; what it reads is demanded. Steps of one node are given from the last to the first.
func (c *compiler) emit(s step) {
	for i, v := range s.in {
		s.in[i] = c.root(v)
		c.demanded[s.in[i]] = true
	}
	c.steps = append(c.steps, s)
}

// lowerings make steps on package kernels, and tell whether they can.
var lowerings []func(c *compiler, n *node) bool

func init() {
	lowerings = []func(c *compiler, n *node) bool{
		(*compiler).lowerChain, (*compiler).lowerView, (*compiler).lowerTranspose, (*compiler).lowerReduce,
		(*compiler).lowerDot, (*compiler).lowerDense, (*compiler).lowerSoftmax, (*compiler).lowerLayerNorm,
		(*compiler).lowerWiden, (*compiler).lowerConcatenate, (*compiler).lowerPad, (*compiler).lowerGather, (*compiler).lowerConv, (*compiler).lowerAttention,
	}
}

// lowerNode makes the steps of one node, on the reference backend where there is no other way.
func (c *compiler) lowerNode(n *node) error {
	for _, lower := range lowerings {
		if lower(c, n) {
			return nil
		}
	}
	run, err := c.backend.compileReference(n)
	if err != nil {
		return err
	}
	c.emit(step{op: n.op, in: append([]*value(nil), n.inputs...), out: n.outputs, run: run})
	return nil
}
