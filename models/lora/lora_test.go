package lora_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/models/checkpoint"
	"regft/models/lora"
	"regft/models/nn"
	"regft/models/safetensors"

	"github.com/google/go-cmp/cmp"
)

// file writes a LoRA file of tensors and returns its path.
func file(t *testing.T, name string, tensors map[string]safetensors.Tensor, metadata map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.WriteTensors(&b, tensors); err != nil {
		t.Fatal(err)
	}
	header := b.Bytes()[8 : 8+binary.LittleEndian.Uint64(b.Bytes())]
	notes, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(header, []byte(`{"format":"pt"}`), notes, 1)
	content := slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(changed))), changed, b.Bytes()[8+len(header):])
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func matrix(rows, columns int, values ...float32) safetensors.Tensor {
	return safetensors.FromFloat32s(values, rows, columns)
}

// weights are a U-Net's with two modules, and a text encoder's with one.
var components = map[string]nn.Shapes{
	"text_encoder": {"text_model.layers.0.self_attn.q_proj.weight": {2, 2}, "text_model.norm.weight": {2}},
	"unet":         {"mid.attn1.to_q.weight": {2, 3}, "mid.attn1.to_out.0.weight": {2, 2}, "mid.attn1.to_out.0.bias": {2}},
}

// added returns what an adapter makes of zeros, by component and weight.
func added(t *testing.T, path string, scale float64) (map[string][]float32, error) {
	t.Helper()
	folder, names, err := lora.Files(path)
	if err != nil {
		return nil, err
	}
	files, err := checkpoint.DirFiles(folder)
	if err != nil {
		return nil, err
	}
	adapter, err := lora.Read(files, names[0])
	if err != nil {
		return nil, err
	}
	merger, sums := lora.NewMerger([]lora.Scaled{{Adapter: adapter, Scale: scale}}), map[string][]float32{}
	for component, weights := range components {
		change, err := merger.For(component, weights)
		if err != nil {
			return nil, err
		}
		for name, shape := range weights {
			if len(shape) != 2 {
				continue
			}
			values := make([]float32, shape[0]*shape[1])
			change(name, values)
			for _, x := range values {
				if x != 0 {
					sums[component+" "+name] = values
				}
			}
		}
	}
	return sums, merger.Unused()
}

var (
	down = matrix(1, 3, 1, 2, 3)
	up   = matrix(2, 1, 10, 20)
)

