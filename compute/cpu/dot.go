package cpu

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"regft/compute/cpu/kernels"
)

// A dimension is one axis of a product: its size, and its strides in both operands and the result.
type dimension struct{ size, a, b, c int }

// A matmul is a batch of matrix products with axes anywhere in memory.
type matmul struct {
	loops                []dimension // over all but one batch axis
	batch                dimension
	rows, columns, depth dimension
	offsetA, offsetB     int
	end                  ending
}

// lowerDot makes a matrix product of a DotGeneral of float32. Operands are read where they are, transposed or sliced,
// unless their contracted axes are not one axis in memory.
func (c *compiler) lowerDot(n *node) bool { return c.lowerDotTo(n, epilogue{}) }

func (c *compiler) lowerDotTo(n *node, e epilogue) bool {
	config, ok := n.attrs.(dotConfig)
	if !ok || !isFloat32(n) || n.outputs[0].shape.Size() == 0 || !plainConfig(config.DotGeneralConfig) {
		return false
	}
	a, b := n.inputs[0], n.inputs[1]
	baseA, viewA := c.viewOf(a, true)
	baseB, viewB := c.viewOf(b, true)
	m, ok := newMatmul(config, viewA, viewB)
	if !ok {
		if baseA == c.root(a) && baseB == c.root(b) {
			return false
		}
		baseA, viewA, baseB, viewB = c.root(a), contiguous(a.shape.Dimensions), c.root(b), contiguous(b.shape.Dimensions)
		if m, ok = newMatmul(config, viewA, viewB); !ok {
			return false
		}
	}
	return c.emitMatmul(n, m, e, nil, []*value{baseA, baseB})
}

// emitMatmul emits the step of a product with its epilogue, which wants one matrix.
func (c *compiler) emitMatmul(n *node, m *matmul, e epilogue, bias []operand, in []*value) bool {
	if !e.isNone() && (len(m.loops) > 0 || m.batch.size != 1 || m.columns.size != n.outputs[0].shape.Dimensions[n.outputs[0].shape.Rank()-1]) {
		return false
	}
	var sum *step
	m.end, in, sum = c.ending(n, e, bias, in)
	c.emit(step{op: n.op, in: in, out: e.outputs(n), run: m.run, stored: m.stored(in[1])})
	if sum != nil {
		c.emit(*sum)
	}
	return true
}

func plainConfig(c compute.DotGeneralConfig) bool {
	plain := func(d dtypes.DType) bool { return d == dtypes.InvalidDType || d == dtypes.Float32 }
	return plain(c.AccumulatorDType) && plain(c.OutputDType)
}

// isFloat32 tells whether all that n reads and computes is float32.
func isFloat32(n *node) bool {
	return !slices.ContainsFunc(slices.Concat(n.inputs, n.outputs), func(v *value) bool { return v.shape.DType != dtypes.Float32 })
}

// newMatmul sorts the axes; not ok where the contracted ones do not lie in one axis of memory of each operand.
func newMatmul(config dotConfig, a, b view) (*matmul, bool) {
	var batch, depth []dimension
	for i, x := range config.lhsBatch {
		y := config.rhsBatch[i]
		batch = append(batch, dimension{size: a.dims[x], a: a.strides[x], b: b.strides[y]})
	}
	for i, x := range config.lhsContracting {
		y := config.rhsContracting[i]
		depth = append(depth, dimension{size: a.dims[x], a: a.strides[x], b: b.strides[y]})
	}
	rows, columns := crossing(a, config.lhsContracting, config.lhsBatch, true), crossing(b, config.rhsContracting, config.rhsBatch, false)
	stride := 1
	for _, axes := range [][]dimension{columns, rows, batch} {
		for i := len(axes) - 1; i >= 0; i-- {
			axes[i].c = stride
			stride *= axes[i].size
		}
	}
	m := &matmul{offsetA: a.offset, offsetB: b.offset}
	depth = joined(depth)
	if len(depth) > 1 {
		return nil, false
	}
	m.depth = single(depth)
	m.rows, m.loops = largest(joined(rows), m.loops)
	m.columns, m.loops = last(joined(columns), m.loops)
	m.batch, m.loops = largest(joined(batch), m.loops)
	return m, true
}

// crossing lists the axes of an operand that are neither contracted nor of the batch.
func crossing(v view, contracted, batch []int, left bool) []dimension {
	var out []dimension
	for i, size := range v.dims {
		if slices.Contains(contracted, i) || slices.Contains(batch, i) {
			continue
		}
		d := dimension{size: size}
		if left {
			d.a = v.strides[i]
		} else {
			d.b = v.strides[i]
		}
		out = append(out, d)
	}
	return out
}

// joined joins neighbouring axes that are one axis in both operands and the result, in any order that allows it.
func joined(axes []dimension) []dimension {
	var out []dimension
	for _, d := range axes {
		last := len(out) - 1
		switch {
		case d.size == 1:
		case last >= 0 && out[last].a == d.size*d.a && out[last].b == d.size*d.b && out[last].c == d.size*d.c:
			out[last] = dimension{out[last].size * d.size, d.a, d.b, d.c}
		default:
			out = append(out, d)
		}
	}
	return out
}

