package cpu

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"regft/compute/cpu/kernels"
)

// lowerTranspose makes a tiled transposition.
func (c *compiler) lowerTranspose(n *node) bool {
	order, ok := n.attrs.(permutation)
	if !ok || !isFloat32(n) || n.outputs[0].shape.Size() == 0 {
		return false
	}
	dims := n.inputs[0].shape.Dimensions
	c.emit(step{op: n.op, in: []*value{n.inputs[0]}, out: n.outputs, run: func(x *execution, in, out []any) error {
		kernels.Permute(x.pool, out[0].([]float32), in[0].([]float32), dims, order)
		return nil
	}})
	return true
}

// A part is an operand of a concatenation: rows of width elements, from column at on of the result's.
type part struct {
	view  // merged
	width int
	at    int
}

// lowerConcatenate makes a step that copies views of the operands.
func (c *compiler) lowerConcatenate(n *node) bool {
	if n.op != compute.OpTypeConcatenate || !isFloat32(n) || n.outputs[0].shape.Size() == 0 {
		return false
	}
	axis := n.attrs.(int)
	var bases []*value
	var parts []part
	width := 0
	for _, v := range n.inputs {
		base, w := c.viewOf(v, false)
		p := part{view: w.merged(), width: product(v.shape.Dimensions[axis:]), at: width}
		width += p.width
		bases, parts = append(bases, base), append(parts, p)
	}
	rows := product(n.outputs[0].shape.Dimensions[:axis])
	c.emit(step{op: n.op, in: bases, out: n.outputs, run: func(x *execution, in, out []any) error {
		dst := out[0].([]float32)
		eachRows(x, rows, width, func(from, to int) {
			for i, p := range parts {
				p.copy(dst, in[i].([]float32), width, from, to)
			}
		})
		return nil
	}})
	return true
}

// copy copies rows from to to-1 into dst, whose rows are stride elements.
func (p part) copy(dst, src []float32, stride, from, to int) {
	if p.width == 0 {
		return
	}
	var r reader
	r.seek(p.view, from*p.width)
	step := r.stride()
	for row := from; row < to; row++ {
		for left := dst[row*stride+p.at:][:p.width]; len(left) > 0; {
			at, n := r.next(len(left))
			copyStrided(left[:n], src[at:], step)
			left = left[n:]
		}
	}
}

func copyStrided(dst, src []float32, stride int) {
	if stride == 1 {
		copy(dst, src)
		return
	}
	for i := range dst {
		dst[i] = src[i*stride]
	}
}

// lowerPad makes a step that pads outside, with no space between elements.
func (c *compiler) lowerPad(n *node) bool {
	config, ok := n.attrs.([]compute.PadAxis)
	if !ok || !isFloat32(n) || n.outputs[0].shape.Size() == 0 || n.inputs[0].shape.Size() == 0 {
		return false
	}
	x, y := n.inputs[0].shape.Dimensions, n.outputs[0].shape.Dimensions
	inside := contiguous(y)
	inside.dims = x
	for i, p := range config {
		if p.Interior != 0 || p.Start < 0 || p.End < 0 {
			return false
		}
		inside.offset += p.Start * inside.strides[i]
	}
	run := padding{inside: inside.merged(), size: n.outputs[0].shape.Size()}
	c.emit(step{op: n.op, in: append([]*value(nil), n.inputs...), out: n.outputs, run: run.kernel})
	return true
}

// A padding surrounds a tensor: inside is its view in the result.
type padding struct {
	inside view
	size   int
}

func (p padding) kernel(x *execution, in, out []any) error {
	src, dst := in[0].([]float32), out[0].([]float32)
	tasks(x, p.size, func(from, to int) { fill(dst[from:to], in[1].([]float32)[0]) })
	tasks(x, len(src), func(from, to int) {
		var r reader
		r.seek(p.inside, from)
		stride := r.stride()
		for from < to {
			at, n := r.next(to - from)
			for i, v := range src[from : from+n] {
				dst[at+i*stride] = v
			}
			from += n
		}
	})
	return nil
}

// lowerGather makes a step of a lookup of whole rows: Gather on the first axis by indices on their last.
func (c *compiler) lowerGather(n *node) bool {
	config, ok := n.attrs.(gatherConfig)
	if !ok || n.outputs[0].shape.Size() == 0 || !config.looksUpRows(n) {
		return false
	}
	rows := n.inputs[0].shape.Dimensions[0]
	width := n.inputs[0].shape.Size() / rows
	c.emit(step{op: n.op, in: append([]*value(nil), n.inputs...), out: n.outputs, run: func(x *execution, in, out []any) error {
		table, dst, indices := in[0].([]float32), out[0].([]float32), in[1].([]int32)
		eachRows(x, len(indices), width, func(from, to int) {
			for i := from; i < to; i++ {
				row := max(0, min(int(indices[i]), rows-1))
				copy(dst[i*width:][:width], table[row*width:])
			}
		})
		return nil
	}})
	return true
}

// looksUpRows tells whether n gathers whole slices of the first axis of a float32 tensor by int32 indices.
func (g gatherConfig) looksUpRows(n *node) bool {
	x, indices, y := n.inputs[0].shape, n.inputs[1].shape, n.outputs[0].shape
	if x.DType != dtypes.Float32 || indices.DType != dtypes.Int32 || x.Rank() == 0 || x.Dimensions[0] == 0 {
		return false
	}
	batch := indices.Rank() - 1
	if g.indexVectorAxis != batch || indices.Dimensions[batch] != 1 || len(g.startIndexMap) != 1 || g.startIndexMap[0] != 0 ||
		len(g.collapsed) != 1 || g.collapsed[0] != 0 || x.Rank() > 1 && !lastAxes(g.offsetOutputAxes, y.Rank()) {
		return false
	}
	for i, size := range g.sliceSizes {
		if i > 0 && size != x.Dimensions[i] {
			return false
		}
	}
	return true
}
