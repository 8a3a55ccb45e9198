package builtin

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regft/models/nn"
	"regft/models/safetensors"
	"regft/train"
)

// loraFolder is the folder of a classifier that was tuned with train: lora, for its updates as peft keeps them.
const loraFolder = "lora"

// writeLoRA writes low-rank updates into a folder that peft.PeftModel.from_pretrained loads over the classifier that
// training began with.
func writeLoRA(dir string, l train.LoRA, adapters nn.Arrays) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("writing low-rank updates: %w", err)
	}
	tensors := map[string]safetensors.Source{}
	var modules []string // by their whole names: the text tower has layers whose names end alike
	for name, a := range adapters {
		tensors["base_model.model."+name] = source(a)
		modules = append(modules, name[:strings.LastIndex(name, ".lora_")])
	}
	slices.Sort(modules)
	if err := writeTensors(filepath.Join(dir, "adapter_model.safetensors"), tensors); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "adapter_config.json"), map[string]any{
		"peft_type": "LORA", "task_type": nil, "r": l.Rank, "lora_alpha": l.Alpha, "target_modules": slices.Compact(modules),
		"lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "base_model_name_or_path": "",
	})
}