func single(axes []dimension) dimension {
	if len(axes) == 0 {
		return dimension{size: 1}
	}
	return axes[0]
}

// largest takes the largest axis; the others become loops.
func largest(axes, loops []dimension) (dimension, []dimension) {
	best := 0
	for i, d := range axes {
		if d.size > axes[best].size {
			best = i
		}
	}
	return take(axes, best, loops)
}

// last takes the last axis, whose stride in the result is 1.
func last(axes, loops []dimension) (dimension, []dimension) {
	return take(axes, len(axes)-1, loops)
}

func take(axes []dimension, i int, loops []dimension) (dimension, []dimension) {
	if len(axes) == 0 {
		return dimension{size: 1, c: 1}, loops
	}
	loops = append(loops, axes[:i]...)
	return axes[i], append(loops, axes[i+1:]...)
}

// run computes the products: those of the loops side by side where there are several.
func (m *matmul) run(x *execution, in, out []any) error {
	e := m.end.kernel(in)
	count := 1
	for _, d := range m.loops {
		count *= d.size
	}
	a, b, c := in[0].([]float32), in[1].([]float32), out[0].([]float32)
	if count < 2*x.pool.Workers() {
		for i := range count {
			m.product(x.pool, i, a, b, c, e)
		}
		return nil
	}
	x.pool.Run(count, func(i int) { m.product(kernels.Serial{}, i, a, b, c, e) })
	return nil
}

// product computes the ith product of the loops.
func (m *matmul) product(pool kernels.Pool, i int, a, b, c []float32, e kernels.Epilogue) {
	atA, atB, atC := m.offsetA, m.offsetB, 0
	for k := len(m.loops) - 1; k >= 0; k-- {
		d := m.loops[k]
		at := i % d.size
		i /= d.size
		atA, atB, atC = atA+at*d.a, atB+at*d.b, atC+at*d.c
	}
	A, B, C := m.views(a[atA:], b[atB:], c[atC:])
	kernels.Gemm(pool, 1, A, B, 0, C, e)
}

// views are the operands and the result of one product, from where they begin.
func (m *matmul) views(a, b, c []float32) (A, B, C kernels.View) {
	A = kernels.View{Data: a, Batch: m.batch.size, Rows: m.rows.size, Cols: m.depth.size, BatchStride: m.batch.a, RowStride: m.rows.a, ColStride: m.depth.a}
	B = kernels.View{Data: b, Batch: m.batch.size, Rows: m.depth.size, Cols: m.columns.size, BatchStride: m.batch.b, RowStride: m.depth.b, ColStride: m.columns.b}
	C = kernels.View{Data: c, Batch: m.batch.size, Rows: m.rows.size, Cols: m.columns.size, BatchStride: m.batch.c, RowStride: m.rows.c, ColStride: 1}
	return A, B, C
}

// activations are those that a product's epilogue knows.
var activations = map[compute.ActivationType]kernels.Activation{
	compute.ActivationNone: kernels.NoActivation, compute.ActivationGelu: kernels.GeluActivation,
	compute.ActivationRelu: kernels.ReluActivation, compute.ActivationSilu: kernels.SiluActivation,
}

// lowerDense makes a matrix product with bias and activation of a FusedDense of float32.
func (c *compiler) lowerDense(n *node) bool { return c.lowerDenseTo(n, epilogue{}) }

func (c *compiler) lowerDenseTo(n *node, e epilogue) bool {
	config, ok := n.attrs.(compute.DenseConfig)
	if !ok || !isFloat32(n) || n.outputs[0].shape.Size() == 0 {
		return false
	}
	activation, ok := activations[config.Activation]
	if !ok {
		return false
	}
	x, w := n.inputs[0].shape, n.inputs[1].shape
	in := x.Dimensions[x.Rank()-1]
	baseX, viewX := c.matrixOf(n.inputs[0], x.Size()/max(in, 1), in)
	dims, contracted := []int{in, w.Size() / max(in, 1)}, 0
	if config.WeightLayout == compute.DenseLayoutOutputsInput {
		dims, contracted = []int{dims[1], dims[0]}, 1
	}
	baseW, viewW := c.matrixOf(n.inputs[1], dims[0], dims[1])
	m, ok := newMatmul(dotConfig{lhsContracting: []int{1}, rhsContracting: []int{contracted}}, viewX, viewW)
	if !ok {
		return false
	}
	if activation != kernels.NoActivation {
		e.activation = activation
	}
	var bias []operand
	if len(n.inputs) == 3 {
		bias = append(bias, operand{base: n.inputs[2], view: contiguous(n.inputs[2].shape.Dimensions)})
	}
	return c.emitMatmul(n, m, e, bias, []*value{baseX, baseW})
}

// matrixOf is v as a matrix in memory.
func (c *compiler) matrixOf(v *value, rows, columns int) (*value, view) {
	base, w := c.viewOf(v, true)
	if w, ok := w.reshape([]int{rows, columns}); ok {
		return base, w
	}
	return c.root(v), contiguous([]int{rows, columns})
}
