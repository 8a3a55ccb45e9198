package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	gnn "github.com/gomlx/gomlx/ml/nn"
)

// A grower makes random graphs of the operations that models are made of. The same seed makes the same graph.
type grower struct {
	*rand.Rand
	nodes []*Node
}

func (g *grower) pick() *Node { return g.nodes[g.IntN(len(g.nodes))] }

func (g *grower) axis(x *Node) int { return g.IntN(x.Rank()) }

// bounded keeps values and slopes near 1.
func bounded(x *Node) *Node { return Div(x, AddScalar(Abs(x), 1)) }

var growths = []func(g *grower, x *Node) *Node{
	func(g *grower, x *Node) *Node { return Add(x, MulScalar(g.like(x), 0.5)) },
	func(g *grower, x *Node) *Node { return Mul(x, Sigmoid(g.like(x))) },
	func(g *grower, x *Node) *Node { return Sub(OneMinus(x), g.like(x)) },
	func(g *grower, x *Node) *Node { return Div(g.like(x), AddScalar(Square(x), 1)) },
	func(_ *grower, x *Node) *Node { return Exp(Neg(Abs(x))) },
	func(_ *grower, x *Node) *Node { return Tanh(x) },
	func(_ *grower, x *Node) *Node { return Erf(x) },
	func(_ *grower, x *Node) *Node { return Sqrt(AddScalar(Square(x), 0.1)) },
	func(_ *grower, x *Node) *Node { return StopGradient(Rsqrt(AddScalar(Square(x), 0.1))) },
	func(_ *grower, x *Node) *Node { return Log(AddScalar(Abs(x), 1)) },
	func(_ *grower, x *Node) *Node { return Sin(x) },
	func(g *grower, x *Node) *Node { return Max(x, MulScalar(g.like(x), 0.3)) },
	func(g *grower, x *Node) *Node { return Min(x, MulScalar(g.like(x), 0.3)) },
	func(g *grower, x *Node) *Node {
		return Where(GreaterThan(x, ScalarZero(x.Graph(), x.DType())), x, g.like(x))
	},
	func(_ *grower, x *Node) *Node { return ClipScalar(x, -0.7, 0.6) },
	func(g *grower, x *Node) *Node { return Sub(x, ReduceAndKeep(x, ReduceMean, g.axis(x))) },
	func(g *grower, x *Node) *Node { return Add(x, ReduceAndKeep(x, ReduceMax, g.axis(x))) },
	func(g *grower, x *Node) *Node { return Mul(x, ReduceAndKeep(Square(x), ReduceMean, 0, x.Rank()-1)) },
	func(_ *grower, x *Node) *Node { return Sub(x, ReduceAllMean(x)) },
	func(g *grower, x *Node) *Node { return TransposeAllAxes(x, g.Perm(x.Rank())...) },
	func(g *grower, x *Node) *Node { return sliced(g, x) },
	func(g *grower, x *Node) *Node { return Concatenate([]*Node{x, g.like(x)}, g.axis(x)) },
	func(g *grower, x *Node) *Node { return padded(g, x) },
	func(_ *grower, x *Node) *Node { return Reshape(x, merge(x.Shape().Dimensions)...) },
	func(_ *grower, x *Node) *Node { return Softmax(x, -1) },
	func(_ *grower, x *Node) *Node { return gnn.LayerNorm(x, []int{-1}, 1e-5, nil, nil, nil) },
	func(_ *grower, x *Node) *Node { return normed(x) },
	func(g *grower, x *Node) *Node { return Add(normed(x), g.like(x)) },
	func(g *grower, x *Node) *Node { return product(g, x) },
	func(g *grower, x *Node) *Node { return dense(g, x) },
	func(g *grower, x *Node) *Node { return attended(g, x) },
	func(g *grower, x *Node) *Node { return multiHead(g, x) },
	func(g *grower, x *Node) *Node { return convolved(g, x) },
	func(g *grower, x *Node) *Node { return ended(g, dense(g, x)) },
	func(g *grower, x *Node) *Node { return ended(g, convolved(g, x)) },
	func(g *grower, x *Node) *Node { return StopGradient(ended(g, dense(g, x))) }, // whose parts nothing else uses
	func(g *grower, x *Node) *Node { return StopGradient(ended(g, convolved(g, x))) },
	func(g *grower, x *Node) *Node { return StopGradient(activated(g, grouped(x))) },
}

// like is a node of x's shape.
func (g *grower) like(x *Node) *Node {
	var same []*Node
	for _, n := range g.nodes {
		if n.Shape().Equal(x.Shape()) {
			same = append(same, n)
		}
	}
	if len(same) == 0 {
		return MulScalar(x, -1.5)
	}
	return same[g.IntN(len(same))]
}

