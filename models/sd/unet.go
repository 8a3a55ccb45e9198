package sd

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/nn"
)

// unet is the U-Net while it is being built: what all of its blocks see.
type unet struct {
	UNetConfig
	resnet
	time *Node // embedding of the timestep [1, TimeDim]
	text *Node // states of the prompts' tokens [batch, tokens, CrossDim]
}

// UNet predicts what was added to latents x [batch, height, width, InChannels] by timestep t, a scalar: the
// noise or the velocity, as the model was trained, [batch, height, width, OutChannels]. text is the text
// encoder's output for each of them, [batch, tokens, CrossDim]; scale, the guidance scale, is a scalar that only
// models with GuidanceDim look at. (Rombach et al., arXiv 2112.10752; diffusers' UNet2DConditionModel.)
func (c UNetConfig) UNet(p nn.Params, x, t, text, scale *Node) *Node {
	u := unet{UNetConfig: c, resnet: newResnet(c.NormGroups, c.NormEps, c.Activation), text: text}
	u.time = u.act(u.embedTime(p.At("time_embedding"), t, scale))
	x = nn.Conv2D(p.At("conv_in"), x, c.Channels[0], nn.Same(c.ConvInKernel))
	skips := []*Node{x}
	for i := range c.Channels {
		x, skips = u.down(p.At("down_blocks.%d", i), i, x, skips)
	}
	x = u.mid(p.At("mid_block"), x)
	for i := range c.Channels {
		x, skips = u.up(p.At("up_blocks.%d", i), i, x, skips)
	}
	x = u.act(nn.GroupNorm(p.At("conv_norm_out"), x, c.NormGroups, c.NormEps))
	return nn.Conv2D(p.At("conv_out"), x, c.OutChannels, nn.Same(c.ConvOutKernel))
}

// embedTime turns timestep t into a vector: sines and cosines of it at frequencies from 1 down to 1/10000
// (Vaswani et al., arXiv 1706.03762, section 3.5), then two layers.
func (u unet) embedTime(p nn.Params, t, scale *Node) *Node {
	dim := u.Channels[0]
	angles := Mul(Reshape(t, 1, 1), Const(t.Graph(), [][]float32{u.frequencies(dim / 2)}))
	waves := []*Node{Sin(angles), Cos(angles)}
	if u.FlipSinToCos {
		waves[0], waves[1] = waves[1], waves[0]
	}
	if dim%2 == 1 {
		waves = append(waves, ZerosLike(Reshape(t, 1, 1)))
	}
	x := ConvertDType(Concatenate(waves, -1), dtypes.Float32)
	if u.GuidanceDim > 0 {
		x = Add(x, nn.LinearNoBias(p.At("cond_proj"), embedGuidance(scale, u.GuidanceDim), dim))
	}
	x = u.act(nn.Linear(p.At("linear_1"), x, u.TimeDim))
	return nn.Linear(p.At("linear_2"), x, u.TimeDim)
}

// embedGuidance turns a guidance scale into a vector: sines and cosines of a thousand times w = scale − 1 (Meng et al., arXiv
// 2210.03142; diffusers' get_guidance_scale_embedding).
func embedGuidance(scale *Node, dim int) *Node {
	frequencies := make([]float32, dim/2)
	for i := range frequencies {
		step := float32(math.Log(10000)) / float32(dim/2-1)
		frequencies[i] = float32(math.Exp(-float64(step * float32(i))))
	}
	w := MulScalar(AddScalar(scale, -1), 1000)
	angles := Mul(Reshape(w, 1, 1), Const(scale.Graph(), [][]float32{frequencies}))
	x := Concatenate([]*Node{Sin(angles), Cos(angles)}, -1)
	if dim%2 == 1 {
		x = Concatenate([]*Node{x, ZerosLike(Reshape(w, 1, 1))}, -1)
	}
	return x
}

// frequencies are rounded where torch rounds them: at timestep 1000 an ulp of one shows.
func (u unet) frequencies(n int) []float32 {
	f := make([]float32, n)
	for i := range f {
		exponent := float32(-math.Log(10000)) * float32(i)
		f[i] = float32(math.Exp(float64(exponent / float32(float64(n)-u.FreqShift))))
	}
	return f
}

// down is block i on the way down: it halves x, but for the last block, and leaves what the way up will need.
func (u unet) down(p nn.Params, i int, x *Node, skips []*Node) (*Node, []*Node) {
	for j := range u.Layers[i] {
		x = u.residual(p.At("resnets.%d", j), x, u.time, u.Channels[i])
		if u.DownBlocks[i] == crossDown {
			x = u.transformer(p.At("attentions.%d", j), i, x, u.OnlyCross[i])
		}
		skips = append(skips, x)
	}
	if i < len(u.Channels)-1 {
		x = nn.Conv2D(p.At("downsamplers.0.conv"), x, u.Channels[i], halving(u.DownsamplePadding))
		skips = append(skips, x)
	}
	return x, skips
}

// mid is the block at the bottom, with the numbers of the last block.
func (u unet) mid(p nn.Params, x *Node) *Node {
	last := len(u.Channels) - 1
	x = u.residual(p.At("resnets.0"), x, u.time, u.Channels[last])
	x = u.transformer(p.At("attentions.0"), last, x, false)
	return u.residual(p.At("resnets.1"), x, u.time, u.Channels[last])
}

// up is block i on the way up: the mirror of block n-1-i on the way down, with one layer more, for the input of
// that block.
func (u unet) up(p nn.Params, i int, x *Node, skips []*Node) (*Node, []*Node) {
	mirror := len(u.Channels) - 1 - i
	for j := range u.Layers[mirror] + 1 {
		x = Concatenate([]*Node{x, skips[len(skips)-1]}, -1)
		skips = skips[:len(skips)-1]
		x = u.residual(p.At("resnets.%d", j), x, u.time, u.Channels[mirror])
		if u.UpBlocks[i] == crossUp {
			x = u.transformer(p.At("attentions.%d", j), mirror, x, u.OnlyCross[mirror])
		}
	}
	if mirror > 0 {
		to := skips[len(skips)-1].Shape().Dimensions // twice the size, or one less where halving rounded up
		x = nn.Conv2D(p.At("upsamplers.0.conv"), nn.ResizeNearest(x, to[1], to[2]), u.Channels[mirror], nn.Same(3))
	}
	return x, skips
}

// halving is the convolution that halves a picture. Without padding of its own it gets a row and a column of
// zeros at the end.
func halving(padding int) nn.Window {
	w := nn.Window{Kernel: 3, Stride: 2, Before: padding, After: padding}
	if padding == 0 {
		w.After = 1
	}
	return w
}

// ChannelsLast turns x [batch, channels, height, width], torch's layout, into [batch, height, width, channels],
// the layout of the models here, in float32.
func ChannelsLast(x *Node) *Node {
	return TransposeAllAxes(ConvertDType(x, dtypes.Float32), 0, 2, 3, 1)
}

// ChannelsFirst is the way back.
func ChannelsFirst(x *Node) *Node {
	return TransposeAllAxes(ConvertDType(x, dtypes.Float32), 0, 3, 1, 2)
}
