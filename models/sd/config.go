package sd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"regft/models/checkpoint"
	"regft/models/nn"
)

// A UNetConfig is unet/config.json, the config of diffusers' UNet2DConditionModel.
type UNetConfig struct {
	SampleSize        int            `json:"sample_size"` // of the latents, in pixels
	InChannels        int            `json:"in_channels"`
	OutChannels       int            `json:"out_channels"`
	DownBlocks        []string       `json:"down_block_types"`
	UpBlocks          []string       `json:"up_block_types"`
	Channels          []int          `json:"block_out_channels"`
	Layers            PerBlock[int]  `json:"layers_per_block"`
	TransformerLayers PerBlock[int]  `json:"transformer_layers_per_block"`
	HeadDim           PerBlock[int]  `json:"attention_head_dim"` // the number of heads, by a historical mistake
	NumHeads          PerBlock[int]  `json:"num_attention_heads"`
	CrossDim          PerBlock[int]  `json:"cross_attention_dim"`
	OnlyCross         PerBlock[bool] `json:"only_cross_attention"`
	LinearProjection  bool           `json:"use_linear_projection"`
	NormGroups        int            `json:"norm_num_groups"`
	NormEps           float64        `json:"norm_eps"`
	Activation        string         `json:"act_fn"`
	FlipSinToCos      bool           `json:"flip_sin_to_cos"`
	FreqShift         float64        `json:"freq_shift"`
	TimeDim           int            `json:"time_embedding_dim"` // four times the first block's channels where 0
	DownsamplePadding int            `json:"downsample_padding"`
	ConvInKernel      int            `json:"conv_in_kernel"`
	ConvOutKernel     int            `json:"conv_out_kernel"`
	GuidanceDim       int            `json:"time_cond_proj_dim"` // of a distilled model's guidance embedding; 0 for models without
}

// A VAEConfig is vae/config.json, the config of diffusers' AutoencoderKL.
type VAEConfig struct {
	InChannels     int     `json:"in_channels"`
	OutChannels    int     `json:"out_channels"`
	LatentChannels int     `json:"latent_channels"`
	Channels       []int   `json:"block_out_channels"`
	Layers         int     `json:"layers_per_block"`
	NormGroups     int     `json:"norm_num_groups"`
	Activation     string  `json:"act_fn"`
	ScalingFactor  float64 `json:"scaling_factor"`
	ShiftFactor    float64 `json:"shift_factor"`
	QuantConv      bool    `json:"use_quant_conv"`
	PostQuantConv  bool    `json:"use_post_quant_conv"`
	MidAttention   bool    `json:"mid_block_add_attention"`
}

// Factor is the number of a picture's pixels to one of its latents, in each direction.
func (c VAEConfig) Factor() int { return 1 << (len(c.Channels) - 1) }

// PerBlock is a value for each of a U-Net's blocks, written as a list or as one value for all.
type PerBlock[T any] []T

// UnmarshalJSON reads a value, a list or null.
func (b *PerBlock[T]) UnmarshalJSON(data []byte) error {
	*b = nil
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	var one T
	if err := json.Unmarshal(data, &one); err == nil {
		*b = PerBlock[T]{one}
		return nil
	}
	return json.Unmarshal(data, (*[]T)(b))
}

// each spreads one value over n blocks.
func (b PerBlock[T]) each(n int) PerBlock[T] {
	if len(b) == 1 {
		return slices.Repeat(b, n)
	}
	return b
}

