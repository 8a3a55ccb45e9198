package cpu

import (
	"slices"

	"github.com/gomlx/compute"

	"regft/compute/cpu/kernels"
)

// A layerNormGradient is the gradients of a layer norm over the last axis that were found in a graph of operations.
type layerNormGradient struct {
	dy, x, gamma  *value
	factor        *value // 1/√(variance + ε), by row
	residual      *value // added to dx; nil for none
	dgamma, dbeta *value // nil where they are not computed, or not here
	rows, columns int
	epsilon       float32
}

// lowerLayerNormGradient makes one step of n, which gives dx, perhaps with something added, and of the sums that give
// dgamma and dbeta.
func (c *compiler) lowerLayerNormGradient(n *node) bool {
	g := c.residualOf(n)
	if g == nil {
		g = c.layerNormGradientAt(n)
	}
	if g == nil {
		return false
	}
	c.findSums(n, g)
	in, out := []*value{g.dy, g.x, g.gamma}, slices.Clone(n.outputs)
	var replaced []int // by dx
	for i := range 2 {
		if in[i] != g.residual { // which is read after dx is written
			replaced = append(replaced, i)
		}
	}
	if g.residual != nil {
		in = append(in, g.residual)
	}
	for _, sum := range []*value{g.dgamma, g.dbeta} {
		if sum != nil {
			out = append(out, sum)
			delete(c.demanded, sum) // or it would have a step of its own
		}
	}
	c.emit(step{op: n.op, in: in, out: out, reuse: [][]int{replaced}, run: func(x *execution, in, out []any) error {
		k := kernels.LayerNormGradient{
			DY: in[0].([]float32), X: in[1].([]float32), Gamma: in[2].([]float32), Epsilon: g.epsilon, DX: out[0].([]float32),
		}
		if g.residual != nil {
			k.Residual = in[3].([]float32)
		}
		sums := out[1:]
		if g.dgamma != nil {
			k.DGamma, sums = sums[0].([]float32), sums[1:]
		}
		if g.dbeta != nil {
			k.DBeta = sums[0].([]float32)
		}
		k.Compute(x.pool, g.rows, g.columns)
		return nil
	}})
	return true
}

// residualOf is the gradient to which n adds something, where nothing else uses it.
func (c *compiler) residualOf(n *node) *layerNormGradient {
	if n.op != compute.OpTypeAdd || !isFloat32(n) {
		return nil
	}
	m := matcher{compiler: c, inside: map[*node]bool{n: true}, first: n}
	for i, v := range n.inputs {
		other := n.inputs[1-i]
		if v.shape.Size() != other.shape.Size() || !m.isInside(c.root(v)) {
			continue
		}
		if g := c.layerNormGradientAt(c.root(v).node); g != nil {
			g.residual = c.root(other)
			return g
		}
	}
	return nil
}

// layerNormGradientAt is the gradient whose dx is n, nil if it is none. As package nn states it, with the norm's x̂:
//
//	v − mean(v) − x̂·mean(v·x̂), v = dy·gamma·factor, x̂ = (x − mean(x))·factor, factor = 1/√(mean((x − mean(x))²) + ε).
func (c *compiler) layerNormGradientAt(n *node) *layerNormGradient {
	if n.op != compute.OpTypeSub || !isFloat32(n) || n.outputs[0].shape.Rank() < 2 {
		return nil
	}
	left, right := c.operands(n.inputs[0], compute.OpTypeSub), c.operands(n.inputs[1], compute.OpTypeMul)
	if left == nil || right == nil {
		return nil
	}
	dims := n.outputs[0].shape.Dimensions
	g := layerNormGradient{columns: dims[len(dims)-1]}
	g.rows = product(dims) / max(g.columns, 1)
	v := c.root(left[0])
	if g.rows < 2 || g.columns < 2 || c.rowMean(n, left[1]) != v {
		return nil
	}
	for i := range right {
		normalized := c.root(right[i])
		if p := c.operands(c.rowMean(n, right[1-i]), compute.OpTypeMul); areEqual(c, p, v, normalized) && c.readNorm(n, &g, v, normalized) {
			return &g
		}
	}
	return nil
}

// areEqual tells whether two operands are x and y in some order.
func areEqual(c *compiler, operands []*value, x, y *value) bool {
	if len(operands) != 2 {
		return false
	}
	a, b := c.root(operands[0]), c.root(operands[1])
	return a == x && b == y || a == y && b == x
}