func TestStyles(t *testing.T) {
	two := safetensors.FromFloat32s([]float32{2})
	const toQ = "unet mid.attn1.to_q.weight"
	for style, c := range map[string]struct {
		tensors  map[string]safetensors.Tensor
		metadata map[string]string
		want     map[string][]float32
	}{
		"kohya": {map[string]safetensors.Tensor{"lora_unet_mid_attn1_to_q.lora_down.weight": down, "lora_unet_mid_attn1_to_q.lora_up.weight": up, "lora_unet_mid_attn1_to_q.alpha": two},
			nil, map[string][]float32{toQ: {10, 20, 30, 20, 40, 60}}},
		"peft": {map[string]safetensors.Tensor{"base_model.model.mid.attn1.to_q.lora_A.default.weight": down, "base_model.model.mid.attn1.to_q.lora_B.default.weight": up},
			nil, map[string][]float32{toQ: {5, 10, 15, 10, 20, 30}}},
		"diffusers": {map[string]safetensors.Tensor{"unet.mid.attn1.to_q.lora_A.weight": down, "unet.mid.attn1.to_q.lora_B.weight": up},
			map[string]string{"lora_adapter_metadata": `{"unet.r": 1, "unet.lora_alpha": 4, "unet.target_modules": ["to_q"], "text_encoder.lora_alpha": 9}`},
			map[string][]float32{toQ: {20, 40, 60, 40, 80, 120}}},
		"diffusers 2023": {map[string]safetensors.Tensor{"mid.attn1.processor.to_q_lora.down.weight": down, "mid.attn1.processor.to_q_lora.up.weight": up,
			"mid.attn1.processor.to_out_lora.down.weight": matrix(1, 2, 1, 0), "mid.attn1.processor.to_out_lora.up.weight": matrix(2, 1, 2, 0),
			"text_encoder.text_model.layers.0.self_attn.to_q_lora.down.weight": matrix(1, 2, 0, 1), "text_encoder.text_model.layers.0.self_attn.to_q_lora.up.weight": matrix(2, 1, 0, 4)},
			nil, map[string][]float32{toQ: {5, 10, 15, 10, 20, 30}, "unet mid.attn1.to_out.0.weight": {1, 0, 0, 0}, "text_encoder text_model.layers.0.self_attn.q_proj.weight": {0, 0, 0, 2}}},
	} {
		got, err := added(t, file(t, "x.safetensors", c.tensors, c.metadata), 0.5)
		if err != nil {
			t.Errorf("%s: %v", style, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", style, diff)
		}
	}
}

// TestFolder: a folder that peft saved, with alpha in adapter_config.json.
// TestLDM: the modules of a U-Net in the names of the original code are those that diffusers' converter makes of them.
func TestLDM(t *testing.T) {
	content, err := os.ReadFile("testdata/ldm.json")
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]string
	if err := json.Unmarshal(content, &names); err != nil || len(names) < 200 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	shapes := nn.Shapes{}
	for _, name := range names {
		shapes[name+".weight"] = []int{1, 1}
	}
	for _, style := range []struct {
		prefix string
		dots   bool
	}{{"lora_unet_", false}, {"model.diffusion_model.", true}} {
		for original, want := range names {
			if !style.dots {
				original = strings.ReplaceAll(original, ".", "_")
			}
			path := file(t, "x.safetensors", map[string]safetensors.Tensor{style.prefix + original + ".lora_down.weight": matrix(1, 1, 1), style.prefix + original + ".lora_up.weight": matrix(1, 1, 1)}, nil)
			files, err := checkpoint.DirFiles(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			adapter, err := lora.Read(files, "x.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			change, err := lora.NewMerger([]lora.Scaled{{Adapter: adapter, Scale: 1}}).For("unet", shapes)
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for name := range shapes {
				value := []float32{0}
				if change(name, value); value[0] != 0 {
					found = append(found, name)
				}
			}
			if len(found) != 1 || found[0] != want+".weight" {
				t.Errorf("%s%s changes %v, want %s", style.prefix, original, found, want)
			}
		}
	}
}

func TestFolder(t *testing.T) {
	path := file(t, "adapter_model.safetensors", map[string]safetensors.Tensor{
		"base_model.model.mid.attn1.to_q.lora_A.weight": matrix(4, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0), "base_model.model.mid.attn1.to_q.lora_B.weight": matrix(2, 4, 10, 0, 0, 0, 20, 0, 0, 0)}, nil)
	for config, want := range map[string]float32{
		`{"lora_alpha": 8}`: 20, `{"lora_alpha": 8, "use_rslora": true}`: 40, `{"lora_alpha": 8, "alpha_pattern": {"attn1.to_q": 2}}`: 5, `{"lora_alpha": 8, "alpha_pattern": {"to_k": 2}}`: 20,
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "adapter_config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := added(t, filepath.Dir(path), 1)
		if err != nil || got["unet mid.attn1.to_q.weight"][0] != want {
			t.Errorf("%s: got %v, %v, want %v", config, got, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	const q = "unet.mid.attn1.to_q"
	for want, tensors := range map[string]map[string]safetensors.Tensor{
		"ranks 1 (down, [1 3]) and 2 (up, [2 2])":                                    {q + ".lora_A.weight": down, q + ".lora_B.weight": matrix(2, 2, 1, 2, 3, 4)},
		q + ": one of its two matrices":                                              {q + ".lora_A.weight": down},
		"1 tensors are no part of a LoRA":                                            {q + ".lora_A.weight": down, q + ".lora_B.weight": up, q + ".weight": down},
		"x.hada_w1_a; LoHa is not supported":                                         {"x.hada_w1_a": down},
		"DoRA is not supported":                                                      {q + ".lora_A.weight": down, q + ".lora_B.weight": up, q + ".dora_scale": up},
		"it holds no tensors":                                                        {},
		"down [1 2] and up [2 1] make no [2 3]: it was trained on another model":     {q + ".lora_A.weight": matrix(1, 2, 1, 2), q + ".lora_B.weight": up},
		"1 of 2 modules are in neither U-Net nor text encoder of the checkpoint: un": {q + ".lora_A.weight": down, q + ".lora_B.weight": up, "unet.other.lora_A.weight": down, "unet.other.lora_B.weight": up},
	} {
		path := file(t, "x.safetensors", tensors, nil)
		if _, err := added(t, path, 1); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %q and the file's name", err, want)
		}
	}
	if _, _, err := lora.Files(t.TempDir()); err == nil || !strings.Contains(err.Error(), "adapter_model.safetensors") {
		t.Errorf("an empty folder: %v", err)
	}
}
