package nn

import (
	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	gnn "github.com/gomlx/gomlx/ml/nn"
)

// A Window says how a convolution's kernel moves over a picture, alike in both directions.
type Window struct {
	Kernel int
	Stride int
	Before int // zeros in front of the first row and column
	After  int // zeros behind the last ones
}

// Same is the window with stride 1 that keeps a picture's size; kernel is odd.
func Same(kernel int) Window {
	return Window{Kernel: kernel, Stride: 1, Before: kernel / 2, After: kernel / 2}
}

// Conv2D convolves pictures x [batch, height, width, in] to [batch, height', width', out], with
// height' = ⌊(height + before + after - kernel) / stride⌋ + 1. Its weight is [out, in, kernel, kernel], as
// torch.nn.Conv2d keeps it.
func Conv2D(p Params, x *Node, out int, w Window) *Node {
	return Conv2DWith(x, p.Get("weight", out, width(x), w.Kernel, w.Kernel), p.Get("bias", out), w)
}

// Conv2DWith is Conv2D with a weight [out, in, kernel, kernel] and a bias [out] that were computed.
func Conv2DWith(x, weight, bias *Node, w Window) *Node {
	out, in := weight.Shape().Dimensions[0], width(x)
	if w == Same(1) {
		return gnn.Dense(x, Reshape(weight, out, in), bias, compute.DenseLayoutOutputsInput)
	}
	padding := [2]int{w.Before, w.After}
	y := Convolve(x, weight).AxesConfig(torchAxes).Strides(w.Stride).PaddingPerDim([][2]int{padding, padding}).Done()
	return Add(y, Reshape(bias, 1, 1, 1, out))
}

// torchAxes are the axes of pictures, channels last, and of torch's kernels.
var torchAxes = compute.ConvolveAxesConfig{
	InputBatch: 0, InputSpatial: []int{1, 2}, InputChannels: 3,
	KernelOutputChannels: 0, KernelInputChannels: 1, KernelSpatial: []int{2, 3},
	OutputBatch: 0, OutputSpatial: []int{1, 2}, OutputChannels: 3,
}

// views returns, for each place in the kernel, row by row, the pictures that it passes over.
func (w Window) views(x *Node) []*Node {
	if w.Before+w.After > 0 {
		zeros := PadAxis{Start: w.Before, End: w.After}
		x = Pad(x, ScalarZero(x.Graph(), x.DType()), PadAxis{}, zeros, zeros)
	}
	d := x.Shape().Dimensions
	along := func(offset, size int) SliceAxisSpec {
		last := offset + (size-w.Kernel)/w.Stride*w.Stride
		return AxisRange(offset, last+1).Stride(w.Stride)
	}
	var views []*Node
	for i := range w.Kernel {
		for j := range w.Kernel {
			views = append(views, Slice(x, AxisRange(), along(i, d[1]), along(j, d[2])))
		}
	}
	return views
}

// MaxPool2D takes the largest value that the window sees of x [batch, height, width, channels], channel by channel, as
// torch.nn.MaxPool2d does.
func MaxPool2D(x *Node, w Window) *Node {
	border := PadAxis{Start: w.Before, End: w.After}
	x = Pad(x, Infinity(x.Graph(), x.DType(), -1), PadAxis{}, border, border)
	views := Window{Kernel: w.Kernel, Stride: w.Stride}.views(x)
	largest := views[0]
	for _, view := range views[1:] {
		largest = Max(largest, view)
	}
	return largest
}

// ResizeNearest repeats or drops pixels of x [batch, height, width, channels] until it is h × w, as
// torch.nn.functional.interpolate does by default: row y is row ⌊y·height/h⌋.
func ResizeNearest(x *Node, h, w int) *Node {
	return nearest(nearest(x, 1, h), 2, w)
}

func nearest(x *Node, axis, size int) *Node {
	d := x.Shape().Dimensions
	if size%d[axis] == 0 {
		return repeat(x, axis, size/d[axis])
	}
	rows := make([]*Node, size)
	for i := range rows {
		rows[i] = SliceAxis(x, axis, AxisElem(i*d[axis]/size))
	}
	return Concatenate(rows, axis)
}

// repeat puts each slice of an axis n times.
func repeat(x *Node, axis, n int) *Node {
	if n == 1 {
		return x
	}
	copies := make([]*Node, n)
	for i := range copies {
		copies[i] = InsertAxes(x, axis+1)
	}
	d := x.Shape().Clone().Dimensions
	d[axis] *= n
	return Reshape(Concatenate(copies, axis+1), d...)
}
