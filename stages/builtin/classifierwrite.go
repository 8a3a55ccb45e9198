package builtin

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"regft/datasets"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/nn"
	"regft/models/safetensors"
	"regft/stages"
)

// writeOwn writes what a classifier has of its own, the image tower's shard and the head, into folder dir.
func writeOwn(dir string, tower map[string]safetensors.Source, parameters nn.Arrays) error {
	if err := writeTensors(filepath.Join(dir, imageShard), tower); err != nil {
		return err
	}
	return writeHead(dir, parameters)
}

func writeHead(dir string, parameters nn.Arrays) error {
	return writeTensors(filepath.Join(dir, clip.HeadFile), map[string]safetensors.Source{
		"weight": source(parameters[clip.HeadWeight]), "bias": source(parameters[clip.HeadBias]),
	})
}

func writeTensors(path string, tensors map[string]safetensors.Source) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer f.Close()
	if err := safetensors.Write(f, tensors); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func source(a nn.Array) safetensors.Source {
	return safetensors.FromFloat32s(a.Values, a.Shape...).Source()
}

// imageTower are the tensors of the image tower among parameters.
func imageTower(parameters nn.Arrays) map[string]safetensors.Source {
	tower := map[string]safetensors.Source{}
	for name, a := range parameters {
		if clip.IsImageTower(name) {
			tower[name] = source(a)
		}
	}
	return tower
}

// keepShared hands on the files of a that a classifier derived from it does not change, but for those named.
func keepShared(env *stages.Env, a stages.Artifact, but ...string) {
	for _, f := range a.Manifest.Files {
		if !slices.Contains(slices.Concat(ownFiles, but, []string{recipeFile}), f.Name) && !strings.Contains(f.Name, "/") {
			env.Host.Output("", f)
		}
	}
}

// writeClassifier splits an open CLIP checkpoint whose files are those into the two shards of a classifier's folder
// dir, and adds head and classes. The folder outlives the one that it came from.
func writeClassifier(dir string, files checkpoint.Files, c *clip.Checkpoint, head nn.Arrays, classes []datasets.Class) error {
	text, tower := map[string]safetensors.Source{}, map[string]safetensors.Source{}
	size := 0
	for _, name := range c.Weights.Names() {
		t, _ := c.Weights.Lookup(name)
		size += len(t.Data)
		if clip.IsImageTower(name) {
			tower[name] = t.Source()
		} else {
			text[name] = t.Source()
		}
	}
	if err := writeTensors(filepath.Join(dir, textShard), text); err != nil {
		return err
	}
	if err := writeOwn(dir, tower, head); err != nil {
		return err
	}
	if err := writeIndex(filepath.Join(dir, shardIndex), sortedKeys(text), sortedKeys(tower), size); err != nil {
		return err
	}
	if err := copyConfigs(dir, files); err != nil {
		return err
	}
	lines, err := classLines(classes)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, datasets.ClassesFile), lines, 0o666)
}

// writeIndex says which shard holds which tensor, in transformers' form.
func writeIndex(path string, text, image []string, bytesTotal int) error {
	where := map[string]string{}
	for _, name := range text {
		where[name] = textShard
	}
	for _, name := range image {
		where[name] = imageShard
	}
	return writeJSON(path, map[string]any{"metadata": map[string]any{"total_size": bytesTotal}, "weight_map": where})
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o666)
}

// copyConfigs copies configs and tokenizer of a CLIP folder.
func copyConfigs(dir string, files checkpoint.Files) error {
	names, err := checkpoint.NeededCLIP(files)
	if err != nil {
		return err
	}
	for _, name := range names {
		if isWeights(name) {
			continue
		}
		path, err := files.Path(name)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if name == configFile {
			content = inFloat32(content)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

func isWeights(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".bin") || strings.Contains(name, ".index.")
}

// dtypeKeys matches what config.json says of the type of the weights, in the names of transformers 4 and 5.
var dtypeKeys = regexp.MustCompile(`("(?:torch_)?dtype"\s*:\s*)"(?:float16|bfloat16|float64)"`)

// inFloat32 makes a config say float32: what is trained or merged is, and transformers would cut it to the
// checkpoint's float16.
func inFloat32(config []byte) []byte { return dtypeKeys.ReplaceAll(config, []byte(`$1"float32"`)) }
