package cpu

import (
	"slices"

	"github.com/gomlx/compute"

	"regft/compute/cpu/kernels"
)

// A groupNorm is a group norm that was found in a graph of operations: of x [batch, pixels, groups, channels/groups],
// (x − mean)·rsqrt(variance + epsilon)·gamma + beta, and an activation.
type groupNorm struct {
	kernels.GroupNorm
	x, gamma, beta *value
}

// lowerGroupNorm makes one step of n and the operations of the group norm that it ends, where nothing else uses what is
// between.
func (c *compiler) lowerGroupNorm(n *node) bool {
	if n.op != compute.OpTypeAdd && n.op != compute.OpTypeMul || !isFloat32(n) {
		return false
	}
	m := matcher{compiler: c, inside: map[*node]bool{n: true}, first: n}
	result, activation := n.outputs[0], kernels.NoActivation
	if x, a, between := m.activationOf(n); x != nil {
		for _, b := range between {
			m.inside[b] = true
		}
		if result, activation = c.root(x), a; !m.isInside(result) {
			return false
		}
	}
	norm := m.groupNorm(result.node)
	if norm == nil {
		return false
	}
	norm.Activation = activation
	c.emit(step{op: n.op, in: []*value{norm.x, norm.gamma, norm.beta}, out: n.outputs, reuse: [][]int{{0}}, run: func(x *execution, in, out []any) error {
		k := norm.GroupNorm
		k.Gamma, k.Beta = in[1].([]float32), in[2].([]float32)
		k.Forward(x.pool, out[0].([]float32), in[0].([]float32), nil, nil)
		return nil
	}})
	return true
}

// enter adds v's operation to those inside, if it is op and nothing else uses its result.
func (m *matcher) enter(v *value, op compute.OpType) *node {
	r := m.root(v)
	if r.node.op != op || !m.isInside(r) {
		return nil
	}
	m.inside[r.node] = true
	return r.node
}

// groupNorm is the group norm whose last operation is add, nil if it is none.
func (m *matcher) groupNorm(add *node) *groupNorm {
	if add.op != compute.OpTypeAdd {
		return nil
	}
	m.inside[add] = true
	var norm groupNorm
	scaled, ok := m.besideRow(add, &norm.beta)
	if !ok {
		return nil
	}
	scale := m.enter(scaled, compute.OpTypeMul)
	if scale == nil {
		return nil
	}
	normalized, ok := m.besideRow(scale, &norm.gamma)
	if !ok {
		return nil
	}
	divide := m.enter(normalized, compute.OpTypeMul)
	if divide == nil {
		return nil
	}
	for i, centered := range divide.inputs {
		if m.centered(&norm, centered, divide.inputs[1-i]) && norm.fits() {
			return &norm
		}
	}
	return nil
}

// besideRow is what n has beside an operand that is the same in every row, which has to be a whole tensor.
func (m *matcher) besideRow(n *node, row **value) (*value, bool) {
	for i, v := range n.inputs {
		if r, ok := m.row(n, v); ok && r.offset == 0 && r.base.shape.Size() == r.dims[1] {
			*row = r.base
			return n.inputs[1-i], true
		}
	}
	return nil, false
}

// centered reads x, its shape and epsilon off x − mean and the factor 1/√(variance + epsilon).
func (m *matcher) centered(norm *groupNorm, centered, factor *value) bool {
	y, rsqrt := m.root(centered), m.enter(factor, compute.OpTypeRsqrt)
	if rsqrt == nil || y.node.op != compute.OpTypeSub || y.shape.Rank() != 4 {
		return false
	}
	d := y.shape.Dimensions
	norm.Batch, norm.Pixels, norm.Groups, norm.Channels = d[0], d[1], d[2], d[2]*d[3]
	add := m.enter(rsqrt.inputs[0], compute.OpTypeAdd)
	if add == nil {
		return false
	}
	squares := m.meanOf(norm, m.besideNumber(add, &norm.Epsilon))
	if squares == nil {
		return false
	}
	square := m.enter(squares, compute.OpTypeMul)
	if square == nil || m.root(square.inputs[0]) != y || m.root(square.inputs[1]) != y || m.enter(y, compute.OpTypeSub) == nil {
		return false
	}
	x := m.meanOf(norm, y.node.inputs[1])
	if x == nil || m.root(x) != m.root(y.node.inputs[0]) || !x.shape.Equal(y.shape) {
		return false
	}
	norm.x = m.root(x)
	return true
}

// besideNumber is what n has beside a number, nil where it has none.
func (m *matcher) besideNumber(n *node, number *float32) *value {
	for i, v := range n.inputs {
		if x, ok := m.uniform(v); ok {
			*number = x
			return n.inputs[1-i]
		}
	}
	return nil
}

// meanOf is that of which v is the mean over pixels and channels of a group, nil if it is not.
func (m *matcher) meanOf(norm *groupNorm, v *value) *value {
	if v == nil {
		return nil
	}
	scale := m.enter(v, compute.OpTypeMul)
	if scale == nil {
		return nil
	}
	var factor float32
	sum := m.besideNumber(scale, &factor)
	if sum == nil || factor != float32(1/float64(norm.Pixels*norm.Channels/norm.Groups)) {
		return nil
	}
	reduce := m.enter(sum, compute.OpTypeReduceSum)
	if reduce == nil || !slices.Equal(reduce.attrs.(axes), axes{1, 3}) || reduce.inputs[0].shape.Rank() != 4 {
		return nil
	}
	return reduce.inputs[0]
}

// fits tells whether scale and shift are by channel, and the channels are the last axis.
func (g *groupNorm) fits() bool {
	return g.gamma.shape.Size() == g.Channels && g.beta.shape.Size() == g.Channels && g.x.shape.Size() == g.Batch*g.Pixels*g.Channels
}
