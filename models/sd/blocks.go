package sd

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/attention"

	"regft/models/nn"
)

// resnet is what the residual blocks of one model have in common.
type resnet struct {
	groups int
	eps    float64
	act    func(*Node) *Node
}

func newResnet(groups int, eps float64, activation string) resnet {
	act, err := nn.Activation(activation)
	if err != nil {
		panic(err) // reading the config has seen it
	}
	return resnet{groups, eps, act}
}

// residual is diffusers' ResnetBlock2D: x [batch, height, width, in] → [batch, height, width, out]. time, an
// embedding that has been through the activation, is added to every pixel; nil in a VAE.
func (r resnet) residual(p nn.Params, x, time *Node, out int) *Node {
	h := nn.Conv2D(p.At("conv1"), r.act(nn.GroupNorm(p.At("norm1"), x, r.groups, r.eps)), out, nn.Same(3))
	if time != nil {
		h = Add(h, Reshape(nn.Linear(p.At("time_emb_proj"), time, out), 1, 1, 1, out))
	}
	h = nn.Conv2D(p.At("conv2"), r.act(nn.GroupNorm(p.At("norm2"), h, r.groups, r.eps)), out, nn.Same(3))
	if x.Shape().Dimensions[3] != out {
		x = nn.Conv2D(p.At("conv_shortcut"), x, out, nn.Same(1))
	}
	return Add(x, h)
}

// transformer is diffusers' Transformer2DModel in block i: pixels of x [batch, height, width, channels] attend to
// one another and to the text.
func (u unet) transformer(p nn.Params, i int, x *Node, onlyCross bool) *Node {
	d := x.Shape().Dimensions
	heads := u.NumHeads[i]
	if heads < 1 || heads > d[3] {
		panic(fmt.Errorf("attention of %d channels with %d heads", d[3], heads))
	}
	inner := d[3] / heads * heads
	y := nn.GroupNorm(p.At("norm"), x, u.NormGroups, 1e-6)
	y = Reshape(u.project(p.At("proj_in"), y, inner), d[0], d[1]*d[2], inner)
	for j := range u.TransformerLayers[i] {
		y = u.transformerBlock(p.At("transformer_blocks.%d", j), y, heads, onlyCross)
	}
	y = u.project(p.At("proj_out"), Reshape(y, d[0], d[1], d[2], inner), d[3])
	return Add(x, y)
}

// project is one linear map for all pixels. Older checkpoints hold it as a 1×1 convolution.
func (u unet) project(p nn.Params, x *Node, out int) *Node {
	if u.LinearProjection {
		return nn.Linear(p, x, out)
	}
	return nn.Conv2D(p, x, out, nn.Same(1))
}

// transformerBlock is diffusers' BasicTransformerBlock on x [batch, pixels, dim]. With onlyCross its first
// attention is to the text too.
func (u unet) transformerBlock(p nn.Params, x *Node, heads int, onlyCross bool) *Node {
	const eps = 1e-5
	y := nn.LayerNorm(p.At("norm1"), x, eps)
	context := y
	if onlyCross {
		context = u.text
	}
	x = Add(x, crossAttention(p.At("attn1"), y, context, heads))
	x = Add(x, crossAttention(p.At("attn2"), nn.LayerNorm(p.At("norm2"), x, eps), u.text, heads))
	return Add(x, geglu(p.At("ff.net"), nn.LayerNorm(p.At("norm3"), x, eps)))
}

// crossAttention lets x [batch, pixels, dim] attend to context [batch, tokens, any] with heads that share dim
// (Vaswani et al., arXiv 1706.03762, section 3.2).
func crossAttention(p nn.Params, x, context *Node, heads int) *Node {
	dim := x.Shape().Dimensions[2]
	q, k, v := nn.LinearNoBias(p.At("to_q"), x, dim), nn.LinearNoBias(p.At("to_k"), context, dim), nn.LinearNoBias(p.At("to_v"), context, dim)
	return nn.Linear(p.At("to_out.0"), attend(q, k, v, heads), dim)
}

// attend is softmax(q·kᵀ/√d)·v in each head, [batch, queries, dim].
func attend(q, k, v *Node, heads int) *Node {
	split := func(x *Node) *Node { // [batch, heads, pixels or tokens, dim/heads]
		d := x.Shape().Dimensions
		return TransposeAllAxes(Reshape(x, d[0], d[1], heads, d[2]/heads), 0, 2, 1, 3)
	}
	y, _ := attention.Core(split(q), split(k), split(v), attention.LayoutBHSD, attention.CoreOptions{})
	return Reshape(TransposeAllAxes(y, 0, 2, 1, 3), q.Shape().Dimensions...)
}

// geglu is the feed-forward layer of the Transformer, of four times its width, gated by half of its first map's
// outputs (Shazeer, arXiv 2002.05202).
func geglu(p nn.Params, x *Node) *Node {
	dim := x.Shape().Dimensions[2]
	y := nn.Linear(p.At("0.proj"), x, 8*dim)
	value, gate := SliceAxis(y, -1, AxisRange(0, 4*dim)), SliceAxis(y, -1, AxisRange(4*dim))
	return nn.Linear(p.At("2"), Mul(value, nn.GELU(gate)), dim)
}
