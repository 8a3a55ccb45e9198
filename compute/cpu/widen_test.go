package cpu_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestHalfWeights multiplies with every half number: widened weights give the bits of float32 weights of the same values.
func TestHalfWeights(t *testing.T) {
	const rows, columns = 1 << 8, 1 << 8
	var half []float16.Float16
	var brain []bfloat16.BFloat16
	for bits := range rows * columns {
		h, b := float16.FromBits(uint16(bits)), bfloat16.FromBits(uint16(bits))
		if x := float64(h.Float32()); math.IsNaN(x) || math.IsInf(x, 0) {
			h = 0
		}
		if x := float64(b.Float32()); math.IsNaN(x) || math.Abs(x) > 1e30 {
			b = 0
		}
		half, brain = append(half, h), append(brain, b)
	}
	var wideHalf, wideBrain []float32
	for i := range half {
		wideHalf, wideBrain = append(wideHalf, half[i].Float32()), append(wideBrain, brain[i].Float32())
	}
	dot := func(x, w *Node) *Node { return Dot(x, Transpose(ConvertDType(w, dtypes.Float32), 0, 1)).Product() }
	exec, err := NewExec(newBackend(t), dot)
	if err != nil {
		t.Fatal(err)
	}
	x := ramp(5, columns)
	for name, c := range map[string]struct{ kept, wide *tensors.Tensor }{
		"float16":  {tensors.FromFlatDataAndDimensions(half, rows, columns), tensors.FromFlatDataAndDimensions(wideHalf, rows, columns)},
		"bfloat16": {tensors.FromFlatDataAndDimensions(brain, rows, columns), tensors.FromFlatDataAndDimensions(wideBrain, rows, columns)},
	} {
		got, want := run(t, exec, x, c.kept)[0], run(t, exec, x, c.wide)[0]
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: element %d is %v, with float32 weights %v", name, i, got[i], want[i])
			}
		}
	}
}
