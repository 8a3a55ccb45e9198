package cpu

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// The other operations of compute.StandardOps, which documents them.

// Identity implements compute.StandardOps.
func (f *Function) Identity(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeIdentity, compute.Function.Identity, x)
}

// Clamp implements compute.StandardOps.
func (f *Function) Clamp(least, x, most compute.Value) (compute.Value, error) {
	return f.add1(compute.OpTypeClamp, nil, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Clamp(in[0], in[1], in[2])
	}, least, x, most)
}

// Where implements compute.StandardOps.
func (f *Function) Where(condition, x, y compute.Value) (compute.Value, error) {
	return f.add1(compute.OpTypeWhere, nil, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Where(in[0], in[1], in[2])
	}, condition, x, y)
}

// ConvertDType implements compute.StandardOps.
func (f *Function) ConvertDType(x compute.Value, dtype dtypes.DType) (compute.Value, error) {
	return f.add1(compute.OpTypeConvertDType, dtype, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.ConvertDType(in[0], dtype)
	}, x)
}

// Bitcast implements compute.StandardOps.
func (f *Function) Bitcast(x compute.Value, dtype dtypes.DType) (compute.Value, error) {
	return f.add1(compute.OpTypeBitcast, dtype, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Bitcast(in[0], dtype)
	}, x)
}

// Reshape implements compute.StandardOps.
func (f *Function) Reshape(x compute.Value, dimensions ...int) (compute.Value, error) {
	dims := slices.Clone(dimensions)
	return f.add1(compute.OpTypeReshape, dims, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Reshape(in[0], dims...)
	}, x)
}

// Transpose implements compute.StandardOps.
func (f *Function) Transpose(x compute.Value, axes ...int) (compute.Value, error) {
	order := permutation(slices.Clone(axes))
	return f.add1(compute.OpTypeTranspose, order, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Transpose(in[0], order...)
	}, x)
}

// A permutation lists the axes of the operand in the order of the result.
type permutation []int

// Reverse implements compute.StandardOps.
func (f *Function) Reverse(x compute.Value, over ...int) (compute.Value, error) {
	reversed := slices.Clone(over)
	return f.add1(compute.OpTypeReverse, reversed, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Reverse(in[0], reversed...)
	}, x)
}

// BroadcastInDim implements compute.StandardOps.
func (f *Function) BroadcastInDim(x compute.Value, output shapes.Shape, broadcastAxes []int) (compute.Value, error) {
	to, output := slices.Clone(broadcastAxes), output.Clone()
	return f.add1(compute.OpTypeBroadcastInDim, broadcast{output.Dimensions, to}, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.BroadcastInDim(in[0], output, to)
	}, x)
}

// broadcast is what BroadcastInDim makes: axis i of its operand becomes axis to[i].
type broadcast struct{ dims, to []int }

// Slice implements compute.StandardOps.
func (f *Function) Slice(x compute.Value, starts, limits, strides []int) (compute.Value, error) {
	cut := slicing{slices.Clone(starts), slices.Clone(limits), slices.Clone(strides)}
	return f.add1(compute.OpTypeSlice, cut, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Slice(in[0], cut.starts, cut.limits, cut.strides)
	}, x)
}

// slicing is what Slice keeps of each axis; strides nil for 1.
type slicing struct{ starts, limits, strides []int }

// Pad implements compute.StandardOps.
func (f *Function) Pad(x, fill compute.Value, config ...compute.PadAxis) (compute.Value, error) {
	padding := slices.Clone(config)
	return f.add1(compute.OpTypePad, padding, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Pad(in[0], in[1], padding...)
	}, x, fill)
}

// Concatenate implements compute.StandardOps.
func (f *Function) Concatenate(axis int, operands ...compute.Value) (compute.Value, error) {
	return f.add1(compute.OpTypeConcatenate, axis, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Concatenate(axis, in...)
	}, operands...)
}

// Iota implements compute.StandardOps.
func (f *Function) Iota(shape shapes.Shape, axis int) (compute.Value, error) {
	shape = shape.Clone()
	return f.add1(compute.OpTypeIota, iotaAttrs{shape.String(), axis}, func(g compute.Function, _ []compute.Value) (compute.Value, error) {
		return g.Iota(shape, axis)
	})
}

type iotaAttrs struct {
	shape string
	axis  int
}

