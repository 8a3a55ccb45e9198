package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// NeededCLIP lists the files of a CLIP folder that are read: configs, tokenizer, weights. A folder that is no
// CLIP checkpoint is an error that says what it is instead.
func NeededCLIP(files Files) ([]string, error) {
	if has(files, "model_index.json") {
		return nil, errors.New("this is a diffusers pipeline (it has model_index.json), not a CLIP checkpoint: " +
			"give it to a generate stage, or name a folder with a CLIPModel's config.json here")
	}
	if !has(files, "config.json") {
		return nil, errors.New("this is no CLIP checkpoint: it has no config.json")
	}
	if err := checkModelType(files); err != nil {
		return nil, err
	}
	weights, err := weightFiles(files, "")
	if err != nil {
		return nil, err
	}
	needed := append([]string{"config.json"}, present(files, "preprocessor_config.json")...)
	needed = append(append(needed, tokenizerFiles(files, "")...), weights...)
	slices.Sort(needed)
	return needed, nil
}

// NeededDiffusion lists the files of a Stable Diffusion folder that are read: model_index.json, the scheduler's
// and the models' configs, tokenizer, and the weights of unet, vae and text_encoder.
func NeededDiffusion(files Files) ([]string, error) {
	if !has(files, "model_index.json") {
		if has(files, "config.json") {
			return nil, errors.New("this is a single model (it has config.json and no model_index.json), not a diffusers pipeline: " +
				"name the folder that has unet, vae and text_encoder below it")
		}
		return nil, errors.New("this is no diffusers pipeline: it has no model_index.json")
	}
	needed := []string{"model_index.json", "scheduler/scheduler_config.json"}
	for _, component := range []string{"text_encoder", "unet", "vae"} {
		weights, err := weightFiles(files, component)
		if err != nil {
			return nil, err
		}
		needed = append(append(needed, component+"/config.json"), weights...)
	}
	for _, name := range needed {
		if !has(files, name) {
			return nil, fmt.Errorf("the diffusers pipeline has no %s", name)
		}
	}
	needed = append(needed, tokenizerFiles(files, "tokenizer")...)
	slices.Sort(needed)
	return needed, nil
}

// checkModelType refuses a config.json that names another model. Old CLIP configs name none.
func checkModelType(files Files) error {
	var config struct {
		Type  string `json:"model_type"`
		Class string `json:"_class_name"`
	}
	if err := ReadJSON(files, "config.json", &config); err != nil {
		return err
	}
	if config.Class != "" {
		return fmt.Errorf("this is a diffusers %s, not a CLIP checkpoint", config.Class)
	}
	if config.Type != "" && config.Type != "clip" {
		return fmt.Errorf("this is a %s model, not a CLIP checkpoint: its config.json has model_type %q, expected %q",
			config.Type, config.Type, "clip")
	}
	return nil
}

// tokenizerFiles are what package tokenizer reads: tokenizer.json, which newer checkpoints have alone, only where
// there is no vocab.json.
func tokenizerFiles(files Files, folder string) []string {
	names := []string{"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"}
	if !has(files, path.Join(folder, "vocab.json")) {
		names = append(names, "tokenizer.json")
	}
	for i, name := range names {
		names[i] = path.Join(folder, name)
	}
	return present(files, names...)
}

func present(files Files, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !has(files, name) })
}

// An index is the content of *.index.json: which shard holds which tensor.
type index struct {
	WeightMap map[string]string `json:"weight_map"`
}

// weightNames are the files that a component's weights may lie in, the first that is there is read. As
// from_pretrained does, safetensors goes before .bin, and the full variant before fp16.
var weightNames = []string{
	"model.safetensors", "diffusion_pytorch_model.safetensors",
	"model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json",
	"pytorch_model.bin", "diffusion_pytorch_model.bin",
	"pytorch_model.bin.index.json", "diffusion_pytorch_model.bin.index.json",
	"model.fp16.safetensors", "diffusion_pytorch_model.fp16.safetensors",
	"model.safetensors.index.fp16.json", "diffusion_pytorch_model.safetensors.index.fp16.json",
	"pytorch_model.fp16.bin", "diffusion_pytorch_model.fp16.bin",
	"pytorch_model.bin.index.fp16.json", "diffusion_pytorch_model.bin.index.fp16.json",
}

// weightFiles lists the files of a component's weights: one file, or an index and its shards.
func weightFiles(files Files, folder string) ([]string, error) {
	for _, name := range weightNames {
		name = path.Join(folder, name)
		if !has(files, name) {
			continue
		}
		if !strings.HasSuffix(name, ".json") {
			return []string{name}, nil
		}
		shards, err := shardFiles(files, folder, name)
		return append([]string{name}, shards...), err
	}
	return nil, fmt.Errorf("%s has no weights: looked for %s, their shards, .bin and fp16 variants",
		component(folder), strings.Join(weightNames[:2], ", "))
}

func shardFiles(files Files, folder, name string) ([]string, error) {
	var in index
	if err := ReadJSON(files, name, &in); err != nil {
		return nil, err
	}
	if len(in.WeightMap) == 0 {
		return nil, fmt.Errorf("%s lists no tensors in its weight_map", name)
	}
	shards := map[string]bool{}
	for _, shard := range in.WeightMap {
		shards[path.Join(folder, shard)] = true
	}
	for _, shard := range slices.Sorted(maps.Keys(shards)) {
		if !has(files, shard) {
			return nil, fmt.Errorf("%s lists shard %s: %w", name, shard, fs.ErrNotExist)
		}
	}
	return slices.Sorted(maps.Keys(shards)), nil
}

func component(folder string) string {
	if folder == "" {
		return "the checkpoint"
	}
	return folder
}
