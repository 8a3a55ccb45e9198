package cpu

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"regft/compute/cpu/kernels"
)

// An epilogue is what a product or convolution does to its result before that leaves the cache: act(x + rows) + residual.
// Its zero value does nothing.
type epilogue struct {
	out        *value    // where the result goes; nil for the operation's own
	rows       []operand // added to every row; at most one where a step is made of it
	activation kernels.Activation
	residual   *value
}

// An operand is a view of a value.
type operand struct {
	base *value
	view // merged
}

// lowerEpilogue makes one step of n and the product or convolution that it ends, where there is one.
func (c *compiler) lowerEpilogue(n *node) bool {
	if n.outputs[0].shape.DType != dtypes.Float32 {
		return false
	}
	m := matcher{compiler: c, inside: map[*node]bool{}, first: n}
	p := m.find(n.outputs[0], withResidual)
	if p == nil {
		return false
	}
	e := m.epilogue
	e.out = n.outputs[0]
	if dense, ok := p.attrs.(compute.DenseConfig); ok && dense.Activation != compute.ActivationNone && (len(e.rows) > 0 || e.activation != kernels.NoActivation) {
		return false
	}
	columns := p.outputs[0].shape.Dimensions[p.outputs[0].shape.Rank()-1]
	for _, r := range e.rows {
		if r.dims[1] != columns {
			return false
		}
	}
	return c.lowerDotTo(p, e) || c.lowerDenseTo(p, e) || c.lowerConvTo(p, e)
}

// Parts of an epilogue, from the outermost on.
const (
	withResidual = iota
	withActivation
	withRows
)

// A matcher looks for the product that element-wise operations end. Those found are inside: nothing else may use what is
// computed between.
type matcher struct {
	*compiler
	epilogue
	first  *node
	inside map[*node]bool
}

// find is the product behind v, nil for none, through the parts of an epilogue from part on.
func (m *matcher) find(v *value, part int) *node {
	r := m.root(v)
	n := r.node
	if n != m.first {
		if r.shape.Size() == 0 || !m.isInside(r) {
			return nil
		}
		if isProduct(n) {
			return n
		}
	}
	if _, ok := applyOf(n); !ok {
		return nil
	}
	if n.op == compute.OpTypeAdd {
		for i, x := range n.inputs {
			if p := m.findAdd(n, x, n.inputs[1-i], part); p != nil {
				return p
			}
		}
		return nil
	}
	if part > withActivation {
		return nil
	}
	return m.findActivation(n)
}

// isInside tells whether only what is inside uses a value, which is not in memory.
func (m *matcher) isInside(root *value) bool {
	_, known := m.constants[root]
	return !known && !m.demanded[root] && !slices.ContainsFunc(m.consumers[root], func(n *node) bool { return !m.inside[n] })
}

func isProduct(n *node) bool {
	switch n.op {
	case compute.OpTypeDotGeneral, compute.OpTypeFusedDense, compute.OpTypeConvGeneral:
		return isFloat32(n) && n.outputs[0].shape.Rank() > 0
	}
	return false
}

// findAdd looks behind x, to which n adds y.
func (m *matcher) findAdd(n *node, x, y *value, part int) *node {
	if x.shape.Size() != n.outputs[0].shape.Size() {
		return nil
	}
	before := m.epilogue
	m.inside[n] = true
	if row, ok := m.row(n, y); ok {
		m.rows = append(slices.Clone(m.rows), row)
		if p := m.find(x, withRows); p != nil {
			return p
		}
	} else if part == withResidual && m.isPlain(n, y) {
		m.residual = m.root(y)
		if p := m.find(x, withActivation); p != nil {
			return p
		}
	}
	m.epilogue = before
	delete(m.inside, n)
	return nil
}

// row is y as what n adds to every row of a matrix.
func (m *matcher) row(n *node, y *value) (operand, bool) {
	if y.shape.Rank() != n.outputs[0].shape.Rank() { // a scalar
		return operand{}, false
	}
	base, w := m.viewOf(y, false)
	if y.shape.Size() != n.outputs[0].shape.Size() {
		dims := n.outputs[0].shape.Dimensions
		to := make([]int, len(dims))
		for i := range to {
			to[i] = i
		}
		w = w.broadcast(dims, to)
	}
	w = w.merged()
	return operand{base, w}, len(w.dims) == 2 && w.strides[0] == 0 && w.strides[1] == 1 && base.shape.DType == dtypes.Float32
}

// isPlain tells whether y has as many elements as n, is in memory as it is, and is nothing that is better computed with n.
func (m *matcher) isPlain(n *node, y *value) bool {
	r := m.root(y)
	if base, _ := m.viewOf(y, false); base != r || y.shape.Size() != n.outputs[0].shape.Size() || r.shape.DType != dtypes.Float32 {
		return false
	}
	_, isChain := applyOf(r.node)
	_, known := m.constants[r]
	return !known && (!isChain || m.demanded[r] || len(m.consumers[r]) > 1)
}

