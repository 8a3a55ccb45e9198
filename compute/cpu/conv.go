package cpu

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"regft/compute/cpu/kernels"
)

// lowerConv makes steps of a convolution in one or two dimensions: the kernel's, which is channels-last, between
// transpositions of what is in another layout.
func (c *compiler) lowerConv(n *node) bool { return c.lowerConvTo(n, epilogue{}) }

func (c *compiler) lowerConvTo(n *node, e epilogue) bool {
	config, ok := n.attrs.(convConfig)
	if !ok || !isFloat32(n) || n.outputs[0].shape.Size() == 0 || config.batchGroups > 1 {
		return false
	}
	spatial := len(config.axes.InputSpatial)
	if spatial < 1 || spatial > 2 {
		return false
	}
	a := config.axes
	x := channelsLast(n.inputs[0].shape, a.InputBatch, a.InputSpatial, a.InputChannels)
	w := spatialFirst(n.inputs[1].shape, a.KernelSpatial, a.KernelInputChannels, a.KernelOutputChannels)
	y := channelsLast(n.outputs[0].shape, a.OutputBatch, a.OutputSpatial, a.OutputChannels)
	conv := config.kernel(x, w)
	if conv.OutHeight()*conv.OutWidth()*conv.Batch*conv.OutChannels != n.outputs[0].shape.Size() {
		return false
	}
	if !e.isNone() && !y.isIdentity() {
		return false
	}
	out := e.outputs(n)
	if e.isNone() {
		out = []*value{c.emitInverse(n, y)}
	}
	image, weights := x.ordered(n.inputs[0]), n.inputs[1]
	run := forwardOIHW
	if !w.isOIHW() {
		weights, run = w.ordered(weights), forwardHWIO
	}
	end, in, sum := c.ending(n, e, nil, []*value{image, weights})
	var stored *storedInput
	if w.isOIHW() {
		stored = storedConv(conv, end)
	}
	c.emit(step{op: n.op, in: in, out: out, stored: stored, run: func(x *execution, in, out []any) error {
		run(conv, x, out[0].([]float32), in[0].([]float32), in[1].([]float32), end.kernel(in))
		return nil
	}})
	if sum != nil {
		c.emit(*sum)
	}
	c.emitOrdered(n, x, n.inputs[0], image)
	c.emitOrdered(n, w, n.inputs[1], weights)
	return true
}

func forwardOIHW(conv kernels.Conv, x *execution, y, image, weights []float32, e kernels.Epilogue) {
	conv.ForwardOIHW(x.pool, y, image, weights, e)
}

func forwardHWIO(conv kernels.Conv, x *execution, y, image, weights []float32, e kernels.Epilogue) {
	conv.Forward(x.pool, y, image, conv.PackWeights(x.pool, weights), e)
}

// isOIHW tells whether the weights lie in torch's order: out, in, then what is spatial.
func (o ordering) isOIHW() bool {
	last := len(o.order) - 1
	return o.order[last] == 0 && o.order[last-1] == 1 && slices.IsSorted(o.order[:last-1])
}

// An ordering is the axes of a tensor in the order that a kernel wants.
type ordering struct {
	order permutation
	dims  []int // of the tensor, in that order
}

func channelsLast(s shapes.Shape, batch int, spatial []int, channels int) ordering {
	return ordered(s, append(append([]int{batch}, spatial...), channels))
}

func spatialFirst(s shapes.Shape, spatial []int, in, out int) ordering {
	return ordered(s, append(slices.Clone(spatial), in, out))
}

func ordered(s shapes.Shape, order []int) ordering {
	o := ordering{order: order}
	for _, axis := range order {
		o.dims = append(o.dims, s.Dimensions[axis])
	}
	return o
}

func (o ordering) isIdentity() bool { return slices.IsSorted(o.order) }

// ordered is v, or a temporary for its transposition.
func (o ordering) ordered(v *value) *value {
	if o.isIdentity() {
		return v
	}
	return temporary(shapes.Make(dtypes.Float32, o.dims...))
}

// emitOrdered emits the step from v to its transposition, if that is another value.
func (c *compiler) emitOrdered(n *node, o ordering, v, to *value) {
	if v != to {
		c.emit(permuteStep(n.op, v, to, v.shape.Dimensions, o.order))
	}
}

// emitInverse emits the step from a kernel's order to that of n's output, and gives what the kernel is to compute.
func (c *compiler) emitInverse(n *node, o ordering) *value {
	v := n.outputs[0]
	if o.isIdentity() {
		return v
	}
	inverse := make(permutation, len(o.order))
	for i, axis := range o.order {
		inverse[axis] = i
	}
	from := o.ordered(v)
	c.emit(permuteStep(n.op, from, v, o.dims, inverse))
	return from
}

func permuteStep(op compute.OpType, from, to *value, dims []int, order permutation) step {
	return step{op: op, in: []*value{from}, out: []*value{to}, run: func(x *execution, in, out []any) error {
		kernels.Permute(x.pool, out[0].([]float32), in[0].([]float32), dims, order)
		return nil
	}}
}

// kernel is the convolution of images [batch, spatial..., channels] with weights [spatial..., in, out]; one dimension is
// an image of height 1.
func (c convConfig) kernel(x, w ordering) kernels.Conv {
	one := len(x.dims) == 3
	at := func(values []int, i, missing int) int {
		if len(values) == 0 {
			return missing
		}
		return values[i]
	}
	k := kernels.Conv{
		Batch: x.dims[0], Height: 1, Width: x.dims[len(x.dims)-2], Channels: x.dims[len(x.dims)-1],
		KernelHeight: 1, KernelWidth: w.dims[len(w.dims)-3], OutChannels: w.dims[len(w.dims)-1], Groups: max(1, c.channelGroups),
		Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, InputDilation: [2]int{1, 1},
	}
	first := 0
	if one {
		first = 1
	} else {
		k.Height, k.KernelHeight = x.dims[1], w.dims[0]
	}
	for axis := first; axis < 2; axis++ {
		i := axis - first
		k.Stride[axis], k.Dilation[axis], k.InputDilation[axis] = at(c.strides, i, 1), at(c.kernelDilations, i, 1), at(c.inputDilations, i, 1)
		if len(c.paddings) > 0 {
			k.Padding[axis] = c.paddings[i]
		}
	}
	return k
}
