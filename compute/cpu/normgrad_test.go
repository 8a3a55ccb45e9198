package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gnn "github.com/gomlx/gomlx/ml/nn"
)

// layerNorm is a layer norm as package nn states it where no operation stands for it.
func layerNorm(x, gamma, beta *graph.Node) *graph.Node {
	mean := func(x *graph.Node) *graph.Node { return graph.ReduceAndKeep(x, graph.ReduceMean, -1) }
	row := func(v *graph.Node) *graph.Node { return graph.ExpandLeftToRank(v, x.Rank()) }
	var normalized *graph.Node
	seen := graph.IdentityWithCustomGradient(x, func(_, g *graph.Node) *graph.Node {
		return graph.Sub(graph.Sub(g, mean(g)), graph.Mul(normalized, mean(graph.Mul(g, normalized))))
	})
	centered := graph.Sub(seen, graph.StopGradient(mean(x)))
	factor := graph.StopGradient(graph.Rsqrt(graph.AddScalar(mean(graph.Square(centered)), 1e-5)))
	normalized = graph.Mul(centered, factor)
	return graph.Add(graph.Mul(normalized, row(gamma)), row(beta))
}

// TestLayerNormGradient: the gradients of a layer norm are one step, with what is added to them, and those that gomlx derives.
func TestLayerNormGradient(t *testing.T) {
	type norm = func(x, gamma, beta *graph.Node) *graph.Node
	derived := func(x, gamma, beta *graph.Node) *graph.Node {
		return gnn.LayerNorm(x, []int{-1}, 1e-5, gamma, beta, nil)
	}
	for name, c := range map[string]struct {
		residual bool
		wrt      int // how many of x, gamma, beta
	}{"all": {false, 3}, "dx alone": {false, 1}, "dx and dgamma": {false, 2}, "a residual": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			b, err := New()
			if err != nil {
				t.Fatal(err)
			}
			defer b.Finalize()
			compile := func(f norm) (g *graph.Graph) {
				g = graph.NewGraph(b, name)
				var in []*graph.Node
				for i, dims := range [][]int{{2, 65, 40}, {40}, {40}, {2, 65, 40}} {
					in = append(in, graph.Parameter(g, fmt.Sprint(i), shapes.Make(dtypes.Float32, dims...)))
				}
				y := f(in[0], in[1], in[2])
				if c.residual {
					y = graph.Add(y, in[0])
				}
				g.Compile(graph.Gradient(graph.ReduceAllSum(graph.Mul(y, in[3])), in[:c.wrt]...)...)
				return g
			}
			var args []any
			for i, dims := range [][]int{{2, 65, 40}, {40}, {40}, {2, 65, 40}} {
				values := make([]float32, product(dims))
				for k := range values {
					values[k] = float32(math.Sin(float64(k*k + 100*i)))
				}
				args = append(args, tensors.FromFlatDataAndDimensions(values, dims...))
			}
			stated := compile(layerNorm)
			if got := len(stated.Executable().(*Executable).program.steps); got != 2 { // dy, and all of them
				t.Errorf("%d steps, want 2", got)
			}
			want := compile(derived).Run(args...)
			for i, x := range stated.Run(args...) {
				got, want := tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](want[i])
				for k := range want {
					if math.Abs(float64(got[k]-want[k])) > 2e-5 {
						t.Fatalf("gradient %d, element %d: %g, want %g", i, k, got[k], want[k])
					}
				}
			}
		})
	}
}