// readNorm reads v = dy·gamma·factor and x̂ = (x − mean(x))·factor.
func (c *compiler) readNorm(n *node, g *layerNormGradient, v, normalized *value) bool {
	scaled, factor := c.besideRowValue(n, v)
	centered, same := c.besideRowValue(n, normalized)
	if scaled == nil || centered == nil || factor != same {
		return false
	}
	m := matcher{compiler: c}
	w, x := c.root(scaled).node, c.operands(centered, compute.OpTypeSub)
	if w.op != compute.OpTypeMul || x == nil || c.rowMean(n, x[1]) != c.root(x[0]) {
		return false
	}
	dy, ok := m.besideRow(w, &g.gamma)
	if !ok || g.gamma.shape.Size() != g.columns {
		return false
	}
	g.dy, g.x, g.factor = c.root(dy), c.root(x[0]), factor
	rsqrt := c.operands(factor, compute.OpTypeRsqrt)
	if rsqrt == nil {
		return false
	}
	sum := c.root(rsqrt[0]).node
	if sum.op != compute.OpTypeAdd {
		return false
	}
	variance := m.besideNumber(sum, &g.epsilon)
	if variance == nil {
		return false
	}
	square := c.operands(c.meanOfRow(c.root(variance), g.columns), compute.OpTypeMul)
	size := g.rows * g.columns
	return areEqual(c, square, c.root(centered), c.root(centered)) && g.dy.shape.Size() == size && g.x.shape.Size() == size
}

// besideRowValue parts a product of a tensor and a number for each of its rows.
func (c *compiler) besideRowValue(n *node, v *value) (tensor, number *value) {
	operands := c.operands(v, compute.OpTypeMul)
	for i := range operands {
		if r := c.rowValue(n, operands[1-i]); r != nil {
			return operands[i], r
		}
	}
	return nil, nil
}

// rowValue is the vector of which y has an element in every place of each of n's rows, nil if there is none.
func (c *compiler) rowValue(n *node, y *value) *value {
	dims := n.outputs[0].shape.Dimensions
	if y.shape.Rank() != len(dims) {
		return nil
	}
	base, w := c.viewOf(y, false)
	if y.shape.Size() != product(dims) {
		to := make([]int, len(dims))
		for i := range to {
			to[i] = i
		}
		w = w.broadcast(dims, to)
	}
	w = w.merged()
	if w.offset != 0 || !slices.Equal(w.strides, []int{1, 0}) || base.shape.Size() != w.dims[0] || w.dims[1] != dims[len(dims)-1] {
		return nil
	}
	return base
}

// rowMean is the tensor whose mean over the last axis y has in every place of n's rows.
func (c *compiler) rowMean(n *node, y *value) *value {
	dims := n.outputs[0].shape.Dimensions
	return c.meanOfRow(c.rowValue(n, y), dims[len(dims)-1])
}

// meanOfRow is the tensor whose mean over the last axis v is.
func (c *compiler) meanOfRow(v *value, columns int) *value {
	if v == nil || v.node.op != compute.OpTypeMul {
		return nil
	}
	var factor float32
	m := matcher{compiler: c}
	sum := m.besideNumber(v.node, &factor)
	if sum == nil || factor != float32(1/float64(columns)) {
		return nil
	}
	reduce := c.root(sum).node
	if reduce.op != compute.OpTypeReduceSum {
		return nil
	}
	x := reduce.inputs[0]
	if d := x.shape.Dimensions; !slices.Equal(reduce.attrs.(axes), axes{len(d) - 1}) || d[len(d)-1] != columns {
		return nil
	}
	return c.root(x)
}

// findSums finds dgamma = Σ dy·x̂ and dbeta = Σ dy over the rows, where they are wanted after n only.
func (c *compiler) findSums(n *node, g *layerNormGradient) {
	g.dbeta = c.sumOfRows(n, g.dy, g)
	for _, q := range c.consumers[g.dy] {
		if q == nil || q.op != compute.OpTypeMul {
			continue
		}
		for i, v := range q.inputs {
			if c.root(v) == g.dy && c.isNormalized(q.inputs[1-i], g) {
				g.dgamma = c.sumOfRows(n, q.outputs[0], g)
			}
		}
	}
}

// isNormalized tells whether v is the norm's x̂.
func (c *compiler) isNormalized(v *value, g *layerNormGradient) bool {
	q := c.root(v).node
	centered, factor := c.besideRowValue(q, c.root(v))
	x := c.operands(centered, compute.OpTypeSub)
	if factor == nil || x == nil || c.root(x[0]) != g.x || c.rowMean(q, x[1]) != g.x {
		return false
	}
	return factor == g.factor
}

// sumOfRows is the sum of all rows of v, where everything that uses it comes after n.
func (c *compiler) sumOfRows(n *node, v *value, g *layerNormGradient) *value {
	for _, q := range c.consumers[c.root(v)] {
		if q == nil || q.op != compute.OpTypeReduceSum || q.id > n.id || q.outputs[0].shape.Size() != g.columns {
			continue
		}
		over := q.attrs.(axes)
		dims := q.inputs[0].shape.Dimensions
		if len(over) != len(dims)-1 || slices.Contains(over, len(dims)-1) || dims[len(dims)-1] != g.columns {
			continue
		}
		out := q.outputs[0]
		if !slices.ContainsFunc(c.consumers[out], func(u *node) bool { return u != nil && u.id < n.id }) {
			return out
		}
	}
	return nil
}
