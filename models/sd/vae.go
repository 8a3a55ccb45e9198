package sd

import (
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/nn"
)

// vae is half of an autoencoder while it is being built.
type vae struct {
	VAEConfig
	resnet
}

func (c VAEConfig) build() vae { return vae{c, newResnet(c.NormGroups, vaeEps, c.Activation)} }

// vaeEps is what all group norms of diffusers' VAE add to the variance.
const vaeEps = 1e-6

// Decode turns latents [batch, height, width, LatentChannels] into pictures [batch, Factor·height, Factor·width,
// OutChannels], roughly between -1 and 1. The latents are those of the autoencoder: what a U-Net makes is
// divided by ScalingFactor first, see Unscale. (Rombach et al., arXiv 2112.10752; diffusers' AutoencoderKL.)
func (c VAEConfig) Decode(p nn.Params, latents *Node) *Node {
	v, last, x := c.build(), len(c.Channels)-1, latents
	if c.PostQuantConv {
		x = nn.Conv2D(p.At("post_quant_conv"), x, c.LatentChannels, nn.Same(1))
	}
	p = p.At("decoder")
	x = nn.Conv2D(p.At("conv_in"), x, c.Channels[last], nn.Same(3))
	x = v.mid(p.At("mid_block"), x)
	for i := range c.Channels {
		x = v.up(p.At("up_blocks.%d", i), x, c.Channels[last-i], i < last)
	}
	return v.out(p, x, c.OutChannels)
}

// Encode turns pictures [batch, height, width, InChannels] between -1 and 1 into a normal distribution of
// latents [batch, height/Factor, width/Factor, LatentChannels]: its mean and the logarithm of its variance.
func (c VAEConfig) Encode(p nn.Params, pictures *Node) (mean, logVariance *Node) {
	v, last := c.build(), len(c.Channels)-1
	encoder := p.At("encoder")
	x := nn.Conv2D(encoder.At("conv_in"), pictures, c.Channels[0], nn.Same(3))
	for i, channels := range c.Channels {
		x = v.down(encoder.At("down_blocks.%d", i), x, channels, i < last)
	}
	x = v.out(encoder, v.mid(encoder.At("mid_block"), x), 2*c.LatentChannels)
	if c.QuantConv {
		x = nn.Conv2D(p.At("quant_conv"), x, 2*c.LatentChannels, nn.Same(1))
	}
	mean = SliceAxis(x, -1, AxisRange(0, c.LatentChannels))
	return mean, ClipScalar(SliceAxis(x, -1, AxisRange(c.LatentChannels)), -30, 20)
}

// Unscale turns the latents that a U-Net works on into those of the autoencoder.
func (c VAEConfig) Unscale(latents *Node) *Node {
	return AddScalar(DivScalar(latents, c.ScalingFactor), c.ShiftFactor)
}

func (v vae) up(p nn.Params, x *Node, channels int, double bool) *Node {
	for j := range v.Layers + 1 {
		x = v.residual(p.At("resnets.%d", j), x, nil, channels)
	}
	if double {
		d := x.Shape().Dimensions
		x = nn.Conv2D(p.At("upsamplers.0.conv"), nn.ResizeNearest(x, 2*d[1], 2*d[2]), channels, nn.Same(3))
	}
	return x
}

func (v vae) down(p nn.Params, x *Node, channels int, halve bool) *Node {
	for j := range v.Layers {
		x = v.residual(p.At("resnets.%d", j), x, nil, channels)
	}
	if halve {
		x = nn.Conv2D(p.At("downsamplers.0.conv"), x, channels, halving(0))
	}
	return x
}

func (v vae) mid(p nn.Params, x *Node) *Node {
	channels := v.Channels[len(v.Channels)-1]
	x = v.residual(p.At("resnets.0"), x, nil, channels)
	if v.MidAttention {
		x = v.attention(p.At("attentions.0"), x)
	}
	return v.residual(p.At("resnets.1"), x, nil, channels)
}

func (v vae) out(p nn.Params, x *Node, channels int) *Node {
	x = nn.SiLU(nn.GroupNorm(p.At("conv_norm_out"), x, v.NormGroups, vaeEps))
	return nn.Conv2D(p.At("conv_out"), x, channels, nn.Same(3))
}

// attention lets the pixels of x attend to one another, with one head.
func (v vae) attention(p nn.Params, x *Node) *Node {
	d := x.Shape().Dimensions
	y := Reshape(nn.GroupNorm(p.At("group_norm"), x, v.NormGroups, vaeEps), d[0], d[1]*d[2], d[3])
	q, k, value := projection(p, y, "to_q", "query"), projection(p, y, "to_k", "key"), projection(p, y, "to_v", "value")
	y = projection(p, attend(q, k, value, 1), "to_out.0", "proj_attn")
	return Add(x, Reshape(y, d...))
}

// projection is a linear map that keeps the width, under its name or the one that it had in 2022, where it could
// be a 1×1 convolution too.
func projection(p nn.Params, x *Node, name, old string) *Node {
	if p.Has(old + ".weight") {
		name = old
	}
	dim := x.Shape().Dimensions[2]
	if p = p.At("%s", name); len(p.Shape("weight")) == 4 {
		return Squeeze(nn.Conv2D(p, InsertAxes(x, 1), dim, nn.Same(1)), 1)
	}
	return nn.Linear(p, x, dim)
}