// findActivation looks behind an activation, whose last operation is n.
func (m *matcher) findActivation(n *node) *node {
	x, activation, between := m.activationOf(n)
	if x == nil {
		return nil
	}
	for _, b := range append(between, n) {
		m.inside[b] = true
	}
	m.activation = activation
	if p := m.find(x, withRows); p != nil {
		return p
	}
	m.activation = kernels.NoActivation
	for _, b := range append(between, n) {
		delete(m.inside, b)
	}
	return nil
}

// quickGelu is the factor of QuickGELU: x·sigmoid(1.702·x).
const quickGelu = 1.702

// activationOf recognises an activation of x by its last operation; between are the others.
func (m *matcher) activationOf(n *node) (x *value, activation kernels.Activation, between []*node) {
	switch n.op {
	case compute.OpTypeFusedGelu:
		if n.attrs == false {
			return n.inputs[0], kernels.GeluTanhActivation, nil
		}
		return n.inputs[0], kernels.GeluActivation, nil
	case compute.OpTypeMax:
		for i, x := range n.inputs {
			if zero, ok := m.uniform(n.inputs[1-i]); ok && zero == 0 {
				return x, kernels.ReluActivation, nil
			}
		}
	case compute.OpTypeMul:
		for i, x := range n.inputs {
			if activation, between := m.gate(m.root(x), m.root(n.inputs[1-i])); between != nil {
				return x, activation, between
			}
		}
	}
	return nil, 0, nil
}

// gate tells which activation x·gate is, and what computes the gate.
func (m *matcher) gate(x, gate *value) (kernels.Activation, []*node) {
	sigmoid := gate.node
	if sigmoid.op != compute.OpTypeLogistic || m.demanded[gate] || len(m.consumers[gate]) != 1 {
		return 0, nil
	}
	of := m.root(sigmoid.inputs[0])
	if of == x {
		return kernels.SiluActivation, []*node{sigmoid}
	}
	scale := of.node
	if scale.op != compute.OpTypeMul || m.demanded[of] || len(m.consumers[of]) != 1 {
		return 0, nil
	}
	for i, v := range scale.inputs {
		if factor, ok := m.uniform(scale.inputs[1-i]); ok && factor == quickGelu && m.root(v) == x {
			return kernels.QuickGeluActivation, []*node{sigmoid, scale}
		}
	}
	return 0, nil
}

// outputs are where an operation that ends so puts its result.
func (e epilogue) outputs(n *node) []*value {
	if e.out == nil {
		return n.outputs
	}
	return []*value{e.out}
}

// isNone tells whether nothing is done.
func (e epilogue) isNone() bool {
	return len(e.rows) == 0 && e.activation == kernels.NoActivation && e.residual == nil
}

// An ending is an epilogue in a step: the inputs that bias and residual are, −1 for none.
type ending struct {
	bias, residual int
	activation     kernels.Activation
	rows, columns  int // of the result
}

// ending adds what e reads to the inputs of a step that computes n and already adds the rows that bias gives; sum makes one
// row of several, and is to be emitted after the step.
func (c *compiler) ending(n *node, e epilogue, bias []operand, in []*value) (end ending, all []*value, sum *step) {
	end = ending{bias: -1, residual: -1}
	if e.isNone() && len(bias) == 0 {
		return end, in, nil
	}
	s := n.outputs[0].shape
	columns := s.Dimensions[s.Rank()-1]
	end = ending{bias: -1, residual: -1, activation: e.activation, rows: s.Size() / columns, columns: columns}
	if rows := append(slices.Clone(bias), e.rows...); len(rows) > 0 {
		end.bias = len(in)
		base := rows[0].base
		if len(rows) > 1 || rows[0].offset != 0 {
			base = temporary(shapes.Make(dtypes.Float32, columns))
			sum = sumStep(n.op, base, rows)
		}
		in = append(in, base)
	}
	if e.residual != nil {
		end.residual = len(in)
		in = append(in, e.residual)
	}
	return end, in, sum
}

// sumStep adds rows.
func sumStep(op compute.OpType, out *value, rows []operand) *step {
	s := &step{op: op, out: []*value{out}}
	var offsets []int
	for _, r := range rows {
		s.in, offsets = append(s.in, r.base), append(offsets, r.offset)
	}
	s.run = func(_ *execution, in, out []any) error {
		sum := out[0].([]float32)
		copy(sum, in[0].([]float32)[offsets[0]:])
		for i := 1; i < len(in); i++ {
			kernels.Binary(kernels.Add, sum, sum, in[i].([]float32)[offsets[i]:])
		}
		return nil
	}
	return s
}

// kernel is the ending with its operands.
func (e ending) kernel(in []any) kernels.Epilogue {
	k := kernels.Epilogue{Activation: e.activation}
	if e.bias >= 0 {
		k.Bias = in[e.bias].([]float32)
	}
	if e.residual >= 0 {
		k.Residual = kernels.Matrix(in[e.residual].([]float32), e.rows, e.columns)
	}
	return k
}