// ArgMinMax implements compute.StandardOps.
func (f *Function) ArgMinMax(x compute.Value, axis int, output dtypes.DType, isMin bool) (compute.Value, error) {
	return f.add1(compute.OpTypeArgMinMax, []any{axis, output, isMin}, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.ArgMinMax(in[0], axis, output, isMin)
	}, x)
}

// A dotConfig is what DotGeneral is told.
type dotConfig struct {
	lhsContracting, lhsBatch, rhsContracting, rhsBatch []int
	compute.DotGeneralConfig
}

// DotGeneral implements compute.StandardOps.
func (f *Function) DotGeneral(x compute.Value, xContracting, xBatch []int, y compute.Value, yContracting, yBatch []int, config compute.DotGeneralConfig) (compute.Value, error) {
	c := dotConfig{slices.Clone(xContracting), slices.Clone(xBatch), slices.Clone(yContracting), slices.Clone(yBatch), config}
	return f.add1(compute.OpTypeDotGeneral, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.DotGeneral(in[0], c.lhsContracting, c.lhsBatch, in[1], c.rhsContracting, c.rhsBatch, config)
	}, x, y)
}

// A convConfig is what ConvGeneral is told.
type convConfig struct {
	axes                            compute.ConvolveAxesConfig
	strides                         []int
	paddings                        [][2]int
	inputDilations, kernelDilations []int
	channelGroups, batchGroups      int
}

// ConvGeneral implements compute.StandardOps.
func (f *Function) ConvGeneral(x, weights compute.Value, over compute.ConvolveAxesConfig, strides []int, paddings [][2]int,
	inputDilations, kernelDilations []int, channelGroups, batchGroups int) (compute.Value, error) {
	c := convConfig{over.Clone(), slices.Clone(strides), slices.Clone(paddings), slices.Clone(inputDilations),
		slices.Clone(kernelDilations), channelGroups, batchGroups}
	return f.add1(compute.OpTypeConvGeneral, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.ConvGeneral(in[0], in[1], c.axes, c.strides, c.paddings, c.inputDilations, c.kernelDilations, channelGroups, batchGroups)
	}, x, weights)
}

// A gatherConfig is what Gather is told.
type gatherConfig struct {
	indexVectorAxis                                        int
	offsetOutputAxes, collapsed, startIndexMap, sliceSizes []int
	sorted                                                 bool
}

// Gather implements compute.StandardOps.
func (f *Function) Gather(x, indices compute.Value, indexVectorAxis int, offsetOutputAxes, collapsed, startIndexMap, sliceSizes []int,
	sorted bool) (compute.Value, error) {
	c := gatherConfig{indexVectorAxis, slices.Clone(offsetOutputAxes), slices.Clone(collapsed), slices.Clone(startIndexMap),
		slices.Clone(sliceSizes), sorted}
	return f.add1(compute.OpTypeGather, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.Gather(in[0], in[1], indexVectorAxis, c.offsetOutputAxes, c.collapsed, c.startIndexMap, c.sliceSizes, sorted)
	}, x, indices)
}

// A scatterConfig is what the scattering operations are told.
type scatterConfig struct {
	indexVectorAxis                int
	updateWindow, inserted, toAxes []int
	sorted, unique                 bool
}

type scatterMethod = func(g compute.Function, x, indices, updates compute.Value, indexVectorAxis int, updateWindow, inserted, toAxes []int,
	sorted, unique bool) (compute.Value, error)

func (f *Function) scatter(op compute.OpType, method scatterMethod, c scatterConfig, x, indices, updates compute.Value) (compute.Value, error) {
	c.updateWindow, c.inserted, c.toAxes = slices.Clone(c.updateWindow), slices.Clone(c.inserted), slices.Clone(c.toAxes)
	return f.add1(op, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return method(g, in[0], in[1], in[2], c.indexVectorAxis, c.updateWindow, c.inserted, c.toAxes, c.sorted, c.unique)
	}, x, indices, updates)
}

// ScatterSum implements compute.StandardOps.
func (f *Function) ScatterSum(x, indices, updates compute.Value, indexVectorAxis int, updateWindow, inserted, toAxes []int, sorted, unique bool) (compute.Value, error) {
	c := scatterConfig{indexVectorAxis, updateWindow, inserted, toAxes, sorted, unique}
	return f.scatter(compute.OpTypeScatterSum, compute.Function.ScatterSum, c, x, indices, updates)
}

