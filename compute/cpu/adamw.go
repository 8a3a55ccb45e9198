package cpu

import (
	"slices"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"regft/compute/cpu/kernels"
)

// An adamW is a step of AdamW that was found in a graph of operations, of one parameter: what it reads, and the numbers.
type adamW struct {
	parameter, gradient, m, v *value
	newM, newV                *value
	scaled                    *value // the gradient that is used, gradient·scale

	decay, stepSize, correction, scale scalar // correction is √(1 − β2^t)
	keep1, beta2, keep2, epsilon       scalar
}

// A scalar is a known number, or an element of a value.
type scalar struct {
	number float32
	base   *value // nil for a known number
	offset int
}

// lowerAdamW makes one step, a single pass over memory, of the operations that change a parameter and its moments; n gives
// the new parameter. The moments' averages are rounded as β·m + (1 − β)·g.
func (c *compiler) lowerAdamW(n *node) bool {
	a := c.adamWAt(n)
	if a == nil {
		return false
	}
	in := []*value{a.parameter, a.gradient, a.m, a.v}
	numbers := []scalar{a.decay, a.stepSize, a.correction, a.scale, a.keep1, a.beta2, a.keep2, a.epsilon}
	at := make([]int, len(numbers)) // index of the input that has it
	for i, s := range numbers {
		if s.base != nil {
			at[i] = len(in)
			in = append(in, s.base)
		}
	}
	for _, v := range []*value{a.newM, a.newV} {
		delete(c.demanded, v) // or they would have steps of their own
	}
	out := []*value{n.outputs[0], a.newM, a.newV}
	c.emit(step{op: n.op, in: in, out: out, reuse: [][]int{{0}, {2}, {3}}, run: func(x *execution, in, out []any) error {
		var known [8]float32
		for i, s := range numbers {
			if known[i] = s.number; s.base != nil {
				known[i] = in[at[i]].([]float32)[s.offset]
			}
		}
		k := kernels.AdamW{
			Decay: known[0], StepSize: known[1], RootBias2: 1 / known[2], GradientScale: known[3],
			Beta1: 1 - known[4], Keep1: known[4], Beta2: known[5], Keep2: known[6], Epsilon: known[7],
		}
		parameter, m, v, gradient := out[0].([]float32), out[1].([]float32), out[2].([]float32), in[1].([]float32)
		tasks(x, len(parameter), func(from, to int) {
			moved(parameter[from:to], in[0].([]float32)[from:to])
			moved(m[from:to], in[2].([]float32)[from:to])
			moved(v[from:to], in[3].([]float32)[from:to])
			k.Update(parameter[from:to], gradient[from:to], m[from:to], v[from:to])
		})
		return nil
	}})
	return true
}

// moved copies src to dst where they are not the same memory.
func moved(dst, src []float32) {
	if unsafe.SliceData(dst) != unsafe.SliceData(src) {
		copy(dst, src)
	}
}

// adamWAt is the step of AdamW whose new parameter is n, nil if it is none or its parts are used by others:
//
//	p·decay − stepSize·m'/(√v'/correction + ε), m' = m + (g − m)·keep1, v' = v·β2 + g·g·keep2, g = gradient·scale.
func (c *compiler) adamWAt(n *node) *adamW {
	if n.op != compute.OpTypeSub || !isFloat32(n) {
		return nil
	}
	m, a := matcher{compiler: c, inside: map[*node]bool{n: true}, first: n}, adamW{}
	if a.parameter = c.besideScalar(c.operands(n.inputs[0], compute.OpTypeMul), &a.decay); a.parameter == nil {
		return nil
	}
	ratio := m.within(c.besideScalar(m.within(n.inputs[1], compute.OpTypeMul), &a.stepSize), compute.OpTypeDiv)
	if ratio == nil {
		return nil
	}
	corrected := m.within(c.besideScalar(m.within(ratio[1], compute.OpTypeAdd), &a.epsilon), compute.OpTypeDiv)
	if corrected == nil || !c.scalarOf(corrected[1], &a.correction) {
		return nil
	}
	root := m.within(corrected[0], compute.OpTypeSqrt)
	if root == nil {
		return nil
	}
	a.newM, a.newV = c.root(ratio[0]), c.root(root[0])
	if !m.leaves(a.newM) || !m.leaves(a.newV) || !c.secondMoment(&a) || !c.firstMoment(&a) {
		return nil
	}
	for _, v := range []*value{a.parameter, a.gradient, a.m, a.v, a.newM, a.newV} {
		if v.shape.Size() != n.outputs[0].shape.Size() || v.shape.DType != dtypes.Float32 {
			return nil
		}
	}
	return &a
}

// within are the operands of v's operation, which is put inside, if it is op and nothing else uses its result.
func (m *matcher) within(v *value, op compute.OpType) []*value {
	if v == nil {
		return nil
	}
	if n := m.enter(v, op); n != nil {
		return n.inputs
	}
	return nil
}

// leaves tells whether only what is inside uses v, or whoever executes the program.
func (m *matcher) leaves(v *value) bool {
	_, known := m.constants[v]
	return !known && !slices.ContainsFunc(m.consumers[v], func(n *node) bool { return n != nil && !m.inside[n] })
}

// operands are those of v's operation if it is op.
func (c *compiler) operands(v *value, op compute.OpType) []*value {
	if v == nil || c.root(v).node.op != op {
		return nil
	}
	return c.root(v).node.inputs
}

// besideScalar is which of two operands stands beside a scalar, nil if neither does.
func (c *compiler) besideScalar(operands []*value, s *scalar) *value {
	if len(operands) != 2 {
		return nil
	}
	for i := range operands {
		if c.scalarOf(operands[1-i], s) {
			return operands[i]
		}
	}
	return nil
}

// scalarOf reads the number that all elements of v are, if they are one.
func (c *compiler) scalarOf(v *value, s *scalar) bool {
	if x, ok := c.uniform(v); ok {
		*s = scalar{number: x}
		return true
	}
	base, w := c.viewOf(v, false)
	if w = w.merged(); !w.isScalar() || base.shape.DType != dtypes.Float32 {
		return false
	}
	*s = scalar{base: base, offset: w.offset}
	return true
}

// secondMoment reads v' off the graph, and the gradient.
func (c *compiler) secondMoment(a *adamW) bool {
	sum := c.operands(a.newV, compute.OpTypeAdd)
	if sum == nil {
		return false
	}
	for i := range sum {
		a.v = c.besideScalar(c.operands(sum[i], compute.OpTypeMul), &a.beta2)
		square := c.operands(c.besideScalar(c.operands(sum[1-i], compute.OpTypeMul), &a.keep2), compute.OpTypeMul)
		if a.v != nil && square != nil && c.root(square[0]) == c.root(square[1]) {
			a.scaled = c.root(square[0])
			a.gradient = c.besideScalar(c.operands(a.scaled, compute.OpTypeMul), &a.scale)
			return a.gradient != nil
		}
	}
	return false
}

// firstMoment reads m' off the graph.
func (c *compiler) firstMoment(a *adamW) bool {
	sum := c.operands(a.newM, compute.OpTypeAdd)
	if sum == nil {
		return false
	}
	for i := range sum {
		difference := c.operands(c.besideScalar(c.operands(sum[1-i], compute.OpTypeMul), &a.keep1), compute.OpTypeSub)
		if difference != nil && c.root(difference[0]) == a.scaled && c.root(difference[1]) == c.root(sum[i]) {
			a.m = sum[i]
			return true
		}
	}
	return false
}
