package clip

import (
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/nn"
)

// TextFeatures embeds tokens [batch, seq] (integers) into the space shared with pictures: [batch, projection],
// not normalised. It is transformers' get_text_features.
func (c Config) TextFeatures(p nn.Params, tokens *Node) *Node {
	x := c.Text.Hidden(p, tokens)
	return nn.LinearNoBias(p.At("text_projection"), c.Text.pool(x, tokens), c.Projection)
}

// Hidden is the text tower: the state at every token of tokens [batch, seq] after the final norm,
// [batch, seq, width]. seq is at most Positions.
func (c TextConfig) Hidden(p nn.Params, tokens *Node) *Node {
	if !p.Has("embeddings.token_embedding.weight") { // transformers 5 may save a lone text tower without the prefix
		p = p.At("text_model")
	}
	x := nn.Embedding(p.At("embeddings.token_embedding"), tokens, c.Vocabulary, c.Width)
	at := p.At("embeddings.position_embedding").Get("weight", c.Positions, c.Width)
	x = Add(x, InsertAxes(Slice(at, AxisRange(0, tokens.Shape().Dimensions[1])), 0))
	x = c.encode(p.At("encoder"), x, true)
	return nn.LayerNorm(p.At("final_layer_norm"), x, c.NormEps)
}

// pool takes from x [batch, seq, width] the state at the end of the text: the first EOS token. Checkpoints from
// before transformers knew their EOS say 2 there, and mean the highest token: argmax(tokens).
func (c TextConfig) pool(x, tokens *Node) *Node {
	marks := tokens
	if c.EOS != 2 {
		marks = ConvertDType(Equal(tokens, ConstAs(tokens, c.EOS)), tokens.DType())
	}
	end := OneHot(ArgMax(marks, -1), tokens.Shape().Dimensions[1], x.DType())
	return ReduceSum(Mul(x, InsertAxes(end, -1)), 1)
}

// ImageFeatures embeds pixels [batch, channels, image, image], normalised as the checkpoint's preprocessor says,
// into the shared space: [batch, projection], not normalised. It is transformers' get_image_features.
func (c Config) ImageFeatures(p nn.Params, pixels *Node) *Node {
	x := c.Vision.Hidden(p, pixels)
	class := Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1)
	class = nn.LayerNorm(p.At("vision_model.post_layernorm"), class, c.Vision.NormEps)
	return nn.LinearNoBias(p.At("visual_projection"), class, c.Projection)
}

// Hidden is the image tower: the states of the class token and of every patch, row by row, [batch, 1+patches,
// width], before the final norm (Dosovitskiy et al., arXiv 2010.11929, with a norm before the layers).
func (c VisionConfig) Hidden(p nn.Params, pixels *Node) *Node {
	p = p.At("vision_model")
	x := c.embed(p.At("embeddings"), pixels)
	x = nn.LayerNorm(p.At("pre_layrnorm"), x, c.NormEps) // as the checkpoints spell it
	return c.encode(p.At("encoder"), x, false)
}

func (c VisionConfig) embed(p nn.Params, pixels *Node) *Node {
	batch := pixels.Shape().Dimensions[0]
	weight := Reshape(p.At("patch_embedding").Get("weight", c.Width, c.Channels, c.Patch, c.Patch), c.Width, -1)
	patches := Dot(c.patches(pixels), weight).General([]int{2}, nil, []int{1}, nil)
	class := BroadcastToDims(Reshape(p.Get("class_embedding", c.Width), 1, 1, c.Width), batch, 1, c.Width)
	x := Concatenate([]*Node{class, patches}, 1)
	side := c.Image / c.Patch
	return Add(x, InsertAxes(p.At("position_embedding").Get("weight", 1+side*side, c.Width), 0))
}

// patches cuts pixels into the patches that a convolution with stride = kernel sees: [batch, patches,
// channels·patch·patch]. Such a convolution is one matrix product. Pixels beyond the last whole patch are left out.
func (c VisionConfig) patches(pixels *Node) *Node {
	batch, side := pixels.Shape().Dimensions[0], c.Image/c.Patch
	whole := AxisRange(0, side*c.Patch)
	x := Slice(pixels, AxisRange(), AxisRange(), whole, whole)
	x = Reshape(x, batch, c.Channels, side, c.Patch, side, c.Patch)
	x = TransposeAllAxes(x, 0, 2, 4, 1, 3, 5)
	return Reshape(x, batch, side*side, c.Channels*c.Patch*c.Patch)
}

// encode is the pre-norm Transformer of both towers.
func (t Tower) encode(p nn.Params, x *Node, causal bool) *Node {
	for i := range t.Layers {
		p := p.At("layers.%d", i)
		x = Add(x, nn.SelfAttention(p.At("self_attn"), nn.LayerNorm(p.At("layer_norm1"), x, t.NormEps), t.Heads, causal))
		x = Add(x, t.mlp(p.At("mlp"), nn.LayerNorm(p.At("layer_norm2"), x, t.NormEps)))
	}
	return x
}

func (t Tower) mlp(p nn.Params, x *Node) *Node {
	activation, err := nn.Activation(t.Activation)
	if err != nil {
		panic(err) // Validate has seen it
	}
	return nn.Linear(p.At("fc2"), activation(nn.Linear(p.At("fc1"), x, t.Intermediate)), t.Width)
}

// LogitScale is the temperature that CLIP learnt, as its logarithm: a scalar.
func LogitScale(p nn.Params) *Node { return p.Get("logit_scale") }

// Logits is a linear classifier of features [batch, dim] by their direction: normalize(z)·Wᵀ + b, [batch, classes],
// with head.weight and head.bias. RegFT starts it at CLIP's zero-shot classifier and trains it with the tower.
func Logits(p nn.Params, features *Node, classes int) *Node {
	return nn.Linear(p.At("head"), nn.Normalize(features), classes)
}

// IsImageTower tells whether a checkpoint's tensor belongs to the image tower, which a classifier has of its own;
// the rest it shares with its source.
func IsImageTower(name string) bool {
	return strings.HasPrefix(name, "vision_model.") || strings.HasPrefix(name, "visual_projection.")
}
