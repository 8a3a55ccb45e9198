package nn_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/google/go-cmp/cmp"

	"regft/compute"
	"regft/models/nn"
)

func builder(t *testing.T) nn.Builder {
	t.Helper()
	b, err := compute.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return nn.Builder{Backend: b}
}

func f32(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }

func mlp(p nn.Params, in []*Node) []*Node {
	x := nn.LayerNorm(p.At("norm"), in[0], 1e-5)
	if p.Has("proj.weight") {
		x = nn.LinearNoBias(p.At("proj"), x, 4)
	}
	return []*Node{nn.Linear(p.At("layers.%d", 0), x, 2)}
}

func TestTraceDeclaresParameters(t *testing.T) {
	b := builder(t)
	got, err := b.Trace(mlp, f32(5, 3))
	if err != nil {
		t.Fatal(err)
	}
	want := nn.Shapes{"norm.weight": {3}, "norm.bias": {3}, "layers.0.weight": {2, 3}, "layers.0.bias": {2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.Have = nn.Shapes{"proj.weight": {4, 3}}
	got, err = b.Trace(mlp, f32(5, 3))
	if err != nil {
		t.Fatal(err)
	}
	want["proj.weight"], want["layers.0.weight"] = []int{4, 3}, []int{2, 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMistakesAreErrors(t *testing.T) {
	b := builder(t)
	for want, f := range map[string]nn.Func{
		"asked for as [2] and as [3]": func(p nn.Params, in []*Node) []*Node { return []*Node{p.Get("w", 2), p.Get("w", 3)} },
		"would have shape [0]":        func(p nn.Params, in []*Node) []*Node { return []*Node{p.Get("w", 0)} },
		"original size 6":             func(p nn.Params, in []*Node) []*Node { return []*Node{Reshape(in[0], 7)} },
	} {
		if _, err := b.Compile("broken", f, f32(2, 3)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestRun(t *testing.T) {
	program, err := builder(t).Compile("linear", func(p nn.Params, in []*Node) []*Node {
		return []*Node{nn.Linear(p.At("l"), in[1], 2), in[0]}
	}, f32(1), f32(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	w := nn.Weights{"l.weight": tensors.FromValue([][]float32{{1, 2, 3}, {0, 0, 1}})}
	x, one := tensors.FromValue([][]float32{{1, 1, 2}}), tensors.FromValue([]float32{1})
	if _, err := program.Run(t.Context(), w, one, x); err == nil || !strings.Contains(err.Error(), `"l.bias"`) {
		t.Errorf("got %v, want an error that names the missing weights", err)
	}
	w["l.bias"] = tensors.FromValue([]float32{0.5, -1})
	outputs, err := program.Run(t.Context(), w, one, x)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]float32{{9.5, 1}}, outputs[0].Value()); diff != "" {
		t.Error(diff)
	}
	if err := w.Free(); err != nil {
		t.Error(err)
	}
}

// TestActivations compares with the definitions in float64.
func TestActivations(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	tanh := func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	silu := func(x float64) float64 { return x * sigmoid(x) }
	x := []float32{-12, -3, -1, -0.1, 0, 1e-3, 0.5, 2, 9}
	for name, want := range map[string]func(float64) float64{
		"quick_gelu": func(x float64) float64 { return x * sigmoid(1.702*x) },
		"gelu":       func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
		"gelu_new":   tanh, "gelu_pytorch_tanh": tanh, "silu": silu, "swish": silu,
		"relu": func(x float64) float64 { return max(x, 0) },
	} {
		f, err := nn.Activation(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, y := range eval(t, f, x) {
			if w := want(float64(x[i])); math.Abs(float64(y)-w) > 1e-6*max(1, math.Abs(w)) {
				t.Errorf("%s(%g) = %g, want %g", name, x[i], y, w)
			}
		}
	}
	if _, err := nn.Activation("mish"); err == nil || !strings.Contains(err.Error(), `"mish"`) {
		t.Errorf("got %v, want an error that names the activation", err)
	}
}

func TestNormalize(t *testing.T) {
	got := eval(t, func(x *Node) *Node { return nn.Normalize(x) }, []float32{3, 4})
	if got[0] != 0.6 || got[1] != 0.8 {
		t.Errorf("got %v", got)
	}
	slope := func(x *Node) *Node { return Gradient(ReduceAllSum(nn.Normalize(x)), x)[0] }
	for _, g := range eval(t, slope, []float32{0, 0}) {
		if math.IsNaN(float64(g)) {
			t.Error("the gradient at a zero vector is NaN")
		}
	}
}

func eval(t *testing.T, f func(*Node) *Node, x []float32) []float32 {
	t.Helper()
	program, err := builder(t).Compile("eval", func(_ nn.Params, in []*Node) []*Node { return []*Node{f(in[0])} }, f32(len(x)))
	if err != nil {
		t.Fatal(err)
	}
	y, err := program.Run(t.Context(), nil, tensors.FromValue(x))
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](y[0])
}
