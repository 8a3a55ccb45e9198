package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"regft/models/checkpoint"
	"regft/models/safetensors"
)

// configFile is peft's, beside its weights.
const configFile = "adapter_config.json"

// Files lists the files that the adapter at path is made of, in one folder, the weights first: path itself or, of a folder,
// adapter_model.safetensors (peft's) or pytorch_lora_weights.safetensors (diffusers'); then peft's adapter_config.json.
func Files(path string) (folder string, names []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, err
	}
	if info.IsDir() {
		if path, err = weightsIn(path); err != nil {
			return "", nil, err
		}
	}
	folder, names = filepath.Dir(path), []string{filepath.Base(path)}
	if hasConfig(names[0]) && exists(filepath.Join(folder, configFile)) {
		names = append(names, configFile)
	}
	return folder, names, nil
}

// hasConfig tells peft's weights.
func hasConfig(name string) bool { return strings.HasPrefix(name, "adapter_model.") }

// weightNames are what the weights are called in a folder.
var weightNames = []string{"adapter_model.safetensors", "pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"}

// WeightsOf is the one of an adapter's files that holds the weights: one that is called so, else the only one that is not its settings.
func WeightsOf(names []string) (string, error) {
	for _, name := range weightNames {
		if slices.Contains(names, name) {
			return name, nil
		}
	}
	rest := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == configFile })
	if len(rest) != 1 {
		return "", fmt.Errorf("of the files %s none is called %s: which has the weights?", strings.Join(rest, ", "), strings.Join(weightNames, " or "))
	}
	return rest[0], nil
}

func weightsIn(folder string) (string, error) {
	for _, name := range weightNames {
		if path := filepath.Join(folder, name); exists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s holds no adapter_model.safetensors and no pytorch_lora_weights.safetensors: name the LoRA's file", folder)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// settings are peft's, by component; "" for all.
type settings map[string]setting

// A setting is what peft's LoraConfig says of scales.
type setting struct {
	Alpha    float64            `json:"lora_alpha"`
	Patterns map[string]float64 `json:"alpha_pattern"`
	Root     bool               `json:"use_rslora"` // alpha over the rank's square root (Kalajdzievski, arXiv 2312.03732)
	DoRA     bool               `json:"use_dora"`
}

// metadataKey is where diffusers keeps peft's settings in a file, as JSON with keys such as unet.lora_alpha.
const metadataKey = "lora_adapter_metadata"

// readSettings reads adapter_config.json or the metadata of the weights.
func readSettings(files checkpoint.Files, name string) (settings, error) {
	if hasConfig(name) && slices.Contains(files.Names(), configFile) {
		var all setting
		err := checkpoint.ReadJSON(files, configFile, &all)
		return settings{"": all}, err
	}
	if filepath.Ext(name) != ".safetensors" {
		return nil, nil
	}
	path, err := files.Path(name)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s, err := parseMetadata(file.Metadata()[metadataKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", metadataKey, err)
	}
	return s, nil
}

func parseMetadata(text string) (settings, error) {
	if text == "" {
		return nil, nil
	}
	var flat map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &flat); err != nil {
		return nil, err
	}
	grouped := map[string]map[string]json.RawMessage{}
	for key, value := range flat {
		component, name, _ := strings.Cut(key, ".")
		if grouped[component] == nil {
			grouped[component] = map[string]json.RawMessage{}
		}
		grouped[component][name] = value
	}
	s := settings{}
	for component, values := range grouped {
		object, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		var one setting
		if err := json.Unmarshal(object, &one); err != nil {
			return nil, err
		}
		s[component] = one
	}
	return s, nil
}

// alpha is that of a module of a rank, and whether it is over the rank's root. Without settings it is the rank.
func (s settings) alpha(m *module, rank float64) (alpha float64, root bool, err error) {
	setting, ok := s[m.component]
	if !ok {
		setting = s[""]
	}
	if setting.DoRA {
		return 0, false, errors.New("DoRA is not supported")
	}
	for pattern, alpha := range setting.Patterns { // peft's: the pattern ends the module's name
		is, err := regexp.Compile(`^(.*\.)?(` + pattern + `)$`)
		if err != nil {
			return 0, false, fmt.Errorf("alpha_pattern: %w", err)
		}
		if is.MatchString(m.name) {
			return alpha, setting.Root, nil
		}
	}
	if setting.Alpha == 0 {
		return rank, false, nil
	}
	return setting.Alpha, setting.Root, nil
}