// ScatterMax implements compute.StandardOps.
func (f *Function) ScatterMax(x, indices, updates compute.Value, indexVectorAxis int, updateWindow, inserted, toAxes []int, sorted, unique bool) (compute.Value, error) {
	c := scatterConfig{indexVectorAxis, updateWindow, inserted, toAxes, sorted, unique}
	return f.scatter(compute.OpTypeScatterMax, compute.Function.ScatterMax, c, x, indices, updates)
}

// ScatterMin implements compute.StandardOps.
func (f *Function) ScatterMin(x, indices, updates compute.Value, indexVectorAxis int, updateWindow, inserted, toAxes []int, sorted, unique bool) (compute.Value, error) {
	c := scatterConfig{indexVectorAxis, updateWindow, inserted, toAxes, sorted, unique}
	return f.scatter(compute.OpTypeScatterMin, compute.Function.ScatterMin, c, x, indices, updates)
}

// A windowConfig is what the operations on windows are told.
type windowConfig struct {
	reduction                                  compute.ReduceOpType
	window, strides, inputDilations, dilations []int
	paddings                                   [][2]int
}

// ReduceWindow implements compute.StandardOps.
func (f *Function) ReduceWindow(x compute.Value, reduction compute.ReduceOpType, window, strides, inputDilations, dilations []int, paddings [][2]int) (compute.Value, error) {
	c := windowConfig{reduction, slices.Clone(window), slices.Clone(strides), slices.Clone(inputDilations), slices.Clone(dilations), slices.Clone(paddings)}
	return f.add1(compute.OpTypeReduceWindow, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.ReduceWindow(in[0], reduction, c.window, c.strides, c.inputDilations, c.dilations, c.paddings)
	}, x)
}

type selectMethod = func(g compute.Function, x, source compute.Value, window, strides []int, paddings [][2]int) (compute.Value, error)

func (f *Function) selectAndScatter(op compute.OpType, method selectMethod, x, source compute.Value, window, strides []int, paddings [][2]int) (compute.Value, error) {
	c := windowConfig{window: slices.Clone(window), strides: slices.Clone(strides), paddings: slices.Clone(paddings)}
	return f.add1(op, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return method(g, in[0], in[1], c.window, c.strides, c.paddings)
	}, x, source)
}

// SelectAndScatterMax implements compute.StandardOps.
func (f *Function) SelectAndScatterMax(x, source compute.Value, window, strides []int, paddings [][2]int) (compute.Value, error) {
	return f.selectAndScatter(compute.OpTypeSelectAndScatterMax, compute.Function.SelectAndScatterMax, x, source, window, strides, paddings)
}

// SelectAndScatterMin implements compute.StandardOps.
func (f *Function) SelectAndScatterMin(x, source compute.Value, window, strides []int, paddings [][2]int) (compute.Value, error) {
	return f.selectAndScatter(compute.OpTypeSelectAndScatterMin, compute.Function.SelectAndScatterMin, x, source, window, strides, paddings)
}

// RNGBitGenerator implements compute.StandardOps.
func (f *Function) RNGBitGenerator(state compute.Value, shape shapes.Shape) (newState, bits compute.Value, err error) {
	shape = shape.Clone()
	out, err := f.add(compute.OpTypeRNGBitGenerator, shape.String(), func(g compute.Function, in []compute.Value) ([]compute.Value, error) {
		newState, bits, err := g.RNGBitGenerator(in[0], shape)
		return []compute.Value{newState, bits}, err
	}, state)
	if err != nil {
		return nil, nil, err
	}
	return out[0], out[1], nil
}

// OptimizationBarrier implements compute.StandardOps.
func (f *Function) OptimizationBarrier(operands ...compute.Value) ([]compute.Value, error) {
	return f.add(compute.OpTypeOptimizationBarrier, nil, func(g compute.Function, in []compute.Value) ([]compute.Value, error) {
		return g.OptimizationBarrier(in...)
	}, operands...)
}

// SchedulingBarrier implements compute.StandardOps.
func (f *Function) SchedulingBarrier(x compute.Value, dependencies ...compute.Value) (compute.Value, error) {
	return f.add1(compute.OpTypeSchedulingBarrier, nil, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.SchedulingBarrier(in[0], in[1:]...)
	}, append([]compute.Value{x}, dependencies...)...)
}
