package sd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/models/checkpoint"
	"regft/models/internal/golden"
	"regft/models/safetensors"
	"regft/models/sd"
)

// edited are the files of a golden with other values in one config; nil takes a key out.
func edited(t *testing.T, name, config string, change map[string]any) checkpoint.Files {
	t.Helper()
	files := overlay{open(t, golden.Dir(t, name)), map[string]string{}}
	keys := map[string]any{}
	if err := checkpoint.ReadJSON(files, config, &keys); err != nil {
		t.Fatal(err)
	}
	maps.Copy(keys, change)
	for key, value := range change {
		if value == nil {
			delete(keys, key)
		}
	}
	text, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	files.other[config] = filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(files.other[config], text, 0o600); err != nil {
		t.Fatal(err)
	}
	return files
}

// overlay has some files elsewhere.
type overlay struct {
	checkpoint.Files
	other map[string]string
}

func (o overlay) Path(name string) (string, error) {
	if path, ok := o.other[name]; ok {
		return path, nil
	}
	return o.Files.Path(name)
}

func TestUnsupportedConfigs(t *testing.T) {
	for want, change := range map[string]map[string]any{
		`unet/config.json: class_embed_type "timestep" is not supported`: {"class_embed_type": "timestep"},
		`unet/config.json: mid_block_type "UNetMidBlock2D"`:              {"mid_block_type": "UNetMidBlock2D"},
		`resnet_time_scale_shift "scale_shift"`:                          {"resnet_time_scale_shift": "scale_shift"},
		`encoder_hid_dim 4096 is not`:                                    {"encoder_hid_dim": 4096},
		`center_input_sample true`:                                       {"center_input_sample": true},
		`a_later_invention [1]`:                                          {"a_later_invention": []int{1}},
		`down_block_types has "AttnDownBlock2D": supported are`:          {"down_block_types": []string{"AttnDownBlock2D", "DownBlock2D", "DownBlock2D"}},
		`up_block_types has 1 entries, block_out_channels 3`:             {"up_block_types": []string{"UpBlock2D"}},
		`layers_per_block has 2 entries`:                                 {"layers_per_block": []int{1, 2}},
		`act_fn: activation "mish"`:                                      {"act_fn": "mish"},
		`layers_per_block`:                                               {"layers_per_block": "two"},
	} {
		if _, err := sd.ReadUNetConfig(edited(t, "sd15-tiny", "unet/config.json", change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	for want, change := range map[string]map[string]any{
		`vae/config.json: latents_mean [0,0,0,0] is not`:           {"latents_mean": []int{0, 0, 0, 0}},
		`up_block_types ["UpDecoderBlock2D","AttnUpDecoderBlock2D`: {"up_block_types": []string{"UpDecoderBlock2D", "AttnUpDecoderBlock2D"}},
		`scaling_factor 0`:          {"scaling_factor": 0},
		`act_fn: activation "mish"`: {"act_fn": "mish"},
	} {
		if _, err := sd.ReadVAEConfig(edited(t, "sd15-tiny", "vae/config.json", change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// TestOldConfigs: those of 2022 lack what was invented since.
func TestOldConfigs(t *testing.T) {
	old := map[string]any{}
	for _, key := range []string{"num_attention_heads", "transformer_layers_per_block", "use_linear_projection", "only_cross_attention",
		"conv_in_kernel", "conv_out_kernel", "time_embedding_dim", "mid_block_type", "resnet_time_scale_shift", "upcast_attention", "dropout"} {
		old[key] = nil
	}
	was, err := sd.ReadUNetConfig(open(t, golden.Dir(t, "sd15-tiny")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := sd.ReadUNetConfig(edited(t, "sd15-tiny", "unet/config.json", old))
	if err != nil {
		t.Fatal(err)
	}
	if g, w := mustJSON(t, got), mustJSON(t, was); g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOpenRefuses configs whose models do not fit one another or their weights.
func TestOpenRefuses(t *testing.T) {
	for want, change := range map[string][2]any{
		"cross_attention_dim of block 0 is 16, the text encoder's hidden_size 24":  {"unet/config.json", map[string]any{"cross_attention_dim": 16}},
		"in_channels 9 and out_channels 4 are not the latent_channels":             {"unet/config.json", map[string]any{"in_channels": 9}},
		"out_channels is 4, pictures have 3":                                       {"vae/config.json", map[string]any{"out_channels": 4}},
		"does not fit its config; ":                                                {"unet/config.json", map[string]any{"layers_per_block": 2}},
		"16 channels do not make 5 groups":                                         {"unet/config.json", map[string]any{"norm_num_groups": 5}},
		"hidden_size, 24, is not a multiple of num_attention_heads, 5":             {"text_encoder/config.json", map[string]any{"num_attention_heads": 5}},
		"unet/config.json: building trace: attention of 16 channels with 25 heads": {"unet/config.json", map[string]any{"attention_head_dim": 25}},
	} {
		_, err := sd.Open(backend(t), edited(t, "sd15-tiny", change[0].(string), change[1].(map[string]any)), sameTokens{}, sd.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// TestOpenListsWrongTensors: all at once, those of the VAE's encoder too.
func TestOpenListsWrongTensors(t *testing.T) {
	dir := golden.Dir(t, "sd15-tiny")
	const name = "vae/diffusion_pytorch_model.safetensors"
	file, err := safetensors.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	kept := map[string]safetensors.Tensor{}
	for _, tensor := range file.Names() {
		kept[tensor], _ = file.Lookup(tensor)
	}
	kept["encoder.extra"] = kept["decoder.conv_in.bias"]
	kept["decoder.conv_out.bias"] = kept["decoder.conv_in.bias"]
	delete(kept, "encoder.conv_in.weight")
	delete(kept, "decoder.conv_in.weight")
	at := filepath.Join(t.TempDir(), "vae.safetensors")
	var written bytes.Buffer
	if err := safetensors.WriteTensors(&written, kept); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, written.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = sd.Open(backend(t), overlay{open(t, dir), map[string]string{name: at}}, sameTokens{}, sd.Options{})
	var mismatch *checkpoint.MismatchError
	if !errors.As(err, &mismatch) {
		t.Fatalf("got %v, want a mismatch", err)
	}
	if want := []string{"decoder.conv_in.weight", "encoder.conv_in.weight"}; !slices.Equal(mismatch.Missing, want) {
		t.Errorf("missing are %v, want %v", mismatch.Missing, want)
	}
	if want := []string{"encoder.extra"}; !slices.Equal(mismatch.Extra, want) {
		t.Errorf("extra are %v, want %v", mismatch.Extra, want)
	}
	if len(mismatch.Misshapen) != 1 || !strings.HasPrefix(mismatch.Misshapen[0], "decoder.conv_out.bias is [16]") {
		t.Errorf("misshapen are %v", mismatch.Misshapen)
	}
}
