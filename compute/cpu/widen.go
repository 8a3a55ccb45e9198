package cpu

import (
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"

	"regft/compute/cpu/kernels"
)

// lowerWiden makes a step of a conversion from a half type to float32, which is exact. Weights that are kept in half the
// memory are widened so, one after another, each into memory of the arena that others used before.
func (c *compiler) lowerWiden(n *node) bool {
	to := n.outputs[0].shape
	if n.op != compute.OpTypeConvertDType || to.DType != dtypes.Float32 || to.Size() == 0 {
		return false
	}
	widen := kernels.Float16ToFloat32
	switch n.inputs[0].shape.DType {
	case dtypes.Float16:
	case dtypes.BFloat16:
		widen = kernels.BFloat16ToFloat32
	default:
		return false
	}
	c.emit(step{op: n.op, in: []*value{n.inputs[0]}, out: n.outputs, keepsOrder: true, run: func(x *execution, in, out []any) error {
		dst, src := out[0].([]float32), halves(in[0])
		tasks(x, len(dst), func(from, to int) { widen(dst[from:to], src[from:to]) })
		return nil
	}})
	return true
}

// halves are the bits of numbers of a half type.
func halves(flat any) []uint16 {
	switch flat := flat.(type) {
	case []float16.Float16:
		return unsafe.Slice((*uint16)(unsafe.SliceData(flat)), len(flat))
	case []bfloat16.BFloat16:
		return unsafe.Slice((*uint16)(unsafe.SliceData(flat)), len(flat))
	}
	panic("no half type")
}
