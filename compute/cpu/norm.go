package cpu

import (
	"github.com/gomlx/compute"

	"regft/compute/cpu/kernels"
)

// rowsBlock is how many rows of that many columns one task takes.
func rowsBlock(columns int) int { return max(1, taskSize/max(columns, 1)) }

// eachRows runs f on blocks of rows, side by side.
func eachRows(x *execution, rows, columns int, f func(from, to int)) {
	block := rowsBlock(columns)
	x.pool.Run((rows+block-1)/block, func(i int) { f(i*block, min(rows, (i+1)*block)) })
}

// lowerSoftmax makes a step of a softmax over the last axis.
func (c *compiler) lowerSoftmax(n *node) bool {
	s := n.outputs[0].shape
	if n.op != compute.OpTypeFusedSoftmax || !isFloat32(n) || s.Size() == 0 || n.attrs.(int) != s.Rank()-1 {
		return false
	}
	columns := s.Dimensions[s.Rank()-1]
	rows := s.Size() / columns
	c.emit(step{op: n.op, in: []*value{n.inputs[0]}, out: n.outputs, reuse: [][]int{{0}}, run: func(x *execution, in, out []any) error {
		dst, src := out[0].([]float32), in[0].([]float32)
		eachRows(x, rows, columns, func(from, to int) {
			kernels.Softmax(dst[from*columns:], src[from*columns:], to-from, columns)
		})
		return nil
	}})
	return true
}

// lowerLayerNorm makes a step of a layer norm over the last axes.
func (c *compiler) lowerLayerNorm(n *node) bool {
	config, ok := n.attrs.(layerNormConfig)
	s := n.outputs[0].shape
	if !ok || !isFloat32(n) || s.Size() == 0 || len(n.inputs) == 2 || !lastAxes(config.axes, s.Rank()) {
		return false
	}
	columns := product(s.Dimensions[s.Rank()-len(config.axes):])
	rows := s.Size() / columns
	c.emit(step{op: n.op, in: append([]*value(nil), n.inputs...), out: n.outputs, reuse: [][]int{{0}}, run: func(x *execution, in, out []any) error {
		dst, src := out[0].([]float32), in[0].([]float32)
		var gamma, beta []float32
		if len(in) == 3 {
			gamma, beta = in[1].([]float32), in[2].([]float32)
		}
		eachRows(x, rows, columns, func(from, to int) {
			kernels.LayerNorm(dst[from*columns:], src[from*columns:], gamma, beta, to-from, columns, float32(config.epsilon))
		})
		return nil
	}})
	return true
}

// lastAxes tells whether axes, negative ones counted from the end, are the last ones, in order.
func lastAxes(axes []int, rank int) bool {
	for i, a := range axes {
		if want := rank - len(axes) + i; a != want && a+rank != want {
			return false
		}
	}
	return len(axes) > 0
}
