package nn

import (
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	gnn "github.com/gomlx/gomlx/ml/nn"
)

// Linear is y = x·Wᵀ + b for x [..., in]: [..., out]. W is [out, in], as torch.nn.Linear keeps it.
func Linear(p Params, x *Node, out int) *Node {
	return gnn.Dense(x, p.Get("weight", out, width(x)), p.Get("bias", out), compute.DenseLayoutOutputsInput)
}

// LinearNoBias is y = x·Wᵀ.
func LinearNoBias(p Params, x *Node, out int) *Node {
	return gnn.Dense(x, p.Get("weight", out, width(x)), nil, compute.DenseLayoutOutputsInput)
}

// Embedding looks tokens, integers of any shape, up in a table of rows × dim: [..., dim].
func Embedding(p Params, tokens *Node, rows, dim int) *Node {
	return Gather(p.Get("weight", rows, dim), InsertAxes(tokens, -1))
}

// SelfAttention is multi-head attention of x [batch, seq, dim] to itself (Vaswani et al., arXiv 1706.03762) with
// the parameters of transformers' CLIPAttention. Causal lets a position see only itself and those before it.
func SelfAttention(p Params, x *Node, heads int, causal bool) *Node {
	d := x.Shape().Dimensions
	split := func(name string) *Node { // [batch, heads, seq, dim/heads]
		y := Linear(p.At("%s", name), x, d[2])
		return TransposeAllAxes(Reshape(y, d[0], d[1], heads, d[2]/heads), 0, 2, 1, 3)
	}
	y, _ := attention.Core(split("q_proj"), split("k_proj"), split("v_proj"), attention.LayoutBHSD,
		attention.CoreOptions{UseCausalMask: causal})
	y = Reshape(TransposeAllAxes(y, 0, 2, 1, 3), d...)
	return Linear(p.At("out_proj"), y, d[2])
}

// Activation returns the function that transformers' and diffusers' configs call name.
func Activation(name string) (func(x *Node) *Node, error) {
	f, ok := map[string]func(x *Node) *Node{
		"quick_gelu":        QuickGELU,
		"gelu":              GELU,
		"gelu_new":          GELUTanh,
		"gelu_pytorch_tanh": GELUTanh,
		"silu":              SiLU,
		"swish":             SiLU,
		"relu":              activation.Relu,
	}[name]
	if !ok {
		return nil, fmt.Errorf("activation %q is not one of quick_gelu, gelu, gelu_new, gelu_pytorch_tanh, silu, swish, relu", name)
	}
	return f, nil
}

// QuickGELU is x·σ(1.702x), OpenAI's approximation of GELU.
func QuickGELU(x *Node) *Node { return Mul(x, Sigmoid(MulScalar(x, 1.702))) }

// GELU is x·Φ(x) with the normal distribution's Φ, by erf (Hendrycks and Gimpel, arXiv 1606.08415).
func GELU(x *Node) *Node { return activation.Apply(activation.TypeGelu, x) }

// GELUTanh is GELU with Φ approximated by tanh.
func GELUTanh(x *Node) *Node { return activation.Apply(activation.TypeGeluApprox, x) }

// SiLU is x·σ(x).
func SiLU(x *Node) *Node { return Mul(x, Sigmoid(x)) }

// Normalize divides the last axis by its length, at least 1e-12, as torch.nn.functional.normalize does.
func Normalize(x *Node) *Node {
	squares := ReduceAndKeep(Square(x), ReduceSum, -1)
	return Div(x, Sqrt(MaxScalar(squares, 1e-24))) // bounded below before the root, whose slope at 0 is infinite
}

// width is the size of the last axis.
func width(x *Node) int { return x.Shape().Dimensions[x.Rank()-1] }
