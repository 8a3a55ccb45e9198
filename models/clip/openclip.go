package clip

import (
	"fmt"
	"slices"
	"strings"

	"regft/models/nn"
)

// The files of a folder that open_clip loads with the schema local-dir.
const (
	OpenCLIPConfigFile  = "open_clip_config.json"
	OpenCLIPWeightsFile = "open_clip_model.safetensors"
)

// OpenCLIP is the open_clip_config.json of a model with this config and preprocessing. What open_clip 3.3 cannot say is an
// error.
func (c Config) OpenCLIP(pixels Preprocessor) (map[string]any, error) {
	quick := c.Vision.Activation == "quick_gelu"
	switch {
	case c.Vision.Activation != c.Text.Activation || !quick && c.Vision.Activation != "gelu":
		return nil, fmt.Errorf("open_clip has one activation for both towers, quick_gelu or gelu: this model has %s and %s", c.Vision.Activation, c.Text.Activation)
	case c.Vision.Channels != 3:
		return nil, fmt.Errorf("open_clip takes pictures of 3 channels, this model %d", c.Vision.Channels)
	case pixels.Resize != pixels.Crop:
		return nil, fmt.Errorf("open_clip resizes pictures to what it crops: this model resizes to %d and crops %d", pixels.Resize, pixels.Crop)
	}
	interpolation, ok := map[int]string{2: "bilinear", bicubic: "bicubic"}[pixels.Resample]
	if !ok {
		return nil, fmt.Errorf("open_clip resizes bilinear or bicubic: this model has Pillow's filter %d", pixels.Resample)
	}
	vision := map[string]any{
		"image_size": c.Vision.Image, "patch_size": c.Vision.Patch, "width": c.Vision.Width, "layers": c.Vision.Layers,
		"head_width": c.Vision.Width / c.Vision.Heads, "mlp_ratio": c.Vision.ratio(), "norm_kwargs": map[string]any{"eps": c.Vision.NormEps},
	}
	text := map[string]any{
		"context_length": c.Text.Positions, "vocab_size": c.Text.Vocabulary, "width": c.Text.Width, "heads": c.Text.Heads,
		"layers": c.Text.Layers, "mlp_ratio": c.Text.ratio(), "norm_kwargs": map[string]any{"eps": c.Text.NormEps},
	}
	if c.Text.EOS != 2 && c.Text.EOS != c.Text.Vocabulary-1 { // else the highest token is the end
		text["pool_type"], text["eos_id"] = "eos", c.Text.EOS
	}
	return map[string]any{
		"model_cfg":      map[string]any{"embed_dim": c.Projection, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": text},
		"preprocess_cfg": map[string]any{"mean": pixels.Mean, "std": pixels.Std, "interpolation": interpolation, "resize_mode": "shortest"},
	}, nil
}

// ratio is the width inside the MLP over that of the tower, which open_clip multiplies and cuts to an integer.
func (t Tower) ratio() float64 {
	r := float64(t.Intermediate) / float64(t.Width)
	if int(float64(t.Width)*r) < t.Intermediate {
		r += 0.5 / float64(t.Width)
	}
	return r
}

// openCLIPNames are what open_clip calls the parts of names that differ, in the order in which they are replaced.
var openCLIPNames = strings.NewReplacer(
	"vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight",
	"vision_model.embeddings.class_embedding", "visual.class_embedding",
	"vision_model.embeddings.position_embedding.weight", "visual.positional_embedding",
	"vision_model.pre_layrnorm.", "visual.ln_pre.",
	"vision_model.encoder.layers.", "visual.transformer.resblocks.",
	"vision_model.post_layernorm.", "visual.ln_post.",
	"visual_projection.weight", "visual.proj",
	"text_model.embeddings.token_embedding.", "token_embedding.",
	"text_model.embeddings.position_embedding.weight", "positional_embedding",
	"text_model.encoder.layers.", "transformer.resblocks.",
	"text_model.final_layer_norm.", "ln_final.",
	"text_projection.weight", "text_projection",
	"layer_norm1.", "ln_1.", "layer_norm2.", "ln_2.",
	"self_attn.out_proj.", "attn.out_proj.", "mlp.fc1.", "mlp.c_fc.", "mlp.fc2.", "mlp.c_proj.",
)

// OpenCLIPTensors are a CLIPModel's parameters under open_clip's names: projections transposed, and the weights of
// queries, keys and values as one.
func OpenCLIPTensors(parameters nn.Arrays) (nn.Arrays, error) {
	out := nn.Arrays{}
	for name, a := range parameters {
		before, rest, ok := strings.Cut(name, "self_attn.q_proj.")
		switch {
		case ok:
			joined, err := joinedQKV(parameters, before, rest)
			if err != nil {
				return nil, err
			}
			out[openCLIPNames.Replace(before)+"attn.in_proj_"+rest] = joined
		case strings.Contains(name, "self_attn.k_proj.") || strings.Contains(name, "self_attn.v_proj."):
		case name == "visual_projection.weight" || name == "text_projection.weight":
			out[openCLIPNames.Replace(name)] = transposed(a)
		default:
			out[openCLIPNames.Replace(name)] = a
		}
	}
	return out, nil
}

// joinedQKV joins what queries, keys and values of one layer have, weight or bias.
func joinedQKV(parameters nn.Arrays, layer, what string) (nn.Array, error) {
	var joined nn.Array
	for _, part := range []string{"q_proj", "k_proj", "v_proj"} {
		name := layer + "self_attn." + part + "." + what
		a, ok := parameters[name]
		if !ok {
			return nn.Array{}, fmt.Errorf("the model has no parameter %q", name)
		}
		if joined.Shape == nil {
			joined.Shape = slices.Clone(a.Shape)
			joined.Shape[0] = 0
		}
		joined.Shape[0] += a.Shape[0]
		joined.Values = append(joined.Values, a.Values...)
	}
	return joined, nil
}

// transposed swaps the two axes of a.
func transposed(a nn.Array) nn.Array {
	rows, cols := a.Shape[0], a.Shape[1]
	out := nn.Array{Shape: []int{cols, rows}, Values: make([]float32, len(a.Values))}
	for i := range rows {
		for j := range cols {
			out.Values[j*rows+i] = a.Values[i*cols+j]
		}
	}
	return out
}