// normed is a layer norm as package nn states it, with its gradient as a whole.
func normed(x *Node) *Node {
	mean := func(x *Node) *Node { return ReduceAndKeep(x, ReduceMean, -1) }
	var normalized *Node
	seen := IdentityWithCustomGradient(x, func(_, g *Node) *Node {
		return Sub(Sub(g, mean(g)), Mul(normalized, mean(Mul(g, normalized))))
	})
	centered := Sub(seen, StopGradient(mean(x)))
	normalized = Mul(centered, StopGradient(Rsqrt(AddScalar(mean(Square(centered)), 0.1))))
	gamma := ReduceMean(x, axesBefore(x)...)
	row := func(v *Node) *Node { return ExpandLeftToRank(v, x.Rank()) }
	return Add(Mul(normalized, row(AddScalar(gamma, 1))), row(gamma))
}

// axesBefore are all axes but the last.
func axesBefore(x *Node) []int {
	axes := make([]int, x.Rank()-1)
	for i := range axes {
		axes[i] = i
	}
	return axes
}

func sliced(g *grower, x *Node) *Node {
	specs := make([]SliceAxisSpec, x.Rank())
	for i, d := range x.Shape().Dimensions {
		from := g.IntN(d)
		specs[i] = AxisRange(from, from+1+g.IntN(d-from)).Stride(1 + g.IntN(2))
	}
	return Slice(x, specs...)
}

func padded(g *grower, x *Node) *Node {
	pads := make([]PadAxis, x.Rank())
	for i := range pads {
		pads[i] = PadAxis{Start: g.IntN(2), End: g.IntN(3)}
	}
	return StopGradient(Pad(x, Scalar(x.Graph(), x.DType(), 0.5), pads...))
}

func merge(dims []int) []int {
	if len(dims) < 3 {
		return append([]int{1}, dims...)
	}
	return append([]int{dims[0] * dims[1]}, dims[2:]...)
}

// product multiplies x with itself over a random axis, with another as the batch.
func product(g *grower, x *Node) *Node {
	if x.Rank() < 3 || x.Shape().Size() > 2000 {
		return x
	}
	order := g.Perm(x.Rank())
	return MulScalar(Dot(x, x).General([]int{order[0]}, []int{order[1]}, []int{order[0]}, []int{order[1]}), 0.2)
}

func dense(g *grower, x *Node) *Node {
	if x.Rank() < 2 {
		return x
	}
	in := x.Shape().Dimensions[x.Rank()-1]
	w := MulScalar(Sin(IotaFull(x.Graph(), shapes.Make(x.DType(), 1+g.IntN(20), in))), 1/math.Sqrt(float64(in)))
	return gnn.Dense(x, w, nil, compute.DenseLayoutOutputsInput)
}

func attended(g *grower, x *Node) *Node {
	d := x.Shape().Dimensions
	if x.Rank() != 4 || d[1] < 2 {
		return x
	}
	y, _ := attention.Core(x, MulScalar(x, 1.3), Sin(x), attention.AxesLayout(g.IntN(2)), attention.CoreOptions{UseCausalMask: g.IntN(2) == 0})
	return y
}

// multiHead is attention as models have it: heads are split off the last axis, and joined again.
func multiHead(g *grower, x *Node) *Node {
	d := x.Shape().Dimensions
	if x.Rank() != 4 {
		return x
	}
	split := func(x *Node) *Node { return TransposeAllAxes(Reshape(x, d[0], d[1]*d[2], 1, d[3]), 0, 2, 1, 3) }
	if d[2] > 1 {
		split = func(x *Node) *Node { return TransposeAllAxes(x, 0, 2, 1, 3) }
	}
	y, _ := attention.Core(split(x), split(MulScalar(x, 1.3)), split(Sin(x)), attention.LayoutBHSD, attention.CoreOptions{UseCausalMask: g.IntN(2) == 0})
	if g.IntN(4) == 0 {
		return y
	}
	return Reshape(TransposeAllAxes(y, 0, 2, 1, 3), d...)
}

func convolved(g *grower, x *Node) *Node {
	d := x.Shape().Dimensions
	if x.Rank() != 4 || x.Shape().Size() > 5000 {
		return x
	}
	kernel := IotaFull(x.Graph(), shapes.Make(x.DType(), min(3, d[1]), min(2, d[2]), d[3], 1+g.IntN(6)))
	conv := Convolve(x, MulScalar(Cos(kernel), 0.3))
	return conv.PadSame().Done()
}

// ended adds what may follow a product in one step with it, in any order, which is not always such a step's: rows, scalars,
// activations, tensors of x's shape.
func ended(g *grower, x *Node) *Node {
	d := x.Shape().Dimensions
	row := slices.Repeat([]int{1}, len(d))
	row[len(d)-1] = d[len(d)-1]
	residual := Cos(x)
	for range g.IntN(4) {
		switch g.IntN(8) {
		case 0, 1:
			x = Add(x, Sin(IotaFull(x.Graph(), shapes.Make(x.DType(), row...))))
		case 2:
			x = AddScalar(x, 0.3)
		case 3:
			x = activated(g, x)
		case 4:
			x = Add(residual, x)
		case 5:
			x = Add(x, g.like(x))
		case 6:
			x = Reshape(x, merge(d)...)
			return Add(ReduceAndKeep(x, ReduceMean, x.Rank()-1), x)
		case 7:
			x = Add(x, ReduceAllMean(x))
		}
	}
	return x
}

