package lora

import (
	"regexp"
	"strings"
)

// The parts of a module.
const (
	partA     = "A" // down
	partB     = "B" // up
	partAlpha = "alpha"
)

// partPattern matches a tensor's name: its module, and the part that it is.
var partPattern = regexp.MustCompile(`^(.+?)(?:\.lora_(down|up)|\.lora_([AB])(?:\.\w+)?|[._]lora\.(down|up)|\.lora_linear_layer\.(down|up))\.weight$`)

// parse takes a tensor's name apart. part is "" where it belongs to no LoRA.
func parse(name string) (m module, part string) {
	if stem, ok := strings.CutSuffix(name, ".alpha"); ok {
		return newModule(stem), partAlpha
	}
	found := partPattern.FindStringSubmatch(name)
	if found == nil {
		return module{}, ""
	}
	switch found[2] + found[3] + found[4] + found[5] {
	case "down", "A":
		part = partA
	default:
		part = partB
	}
	return newModule(found[1]), part
}

// newModule reads a module's name in any of the styles.
func newModule(name string) module {
	m := module{name: name}
	path := strings.TrimPrefix(name, "base_model.model.")
	for _, prefix := range []struct{ text, component string }{
		{"lora_unet_", unet}, {"lora_te_", textEncoder}, {"lora_te1_", textEncoder}, {"unet.", unet}, {"text_encoder.", textEncoder},
		{"model.diffusion_model.", unet}, {"diffusion_model.", unet}, {"cond_stage_model.transformer.", textEncoder},
	} {
		if rest, ok := strings.CutPrefix(path, prefix.text); ok {
			m.component, path = prefix.component, rest
			break
		}
	}
	m.path = published(m.component, flat(strings.Replace(path, ".processor", "", 1)))
	return m
}

// The components of a pipeline that LoRA changes.
const (
	unet        = "unet"
	textEncoder = "text_encoder"
)

// flat is a module's path with "_" for ".", as kohya writes it, below text_model.
func flat(path string) string {
	return strings.TrimPrefix(strings.ReplaceAll(path, ".", "_"), "text_model_")
}

// published undoes the names that diffusers of 2023 gave to projections.
func published(component, path string) string {
	if component != textEncoder {
		if strings.HasSuffix(path, "_to_out") {
			return path + "_0"
		}
		return path
	}
	for old, name := range map[string]string{"_to_q": "_q_proj", "_to_k": "_k_proj", "_to_v": "_v_proj", "_to_out": "_out_proj"} {
		if stem, ok := strings.CutSuffix(path, old); ok {
			return stem + name
		}
	}
	return path
}

// kindOf says what tensors of other adaptations are.
func kindOf(names []string) string {
	for _, kind := range []struct{ mark, name string }{
		{"hada_", "LoHa"}, {"lokr_", "LoKr"}, {"dora_scale", "DoRA"}, {"magnitude_vector", "DoRA"}, {"lora_mid", "LoCon with a core"}, {"oft_", "OFT"},
		{".diff", "a difference of whole weights"}, {"lora_B.bias", "LoRA with biases"},
	} {
		for _, name := range names {
			if strings.Contains(name, kind.mark) {
				return "; " + kind.name + " is not supported"
			}
		}
	}
	return ""
}
