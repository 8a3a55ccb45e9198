package cpu

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	gnn "github.com/gomlx/gomlx/ml/nn"
)

// TestEpilogues: what follows a product or convolution is a part of its step where the matcher knows it, and nothing else may
// use what is between.
func TestEpilogues(t *testing.T) {
	linear := func(in []*graph.Node) *graph.Node {
		return gnn.Dense(in[0], in[1], in[2], compute.DenseLayoutOutputsInput)
	}
	convolution := func(in []*graph.Node) *graph.Node { return graph.Convolve(in[3], in[4]).PadSame().Done() }
	quickGELU := func(x *graph.Node) *graph.Node { return graph.Mul(x, graph.Sigmoid(graph.MulScalar(x, 1.702))) }
	groupNorm := func(x *graph.Node) *graph.Node {
		y := graph.Reshape(x, 2, 64, 4, 2)
		y = graph.Sub(y, graph.ReduceAndKeep(y, graph.ReduceMean, 1, 3))
		variance := graph.ReduceAndKeep(graph.Mul(y, y), graph.ReduceMean, 1, 3)
		y = graph.Reshape(graph.Mul(y, graph.Rsqrt(graph.AddScalar(variance, 1e-5))), 2, 8, 8, 8)
		gamma := graph.Reshape(graph.Const(x.Graph(), []float32{1, 2, 3, 4, 5, 6, 7, 8}), 1, 1, 1, 8)
		return graph.Add(graph.Mul(y, gamma), gamma)
	}
	silu := func(x *graph.Node) *graph.Node { return graph.Mul(x, graph.Sigmoid(x)) }
	row := func(in []*graph.Node) *graph.Node { return graph.Reshape(in[2], 1, 1, 16) }
	for name, c := range map[string]struct {
		f     func(in []*graph.Node) []*graph.Node
		steps int
	}{
		"bias and activation": {func(in []*graph.Node) []*graph.Node { return []*graph.Node{quickGELU(linear(in))} }, 1},
		"residual":            {func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Add(in[5], linear(in))} }, 1},
		"all":                 {func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Add(quickGELU(linear(in)), in[5])} }, 1},
		"two rows, summed":    {func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Add(linear(in), row(in))} }, 2},
		"convolution": {func(in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.Add(convolution(in), graph.Reshape(in[2], 1, 1, 1, 16))}
		}, 1},
		"gate, used twice": {func(in []*graph.Node) []*graph.Node {
			y := linear(in)
			gate := graph.Sigmoid(graph.MulScalar(y, 1.702))
			return []*graph.Node{graph.Mul(y, gate), graph.Mul(in[5], gate)}
		}, 3},
		"a scalar":         {func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.AddScalar(linear(in), 2)} }, 2},
		"group norm":       {func(in []*graph.Node) []*graph.Node { return []*graph.Node{silu(groupNorm(in[3]))} }, 1},
		"group norm, kept": {func(in []*graph.Node) []*graph.Node { y := groupNorm(in[3]); return []*graph.Node{silu(y), y} }, 2},
		"used twice":       {func(in []*graph.Node) []*graph.Node { y := linear(in); return []*graph.Node{quickGELU(y), y} }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New()
			if err != nil {
				t.Fatal(err)
			}
			defer b.Finalize()
			g := graph.NewGraph(b, name)
			var in []*graph.Node
			for i, dims := range [][]int{{2, 8, 8}, {16, 8}, {16}, {2, 8, 8, 8}, {3, 3, 8, 16}, {2, 8, 16}} {
				in = append(in, graph.Parameter(g, fmt.Sprint(i), shapes.Make(dtypes.Float32, dims...)))
			}
			g.Compile(c.f(in)...)
			if got := len(g.Executable().(*Executable).program.steps); got != c.steps {
				t.Errorf("%d steps, want %d", got, c.steps)
			}
		})
	}
}
