package cpu

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// adamWGraph is AdamW as package train states it, of a parameter, its gradient, its moments, and a vector: decay, step size,
// correction of v, factor of clipping. It also returns what more gives.
func adamWGraph(more func(newParameter, newM *graph.Node) []*graph.Node) func(in []*graph.Node) []*graph.Node {
	return func(in []*graph.Node) []*graph.Node {
		h := func(i int) *graph.Node { return graph.Reshape(graph.Slice(in[4], graph.AxisElem(i))) }
		g := graph.Mul(in[1], h(3))
		m := graph.Add(in[2], graph.MulScalar(graph.Sub(g, in[2]), 0.1))
		v := graph.Add(graph.MulScalar(in[3], 0.99), graph.MulScalar(graph.Square(g), 0.01))
		denominator := graph.AddScalar(graph.Div(graph.Sqrt(v), h(2)), 1e-8)
		p := graph.Sub(graph.Mul(in[0], h(0)), graph.Mul(h(1), graph.Div(m, denominator)))
		return append([]*graph.Node{p, m, v}, more(p, m)...)
	}
}

// TestAdamW: a step is one pass over memory, in place where the state is donated, and what it should be.
func TestAdamW(t *testing.T) {
	const size = 40000 // more than one task's
	for name, c := range map[string]struct {
		more   func(p, m *graph.Node) []*graph.Node
		steps  int
		donate bool
	}{
		"alone":            {func(_, _ *graph.Node) []*graph.Node { return nil }, 1, false},
		"in place":         {func(_, _ *graph.Node) []*graph.Node { return nil }, 1, true},
		"averaged":         {func(p, _ *graph.Node) []*graph.Node { return []*graph.Node{graph.MulScalar(p, 2)} }, 2, true},
		"moment used more": {func(_, m *graph.Node) []*graph.Node { return []*graph.Node{graph.MulScalar(m, 2)} }, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New()
			if err != nil {
				t.Fatal(err)
			}
			defer b.Finalize()
			g := graph.NewGraph(b, name)
			var nodes []*graph.Node
			var inputs []*tensors.Tensor
			var values [4][]float32
			for i := range values {
				nodes = append(nodes, graph.Parameter(g, string(rune('a'+i)), shapes.Make(dtypes.Float32, size/8, 8)))
				values[i] = make([]float32, size)
				for k := range values[i] {
					values[i][k] = float32(math.Sin(float64(k + 1000*i)))
					if i == 3 {
						values[i][k] *= values[i][k]
					}
				}
				inputs = append(inputs, tensors.FromFlatDataAndDimensions(values[i], size/8, 8))
			}
			nodes = append(nodes, graph.Parameter(g, "h", shapes.Make(dtypes.Float32, 4)))
			g.Compile(adamWGraph(c.more)(nodes)...)
			if got := len(g.Executable().(*Executable).program.steps); got != c.steps {
				t.Errorf("%d steps, want %d", got, c.steps)
			}
			var args []any
			for i, x := range inputs {
				if args = append(args, any(x)); c.donate && i != 1 {
					if args[i], err = graph.DonateTensorBuffer(x, b, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			out := g.Run(append(args, []float32{0.9, 0.5, 0.25, 0.8})...)
			p, m, v := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1]), tensors.MustCopyFlatData[float32](out[2])
			for k := range p {
				grad := 0.8 * float64(values[1][k])
				wantM := 0.9*float64(values[2][k]) + 0.1*grad
				wantV := 0.99*float64(values[3][k]) + 0.01*grad*grad
				wantP := 0.9*float64(values[0][k]) - 0.5*wantM/(math.Sqrt(wantV)/0.25+1e-8)
				if math.Abs(float64(p[k])-wantP) > 3e-6 || math.Abs(float64(m[k])-wantM) > 1e-6 || math.Abs(float64(v[k])-wantV) > 1e-6 {
					t.Fatalf("element %d: %g, %g, %g, want %g, %g, %g", k, p[k], m[k], v[k], wantP, wantM, wantV)
				}
			}
		})
	}
}