// ReadUNetConfig reads unet/config.json; keys that it lacks have diffusers' defaults. What is set and not
// supported is an error that names key and value.
func ReadUNetConfig(files checkpoint.Files) (UNetConfig, error) {
	const name = "unet/config.json"
	c := UNetConfig{
		InChannels: 4, OutChannels: 4, Channels: []int{320, 640, 1280, 1280},
		DownBlocks: []string{crossDown, crossDown, crossDown, plainDown},
		UpBlocks:   []string{plainUp, crossUp, crossUp, crossUp},
		Layers:     PerBlock[int]{2}, TransformerLayers: PerBlock[int]{1}, HeadDim: PerBlock[int]{8},
		CrossDim: PerBlock[int]{1280}, OnlyCross: PerBlock[bool]{false},
		NormGroups: 32, NormEps: 1e-5, Activation: "silu", FlipSinToCos: true,
		DownsamplePadding: 1, ConvInKernel: 3, ConvOutKernel: 3,
	}
	if err := readStrict(files, name, &c, unetFixed); err != nil {
		return c, err
	}
	if err := c.spread(); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// The block types of diffusers that are supported.
const (
	plainDown = "DownBlock2D"
	crossDown = "CrossAttnDownBlock2D"
	plainUp   = "UpBlock2D"
	crossUp   = "CrossAttnUpBlock2D"
	crossMid  = "UNetMidBlock2DCrossAttn"
)

// spread gives every block its own value, as diffusers does, and checks that all lists have that length.
func (c *UNetConfig) spread() error {
	n := len(c.Channels)
	if c.NumHeads == nil {
		c.NumHeads = c.HeadDim
	}
	if c.TimeDim == 0 && n > 0 {
		c.TimeDim = 4 * c.Channels[0]
	}
	c.Layers, c.TransformerLayers, c.CrossDim = c.Layers.each(n), c.TransformerLayers.each(n), c.CrossDim.each(n)
	c.NumHeads, c.OnlyCross = c.NumHeads.each(n), c.OnlyCross.each(n)
	for _, list := range []struct {
		key    string
		length int
	}{
		{"down_block_types", len(c.DownBlocks)}, {"up_block_types", len(c.UpBlocks)}, {"layers_per_block", len(c.Layers)},
		{"transformer_layers_per_block", len(c.TransformerLayers)}, {"cross_attention_dim", len(c.CrossDim)},
		{"attention_head_dim", len(c.NumHeads)}, {"only_cross_attention", len(c.OnlyCross)},
	} {
		if list.length != n || n == 0 {
			return fmt.Errorf("%s has %d entries, block_out_channels %d", list.key, list.length, n)
		}
	}
	if _, err := nn.Activation(c.Activation); err != nil {
		return fmt.Errorf("act_fn: %w", err)
	}
	if err := supported("down_block_types", c.DownBlocks, plainDown, crossDown); err != nil {
		return err
	}
	return supported("up_block_types", c.UpBlocks, plainUp, crossUp)
}

func supported(key string, blocks []string, known ...string) error {
	for _, block := range blocks {
		if !slices.Contains(known, block) {
			return fmt.Errorf("%s has %q: supported are %s", key, block, strings.Join(known, ", "))
		}
	}
	return nil
}

// ReadVAEConfig reads vae/config.json as ReadUNetConfig reads its file.
func ReadVAEConfig(files checkpoint.Files) (VAEConfig, error) {
	c := VAEConfig{InChannels: 3, OutChannels: 3, LatentChannels: 4, Channels: []int{64}, Layers: 1, NormGroups: 32,
		Activation: "silu", ScalingFactor: 0.18215, QuantConv: true, PostQuantConv: true, MidAttention: true}
	const name = "vae/config.json"
	if err := readStrict(files, name, &c, vaeFixed); err != nil {
		return c, err
	}
	if len(c.Channels) == 0 || c.ScalingFactor == 0 {
		return c, fmt.Errorf("%s: block_out_channels is %v and scaling_factor %v", name, c.Channels, c.ScalingFactor)
	}
	if _, err := nn.Activation(c.Activation); err != nil {
		return c, fmt.Errorf("%s: act_fn: %w", name, err)
	}
	return c, nil
}

// fixed lists keys whose one supported value is built into the model.
type fixed map[string]any

var unetFixed = fixed{
	"addition_embed_type":                   nil,
	"addition_time_embed_dim":               nil,
	"attention_type":                        "default",
	"center_input_sample":                   false,
	"class_embed_type":                      nil,
	"class_embeddings_concat":               false,
	"cross_attention_norm":                  nil,
	"dual_cross_attention":                  false,
	"encoder_hid_dim":                       nil,
	"encoder_hid_dim_type":                  nil,
	"mid_block_scale_factor":                1.0,
	"mid_block_type":                        crossMid,
	"num_class_embeds":                      nil,
	"projection_class_embeddings_input_dim": nil,
	"resnet_out_scale_factor":               1.0,
	"resnet_skip_time_act":                  false,
	"resnet_time_scale_shift":               "default",
	"reverse_transformer_layers_per_block":  nil,
	"time_embedding_act_fn":                 nil,
	"time_embedding_type":                   "positional",
	"timestep_post_act":                     nil,
	"addition_embed_type_num_heads":         anything, // of an embedding that is not there
	"dropout":                               anything, // there is none outside training
	"mid_block_only_cross_attention":        anything, // this mid block has no such thing
	"upcast_attention":                      anything, // scores are float32 anyway
}

var vaeFixed = fixed{
	"down_block_types": every("DownEncoderBlock2D"),
	"up_block_types":   every("UpDecoderBlock2D"),
	"latents_mean":     nil,
	"latents_std":      nil,
	"force_upcast":     anything, // it is float32 anyway
	"sample_size":      anything, // the U-Net's decides
}

// every is a list of any length with that one value.
type every string

// anything is supported because it does not matter.
var anything = struct{}{}

// readStrict decodes a config into the struct that into points to. A key that neither the struct nor fixed knows
// may be null or false; keys that begin with _ are notes.
func readStrict(files checkpoint.Files, name string, into any, fixed fixed) error {
	if err := checkpoint.ReadJSON(files, name, into); err != nil {
		return err
	}
	var keys map[string]any
	if err := checkpoint.ReadJSON(files, name, &keys); err != nil {
		return err
	}
	for i := range reflect.TypeOf(into).Elem().NumField() {
		delete(keys, reflect.TypeOf(into).Elem().Field(i).Tag.Get("json"))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := keys[key]
		if strings.HasPrefix(key, "_") || fixed.allows(key, value) {
			continue
		}
		text, _ := json.Marshal(value)
		return fmt.Errorf("%s: %s %s is not supported", name, key, text)
	}
	return nil
}

func (f fixed) allows(key string, value any) bool {
	want, known := f[key]
	if !known {
		return value == nil || value == false
	}
	if one, isList := want.(every); isList {
		list, ok := value.([]any)
		return ok && !slices.ContainsFunc(list, func(v any) bool { return v != string(one) })
	}
	return want == anything || reflect.DeepEqual(want, value)
}
