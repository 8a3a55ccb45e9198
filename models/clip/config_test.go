package clip_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/internal/golden"
)

func TestConfigDefaults(t *testing.T) {
	base := clip.Config{Text: clip.DefaultTextConfig(), Vision: clip.DefaultVisionConfig(), Projection: 512}
	large, gelu := base, base
	large.Projection, large.Vision.Width, large.Vision.Patch, large.Text.EOS = 768, 1024, 14, 2
	gelu.Vision.Activation = "gelu"
	for text, want := range map[string]clip.Config{
		`{}`: base,
		`{"text_config": null, "vision_config": {"hidden_act": "gelu"}}`:                                                        gelu,
		`{"projection_dim": 768, "text_config": {"eos_token_id": 2}, "vision_config": {"hidden_size": 1024, "patch_size": 14}}`: large,
		// The older keys, as openai/clip-vit-large-patch14 has them beside the newer ones.
		`{"projection_dim": 768, "text_config": {"eos_token_id": 7}, "text_config_dict": {"eos_token_id": 2},
		  "vision_config": {"hidden_size": 3}, "vision_config_dict": {"hidden_size": 1024, "patch_size": 14}}`: large,
	} {
		var got clip.Config
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestConfigMistakes(t *testing.T) {
	text := `{"projection_dim": 0, "text_config": {"num_attention_heads": 7, "vocab_size": 0},
		"vision_config": {"hidden_act": "mish", "patch_size": 300, "layer_norm_eps": 0, "num_hidden_layers": -1}}`
	var c clip.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	err := c.Validate()
	for _, want := range []string{"projection_dim is 0", "hidden_size, 512, is not a multiple", "vocab_size is 0", `"mish"`,
		"image_size is 224", "layer_norm_eps is 0", "num_hidden_layers is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if err := json.Unmarshal([]byte(`{"text_config": {"hidden_size": "wide"}}`), &c); err == nil || !strings.Contains(err.Error(), "text_config") {
		t.Errorf("got %v, want an error that names text_config", err)
	}
}

// folder copies a golden checkpoint with other contents of some files; "" removes one.
func folder(t *testing.T, change map[string]string) *checkpoint.Dir {
	t.Helper()
	from, to := golden.Dir(t, "clip-tiny-gelu"), t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "preprocessor_config.json"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if text, changed := change[name]; changed {
			data = []byte(text)
		}
		if len(data) > 0 {
			err = errors.Join(err, os.WriteFile(filepath.Join(to, name), data, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if head, ok := change[clip.HeadFile]; ok {
		if err := os.WriteFile(filepath.Join(to, clip.HeadFile), []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := checkpoint.DirFiles(to)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOpenRefuses(t *testing.T) {
	config, err := os.ReadFile(filepath.Join(golden.Dir(t, "clip-tiny-gelu"), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	vision := string(config)[strings.Index(string(config), `"vision_config"`):]
	text := strings.TrimSuffix(string(config), vision)
	edit := func(from, to string) map[string]string {
		edited := strings.Replace(vision, from, to, 1)
		if edited == vision {
			t.Fatalf("config has no %s", from)
		}
		return map[string]string{"config.json": text + edited}
	}
	b := backend(t)
	for want, change := range map[string]map[string]string{
		"2 tensors of another shape: vision_model.embeddings.patch_embedding.weight is [32 3 7 7], the config makes it [32 3 14 14]": edit(`"patch_size": 7`, `"patch_size": 14`),
		"16 tensors missing: vision_model.encoder.layers.2":                                                                          edit(`"num_hidden_layers": 2`, `"num_hidden_layers": 3`),
		"16 tensors not of this model: vision_model.encoder.layers.1":                                                                edit(`"num_hidden_layers": 2`, `"num_hidden_layers": 1`),
		"not a multiple":    edit(`"num_attention_heads": 2`, `"num_attention_heads": 5`),
		"no config.json":    {"config.json": ""},
		"has no weights":    {"model.safetensors": ""},
		"model.safetensors": {"model.safetensors": "truncated"},
		"crops to 30":       {"preprocessor_config.json": `{"crop_size": 30, "size": 30}`},
	} {
		if _, err := clip.Open(b, folder(t, change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestReadPreprocessor(t *testing.T) {
	other := clip.DefaultPreprocessor(28)
	other.Resize, other.Resample, other.Mean, other.Std = 32, 2, [3]float32{0.5, 0.5, 0.5}, [3]float32{0.25, 0.25, 0.25}
	for text, want := range map[string]clip.Preprocessor{
		"":   clip.DefaultPreprocessor(28),
		"{}": clip.DefaultPreprocessor(28),
		`{"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}`:                                                                                              clip.DefaultPreprocessor(28),
		`{"size": 32, "crop_size": 28, "resample": 2, "rescale_factor": 0.00392156862745098, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}`: other,
	} {
		got, err := clip.ReadPreprocessor(folder(t, map[string]string{"preprocessor_config.json": text}), 28)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for text, want := range map[string]string{
		`{"image_mean": [0.5]}`:                 "need 3 values",
		`{"image_std": [0, 1, 1]}`:              "image_std",
		`{"size": 20}`:                          "resizes to 20",
		`{"size": {"height": 30, "width": 28}}`: "neither",
		`{"size": "large"}`:                     "preprocessor_config.json",
		`{"do_normalize": false}`:               "preprocessor_config.json: do_normalize is false",
		`{"do_center_crop": false}`:             "do_center_crop is false",
		`{"rescale_factor": 1}`:                 "only 1/255",
	} {
		_, err := clip.ReadPreprocessor(folder(t, map[string]string{"preprocessor_config.json": text}), 28)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
	}
}
