// Package clip is CLIP (Radford et al., arXiv 2103.00020) in the layout of transformers' CLIPModel: two
// Transformers that embed pictures and texts into one space, and a linear classifier on the pictures' side.
package clip

import (
	"encoding/json"
	"errors"
	"fmt"

	"regft/models/checkpoint"
	"regft/models/nn"
)

// A Tower is what the text and the image Transformer have in common.
type Tower struct {
	Width        int     `json:"hidden_size"`
	Intermediate int     `json:"intermediate_size"` // width inside the MLP
	Layers       int     `json:"num_hidden_layers"`
	Heads        int     `json:"num_attention_heads"`
	Activation   string  `json:"hidden_act"`
	NormEps      float64 `json:"layer_norm_eps"`
}

// A TextConfig is the text_config of config.json, or the whole config.json of a CLIPTextModel.
type TextConfig struct {
	Tower
	Vocabulary int `json:"vocab_size"`
	Positions  int `json:"max_position_embeddings"`
	EOS        int `json:"eos_token_id"`
}

// A VisionConfig is the vision_config of config.json.
type VisionConfig struct {
	Tower
	Channels int `json:"num_channels"`
	Image    int `json:"image_size"` // pixels a side
	Patch    int `json:"patch_size"` // pixels a side
}

// A Config is config.json of a CLIPModel.
type Config struct {
	Text       TextConfig
	Vision     VisionConfig
	Projection int // width of the shared space
}

// DefaultTextConfig is what transformers' CLIPTextConfig fills in for keys that a config leaves out.
func DefaultTextConfig() TextConfig {
	return TextConfig{
		Tower:      Tower{Width: 512, Intermediate: 2048, Layers: 12, Heads: 8, Activation: "quick_gelu", NormEps: 1e-5},
		Vocabulary: 49408, Positions: 77, EOS: 49407,
	}
}

// DefaultVisionConfig is what transformers' CLIPVisionConfig fills in for keys that a config leaves out.
func DefaultVisionConfig() VisionConfig {
	return VisionConfig{
		Tower:    Tower{Width: 768, Intermediate: 3072, Layers: 12, Heads: 12, Activation: "quick_gelu", NormEps: 1e-5},
		Channels: 3, Image: 224, Patch: 32,
	}
}

// UnmarshalJSON reads a CLIPConfig as transformers does: defaults for what is left out, and the older keys
// text_config_dict and vision_config_dict, where they are given, instead of text_config and vision_config.
func (c *Config) UnmarshalJSON(data []byte) error {
	raw := struct {
		Text       json.RawMessage `json:"text_config"`
		Vision     json.RawMessage `json:"vision_config"`
		TextDict   json.RawMessage `json:"text_config_dict"`
		VisionDict json.RawMessage `json:"vision_config_dict"`
		Projection *int            `json:"projection_dim"`
	}{}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*c = Config{Text: DefaultTextConfig(), Vision: DefaultVisionConfig(), Projection: 512}
	if raw.Projection != nil {
		c.Projection = *raw.Projection
	}
	return errors.Join(
		decodeTower("text_config", &c.Text, raw.TextDict, raw.Text),
		decodeTower("vision_config", &c.Vision, raw.VisionDict, raw.Vision))
}

// decodeTower decodes the first of the sources that is given.
func decodeTower(name string, into any, sources ...json.RawMessage) error {
	for _, source := range sources {
		if len(source) == 0 || string(source) == "null" || string(source) == "{}" {
			continue
		}
		if err := json.Unmarshal(source, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	return nil
}

// ReadConfig reads and checks config.json of a CLIP folder.
func ReadConfig(files checkpoint.Files) (Config, error) {
	var c Config
	if err := checkpoint.ReadJSON(files, "config.json", &c); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("config.json: %w", err)
	}
	return c, nil
}

// ReadTextConfig reads and checks the config.json of a CLIPTextModel, such as a diffusion pipeline has.
func ReadTextConfig(files checkpoint.Files, name string) (TextConfig, error) {
	c := DefaultTextConfig()
	if err := checkpoint.ReadJSON(files, name, &c); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Validate reports every value that no model can have.
func (c Config) Validate() error {
	errs := []error{c.Text.Validate(), c.Vision.Validate()}
	if c.Projection < 1 {
		errs = append(errs, fmt.Errorf("projection_dim is %d, expected at least 1", c.Projection))
	}
	return errors.Join(errs...)
}

// Validate reports every value that no text tower can have.
func (c TextConfig) Validate() error {
	return errors.Join(c.Tower.validate("text_config"),
		positive("text_config.vocab_size", c.Vocabulary), positive("text_config.max_position_embeddings", c.Positions))
}

// Validate reports every value that no image tower can have.
func (c VisionConfig) Validate() error {
	errs := []error{c.Tower.validate("vision_config"), positive("vision_config.num_channels", c.Channels),
		positive("vision_config.patch_size", c.Patch)}
	if c.Image < c.Patch {
		errs = append(errs, fmt.Errorf("vision_config.image_size is %d, expected at least patch_size, %d", c.Image, c.Patch))
	}
	return errors.Join(errs...)
}

func (t Tower) validate(name string) error {
	errs := []error{positive(name+".hidden_size", t.Width), positive(name+".intermediate_size", t.Intermediate),
		positive(name+".num_attention_heads", t.Heads)}
	if t.Layers < 0 {
		errs = append(errs, fmt.Errorf("%s.num_hidden_layers is %d", name, t.Layers))
	}
	if t.Heads > 0 && t.Width%t.Heads != 0 {
		errs = append(errs, fmt.Errorf("%s.hidden_size, %d, is not a multiple of num_attention_heads, %d", name, t.Width, t.Heads))
	}
	if _, err := nn.Activation(t.Activation); err != nil {
		errs = append(errs, fmt.Errorf("%s.hidden_act: %w", name, err))
	}
	if t.NormEps <= 0 {
		errs = append(errs, fmt.Errorf("%s.layer_norm_eps is %g, expected more than 0", name, t.NormEps))
	}
	return errors.Join(errs...)
}

func positive(name string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s is %d, expected at least 1", name, n)
	}
	return nil
}
