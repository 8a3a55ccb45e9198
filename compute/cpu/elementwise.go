package cpu

import (
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"regft/compute/cpu/kernels"
)

// What an element-wise operation does to a tile. The accuracy of the functions is the kernels'.

type applyFunc = func(dst []float32, args [][]float32, scalar float32)

func vector1(op kernels.UnaryOp) applyFunc {
	return func(dst []float32, args [][]float32, _ float32) { kernels.Unary(op, dst, args[0]) }
}

// scalar1 applies f to each element, computed in float64.
func scalar1(f func(float64) float64) applyFunc {
	return func(dst []float32, args [][]float32, _ float32) {
		for i, x := range args[0][:len(dst)] {
			dst[i] = float32(f(float64(x)))
		}
	}
}

func scalar2(f func(x, y float64) float64) applyFunc {
	return func(dst []float32, args [][]float32, _ float32) {
		y := args[1][:len(dst)]
		for i, x := range args[0][:len(dst)] {
			dst[i] = float32(f(float64(x), float64(y[i])))
		}
	}
}

func predicate2(f func(x, y float32) bool) applyFunc {
	return func(dst []float32, args [][]float32, _ float32) {
		y := args[1][:len(dst)]
		for i, x := range args[0][:len(dst)] {
			dst[i] = truth(f(x, y[i]))
		}
	}
}

func where(dst []float32, args [][]float32, _ float32) {
	yes, no := args[1][:len(dst)], args[2][:len(dst)]
	for i, c := range args[0][:len(dst)] {
		if c != 0 {
			dst[i] = yes[i]
		} else {
			dst[i] = no[i]
		}
	}
}

func clamp(dst []float32, args [][]float32, _ float32) {
	kernels.Binary(kernels.Max, dst, args[1], args[0])
	kernels.Binary(kernels.Min, dst, dst, args[2])
}

func keep(dst []float32, args [][]float32, _ float32) { copy(dst, args[0]) }

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // zero keeps its sign, NaN is one
}

func toTruth(f func(float64) bool) applyFunc {
	return scalar1(func(x float64) float64 { return float64(truth(f(x))) })
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// tileOps are the operations on float32 and truth values that chains are made of.
var tileOps = map[compute.OpType]applyFunc{
	compute.OpTypeNeg: vector1(kernels.Neg), compute.OpTypeAbs: vector1(kernels.Abs), compute.OpTypeSqrt: vector1(kernels.Sqrt),
	compute.OpTypeRsqrt: vector1(kernels.Rsqrt), compute.OpTypeExp: vector1(kernels.Exp), compute.OpTypeLog: vector1(kernels.Log),
	compute.OpTypeErf: vector1(kernels.Erf), compute.OpTypeTanh: vector1(kernels.Tanh), compute.OpTypeLogistic: vector1(kernels.Sigmoid),
	compute.OpTypeSin: scalar1(math.Sin), compute.OpTypeCos: scalar1(math.Cos), compute.OpTypeExpm1: scalar1(math.Expm1),
	compute.OpTypeLog1p: scalar1(math.Log1p), compute.OpTypeFloor: scalar1(math.Floor), compute.OpTypeCeil: scalar1(math.Ceil),
	compute.OpTypeRound: scalar1(math.RoundToEven), compute.OpTypeSign: scalar1(sign),
	compute.OpTypeIsFinite: toTruth(isFinite), compute.OpTypeIsNaN: toTruth(math.IsNaN),
	compute.OpTypeLogicalNot: toTruth(func(x float64) bool { return x == 0 }),

	compute.OpTypeAdd: vector2(kernels.Add), compute.OpTypeSub: vector2(kernels.Sub), compute.OpTypeMul: vector2(kernels.Mul),
	compute.OpTypeDiv: vector2(kernels.Div), compute.OpTypeMax: vector2(kernels.Max), compute.OpTypeMin: vector2(kernels.Min),
	compute.OpTypePow: scalar2(math.Pow), compute.OpTypeAtan2: scalar2(math.Atan2), compute.OpTypeRem: scalar2(math.Mod),
	compute.OpTypeEqual:          predicate2(func(x, y float32) bool { return x == y }),
	compute.OpTypeNotEqual:       predicate2(func(x, y float32) bool { return x != y }),
	compute.OpTypeGreaterThan:    predicate2(func(x, y float32) bool { return x > y }),
	compute.OpTypeGreaterOrEqual: predicate2(func(x, y float32) bool { return x >= y }),
	compute.OpTypeLessThan:       predicate2(func(x, y float32) bool { return x < y }),
	compute.OpTypeLessOrEqual:    predicate2(func(x, y float32) bool { return x <= y }),
	compute.OpTypeLogicalAnd:     vector2(kernels.Mul), compute.OpTypeLogicalOr: vector2(kernels.Max),
	compute.OpTypeLogicalXor: predicate2(func(x, y float32) bool { return x != y }),

	compute.OpTypeWhere: where, compute.OpTypeClamp: clamp, compute.OpTypeConvertDType: keep,
	compute.OpTypeFusedGelu: vector1(kernels.Gelu),
}

func vector2(op kernels.BinaryOp) applyFunc {
	return func(dst []float32, args [][]float32, _ float32) { kernels.Binary(op, dst, args[0], args[1]) }
}

// binaryKernels are the operations that take a scalar on either side.
var binaryKernels = map[compute.OpType]kernels.BinaryOp{
	compute.OpTypeAdd: kernels.Add, compute.OpTypeSub: kernels.Sub, compute.OpTypeMul: kernels.Mul,
	compute.OpTypeDiv: kernels.Div, compute.OpTypeMax: kernels.Max, compute.OpTypeMin: kernels.Min,
}

func scalarRight(op kernels.BinaryOp) applyFunc {
	return func(dst []float32, args [][]float32, s float32) { kernels.BinaryScalar(op, dst, args[0], s) }
}

func scalarLeft(op kernels.BinaryOp) applyFunc {
	return func(dst []float32, args [][]float32, s float32) { kernels.ScalarBinary(op, dst, s, args[0]) }
}

func spread(dst []float32, _ [][]float32, s float32) { fill(dst, s) }

// applyOf is what node n does to a tile, if it can be a part of a chain.
func applyOf(n *node) (applyFunc, bool) {
	apply, ok := tileOps[n.op]
	if !ok || !onTiles(n.outputs[0]) {
		return nil, false
	}
	for _, v := range n.inputs {
		if !onTiles(v) {
			return nil, false
		}
	}
	switch {
	case n.op == compute.OpTypeFusedGelu && n.attrs == false:
		return vector1(kernels.GeluTanh), true
	case n.op == compute.OpTypeConvertDType && n.outputs[0].shape.DType == dtypes.Bool:
		return toTruth(func(x float64) bool { return x != 0 }), true
	case (n.op == compute.OpTypeAdd || n.op == compute.OpTypeMul) && n.outputs[0].shape.DType == dtypes.Bool:
		return nil, false
	}
	return apply, true
}

// onTiles tells whether chains compute with v's type.
func onTiles(v *value) bool {
	d := v.shape.DType
	return (d == dtypes.Float32 || d == dtypes.Bool) && v.shape.Size() > 0
}