// grouped is a group norm of x [batch, height, width, channels]; gomlx has no gradient of Rsqrt.
func grouped(x *Node) *Node {
	d := x.Shape().Dimensions
	if x.Rank() != 4 {
		return x
	}
	groups := 1
	if d[3]%2 == 0 {
		groups = 2
	}
	y := Reshape(x, d[0], d[1]*d[2], groups, d[3]/groups)
	y = Sub(y, ReduceAndKeep(y, ReduceMean, 1, 3))
	y = Reshape(Mul(y, Rsqrt(AddScalar(ReduceAndKeep(Square(y), ReduceMean, 1, 3), 0.1))), d...)
	channel := func(f func(x *Node) *Node) *Node {
		return f(IotaFull(x.Graph(), shapes.Make(x.DType(), 1, 1, 1, d[3])))
	}
	return Add(Mul(y, channel(Cos)), channel(Sin))
}

func activated(g *grower, x *Node) *Node {
	switch g.IntN(4) {
	case 0:
		return Mul(x, Sigmoid(MulScalar(x, 1.702)))
	case 1:
		return Mul(Sigmoid(x), x)
	case 2:
		return activation.Apply(activation.TypeGelu, x)
	default:
		return Max(x, ScalarZero(x.Graph(), x.DType()))
	}
}

// grow builds one graph: its nodes' sums, and the gradients with respect to the inputs.
func grow(seed uint64, inputs []*Node) []*Node {
	g := &grower{Rand: rand.New(rand.NewPCG(seed, 7)), nodes: slices.Clone(inputs)}
	for range 4 + g.IntN(12) {
		y := bounded(growths[g.IntN(len(growths))](g, g.pick()))
		if y.Shape().Size() > 20000 {
			continue
		}
		g.nodes = append(g.nodes, y)
	}
	var loss *Node
	for _, n := range g.nodes {
		mean := ReduceAllMean(Mul(n, Cos(n)))
		if loss == nil {
			loss = mean
		} else {
			loss = Add(loss, mean)
		}
	}
	last := g.nodes[len(g.nodes)-1]
	return append([]*Node{loss, last}, Gradient(loss, inputs...)...)
}

func randomShape(r *rand.Rand) []int {
	sizes := []int{1, 2, 3, 4, 5, 8, 17, 33}
	dims := make([]int, 1+r.IntN(4))
	for i := range dims {
		dims[i] = sizes[r.IntN(len(sizes))]
	}
	for shapes.Make(dtypes.Float32, dims...).Size() > 5000 {
		dims[r.IntN(len(dims))] = 2
	}
	return dims
}

func randomTensors(seed uint64) []*tensors.Tensor {
	r := rand.New(rand.NewPCG(seed, 3))
	dims := randomShape(r)
	all := make([]*tensors.Tensor, 2+r.IntN(2))
	for i := range all {
		if i > 1 {
			dims = randomShape(r)
		}
		values := make([]float32, shapes.Make(dtypes.Float32, dims...).Size())
		for k := range values {
			values[k] = float32(r.NormFloat64())
		}
		all[i] = tensors.FromFlatDataAndDimensions(values, dims...)
	}
	return all
}

// compute runs the graph of a seed on a backend.
func runSeed(b compute.Backend, seed uint64) (out [][]float32, err error) {
	inputs := randomTensors(seed)
	args := make([]any, len(inputs))
	for i, t := range inputs {
		args[i] = t
	}
	exec, err := NewExec(b, func(in []*Node) []*Node { return grow(seed, in) })
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	results, err := exec.Call(args...)
	if err != nil {
		return nil, err
	}
	for _, t := range results {
		out = append(out, tensors.MustCopyFlatData[float32](t))
	}
	return out, nil
}

// TestRandomGraphs compares random graphs and their gradients with gomlx's own backend.
func TestRandomGraphs(t *testing.T) {
	ours := newBackend(t)
	reference, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reference.Finalize)
	for seed := range uint64(1200) {
		want, err := runSeed(reference, seed)
		if err != nil {
			t.Fatalf("seed %d on the reference: %v", seed, err)
		}
		got, err := runSeed(ours, seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := near(got, want); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func near(got, want [][]float32) error {
	for i := range want {
		largest := 1e-3
		for _, w := range want[i] {
			largest = max(largest, math.Abs(float64(w)))
		}
		for k, w := range want[i] {
			if d := math.Abs(float64(got[i][k] - w)); !(d <= 2e-4*largest) {
				return fmt.Errorf("value %d of output %d is %g, want %g", k, i, got[i][k], w)
			}
		}
	}
	return nil
}
