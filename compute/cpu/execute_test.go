package cpu_test

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestWorkersDoNotChangeBits runs the random graphs with 1, 2 and 8 workers.
func TestWorkersDoNotChangeBits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	for seed := range uint64(60) {
		var want [][]float32
		for _, workers := range []int{1, 2, 8} {
			b := newBackend(t)
			b.Limit(workers)
			got, err := runSeed(b, seed)
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			if !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("seed %d: %d workers compute other bits than 1", seed, workers)
			}
		}
	}
}

// TestWorkersDoNotChangeBitsOfLargeOnes is about operations that are split into many tasks.
func TestWorkersDoNotChangeBitsOfLargeOnes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	var want [][]float32
	for _, workers := range []int{1, 2, 3, 8} {
		b := newBackend(t)
		b.Limit(workers)
		exec, err := NewExec(b, block)
		if err != nil {
			t.Fatal(err)
		}
		got := run(t, exec, ramp(300, 257), ramp(257, 130))
		if want == nil {
			want = got
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%d workers compute other bits than 1", workers)
		}
	}
}

// block is a piece of a network with its gradient.
func block(x, w *Node) []*Node {
	y := Softmax(Dot(x, w).Product(), -1)
	z := Sigmoid(Dot(Transpose(y, 0, 1), Tanh(x)).Product())
	loss := ReduceAllSum(Square(z))
	return append([]*Node{loss, ReduceSum(y, 0), ReduceMax(z, 1)}, Gradient(loss, x, w)...)
}

func ramp(dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i*7919%2003)/1001 - 1
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func run(t *testing.T, exec *Exec, inputs ...any) (out [][]float32) {
	t.Helper()
	results, err := exec.Call(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		out = append(out, tensors.MustCopyFlatData[float32](r))
	}
	return out
}

// TestSideBySide executes one program in many goroutines at once.
func TestSideBySide(t *testing.T) {
	b := newBackend(t)
	exec, err := NewExec(b, block)
	if err != nil {
		t.Fatal(err)
	}
	x, w := ramp(200, 157), ramp(157, 129)
	want := run(t, exec, x, w)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				results, err := exec.Call(x, w)
				if err != nil {
					t.Error(err)
					return
				}
				for i, r := range results {
					if !slices.Equal(tensors.MustCopyFlatData[float32](r), want[i]) {
						t.Errorf("output %d has other bits than alone", i)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestOutputs returns inputs, constants and one value several times: each output has memory of its own.
func TestOutputs(t *testing.T) {
	exec, err := NewExec(newBackend(t), func(x *Node) []*Node {
		y := AddScalar(x, 1)
		return []*Node{x, y, Const(x.Graph(), []float32{5, 6}), y, Reshape(y, 2, 1), Identity(x)}
	})
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromValue([]float32{1, 2})
	for range 2 { // what the caller changes does not come back
		results, err := exec.Call(x)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]float32{{1, 2}, {2, 3}, {5, 6}, {2, 3}, {2, 3}, {1, 2}} {
			if got := tensors.MustCopyFlatData[float32](results[i]); !slices.Equal(got, want) {
				t.Errorf("output %d is %v, want %v", i, got, want)
			}
			tensors.MustMutableFlatData(results[i], func(flat []float32) { clear(flat) })
		}
	}
}

// TestLargeConstants computes what is too large to be folded, from nothing.
func TestLargeConstants(t *testing.T) {
	exec, err := NewExec(newBackend(t), func(x *Node) *Node {
		return ReduceSum(Where(Diagonal(x.Graph(), 300), BroadcastToDims(x, 300, 300), IotaFull(x.Graph(), shapes.Make(dtypes.Float32, 300, 300))), 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, exec, float32(0.5))[0]
	for i, v := range got {
		want := 0.5
		for j := range 300 {
			if i != j {
				want += float64(300*i + j)
			}
		}
		if math.Abs(float64(v)-want) > 1e-6*want {
			t.Errorf("row %d sums to %g, want %g", i, v, want)
		}
	}
}

// TestDonation takes the memory of a donated input for the output that is computed from it.
func TestDonation(t *testing.T) {
	b := newBackend(t)
	exec, err := NewExec(b, func(x, step *Node) *Node { return Sub(MulScalar(x, 2), step) })
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromValue([]float32{1, 2, 3})
	for range 3 {
		donated, err := DonateTensorBuffer(x, b, 0)
		if err != nil {
			t.Fatal(err)
		}
		results, err := exec.Call(donated, tensors.FromValue([]float32{1, 1, 1}))
		if err != nil {
			t.Fatal(err)
		}
		x = results[0]
	}
	if got := tensors.MustCopyFlatData[float32](x); !slices.Equal(got, []float32{1, 9, 17}) {
		t.Errorf("three steps gave %v", got)
	}
}

// TestClampKeepsItsBound: the result of clamping takes no memory that is read after it is written.
func TestClampKeepsItsBound(t *testing.T) {
	exec, err := NewExec(newBackend(t), func(x, low, high *Node) *Node { return Softmax(Clip(x, low, Softmax(high, 0)), 0) })
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, exec, []float32{9, 9, 9, 9}, []float32{0, 0, 0, 0}, []float32{1, 1, 1, 3})[0]
	if got[3] < 0.3 { // 0.38; numbers that are not clamped are all alike, and so is their softmax
		t.Errorf("got %v: the upper bound is lost", got)
	}
}

// TestControlFlow runs closures that use values from outside.
func TestControlFlow(t *testing.T) {
	exec, err := NewExec(newBackend(t), func(x *Node) []*Node {
		g := x.Graph()
		limit := Const(g, float32(100))
		state := While(
			NewClosure(g, func(g *Graph) []*Node {
				v := Parameter(g, "v", x.Shape())
				return []*Node{LessThan(ReduceAllSum(v), limit)}
			}),
			NewClosure(g, func(g *Graph) []*Node {
				v := Parameter(g, "v", x.Shape())
				return []*Node{Add(MulScalar(v, 2), x)}
			}), x)
		double := NewFunction(g, "double", func(g *Graph) []*Node {
			v := Parameter(g, "v", x.Shape())
			return []*Node{Add(v, v)}
		})
		chosen := If(GreaterThan(ReduceAllSum(x), limit),
			NewClosure(g, func(*Graph) []*Node { return []*Node{x} }),
			NewClosure(g, func(*Graph) []*Node { return []*Node{Neg(x)} }))
		return []*Node{state[0], Sort(x, 0, false), double.Call(x)[0], double.Call(state[0])[0], chosen[0]}
	})
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, exec, tensors.FromValue([]float32{1, 3, 2}))
	want := [][]float32{{31, 93, 62}, {3, 2, 1}, {2, 6, 4}, {62, 186, 124}, {-1, -3, -2}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMistakes(t *testing.T) {
	b := newBackend(t)
	exec, err := NewExec(b, func(x *Node) *Node { return AddScalar(x, 1) })
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromValue([]float32{1})
	run(t, exec, x)
	b.Finalize()
	if _, err := exec.Call(x); err == nil || !strings.Contains(err.Error(), "finalized") {
		t.Errorf("after Finalize: %v", err)
	}
}
