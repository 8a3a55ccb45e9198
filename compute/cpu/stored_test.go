package cpu_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gnn "github.com/gomlx/gomlx/ml/nn"

	"regft/models/nn"
)

// weightReaders are graphs that read weights [96, 64], or [96, 16, 2, 2], in orders that packing knows, and one that it does not.
var weightReaders = map[string]func(x, w *Node) *Node{
	"linear":    func(x, w *Node) *Node { return gnn.Dense(x, w, nil, compute.DenseLayoutOutputsInput) },
	"both ways": func(x, w *Node) *Node { return Dot(gnn.Dense(x, w, nil, compute.DenseLayoutOutputsInput), w).Product() },
	"also an array": func(x, w *Node) *Node {
		return Add(gnn.Dense(x, w, nil, compute.DenseLayoutOutputsInput), InsertAxes(ReduceSum(w, 1), 0))
	},
	"convolution": func(x, w *Node) *Node {
		return Convolve(Reshape(x, 2, 5, 4, 16), Reshape(w, 96, 16, 2, 2)).AxesConfig(compute.ConvolveAxesConfig{
			InputBatch: 0, InputSpatial: []int{1, 2}, InputChannels: 3, KernelOutputChannels: 0, KernelInputChannels: 1, KernelSpatial: []int{2, 3},
			OutputBatch: 0, OutputSpatial: []int{1, 2}, OutputChannels: 3,
		}).PadSame().Done()
	},
}

func ramped(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i*7919%256)/64 - 2 // exact in every type of weights
	}
	return values
}

// TestStoredWeights: settled weights give the bits that others give, in programs that read them in turn and side by side in
// several orders, and are read back as they were.
func TestStoredWeights(t *testing.T) {
	b := newBackend(t)
	x, values := tensors.FromFlatDataAndDimensions(ramped(10*64), 10, 64), ramped(96*64)
	for name, dtype := range map[string]dtypes.DType{"float32": dtypes.Float32, "bfloat16": dtypes.BFloat16} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, b, dtype, values)
			var wg sync.WaitGroup
			for reader, f := range weightReaders {
				exec := MustNewExec(b, func(x, w *Node) *Node { return f(x, ConvertDType(w, dtypes.Float32)) })
				want := tensors.MustCopyFlatData[float32](exec.MustCall(x, tensors.FromFlatDataAndDimensions(values, 96, 64))[0])
				for range 3 {
					wg.Go(func() {
						for range 3 {
							if got := tensors.MustCopyFlatData[float32](exec.MustCall(x, w)[0]); !slices.Equal(got, want) {
								t.Errorf("%s: settled weights give other results", reader)
							}
						}
					})
				}
			}
			wg.Wait()
			back := tensors.MustCopyFlatData[float32](MustNewExec(b, func(w *Node) *Node { return ConvertDType(w, dtypes.Float32) }).MustCall(w)[0])
			if !slices.Equal(back, values) {
				t.Error("settled weights are not read as they were set")
			}
			w.MustConstFlatData(func(flat any) {
				if f, ok := flat.([]float32); ok && !slices.Equal(f, values) {
					t.Error("settled weights are not read back as they were set")
				}
			})
		})
	}
}

func settled(t *testing.T, b compute.Backend, dtype dtypes.DType, values []float32) *tensors.Tensor {
	t.Helper()
	shape := shapes.Make(dtype, 96, 64)
	var w *tensors.Tensor
	var err error
	if dtype == dtypes.Float32 {
		w, err = nn.Settled(b, shape, func(flat []float32) error { copy(flat, values); return nil })
	} else {
		w, err = nn.Settled(b, shape, func(flat []bfloat16.BFloat16) error {
			for i, x := range values {
				flat[i] = bfloat16.FromFloat32(x)
			}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}
