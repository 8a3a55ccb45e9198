package builtin

import (
	"fmt"

	"regft/models/lora"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// Scales are the weights of LoRAs: one for all, or one each.
type Scales []float64

// TypeName is what errors call it.
func (Scales) TypeName() string { return "a number, or a list of numbers" }

// KeyValue is its form in a key.
func (s Scales) KeyValue() any {
	if len(s) == 1 {
		return s[0]
	}
	return []float64(s)
}

// UnmarshalYAML reads a number or a list of numbers.
func (s *Scales) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]float64)(s))
	}
	*s = Scales{0}
	return n.Decode(&(*s)[0])
}

// plain says that all weigh 1.
func (s Scales) plain() bool { return len(s) == 1 && s[0] == 1 }

// of is the weight of LoRA i.
func (s Scales) of(i int) float64 {
	if len(s) == 1 {
		return s[0]
	}
	return s[i]
}

// loraSources are the LoRAs that are files of the user's.
func (g *Generate) loraSources() ([]stages.Source, error) {
	var out []stages.Source
	for i, in := range g.LoRA {
		if in.Path == "" {
			continue
		}
		folder, names, err := lora.Files(in.Path)
		if err != nil {
			return nil, fmt.Errorf("lora: %w", err)
		}
		out = append(out, stages.Source{Param: loraSource(i), Root: folder, Files: names})
	}
	return out, nil
}

// loraSource is what LoRA i is called among the sources.
func loraSource(i int) string {
	if i == 0 {
		return "lora"
	}
	return fmt.Sprintf("lora.%d", i)
}

// adapters are the LoRAs' files: the user's, and those of other stages.
func (g *Generate) adapters(env *stages.Env) ([]stages.Artifact, error) {
	var out []stages.Artifact
	for i, in := range g.LoRA {
		if in.Path == "" {
			out = append(out, in.Artifact())
			continue
		}
		a, err := env.Source(loraSource(i))
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// namesOf are the names of an artifact's files.
func namesOf(a stages.Artifact) []string {
	var names []string
	for _, f := range a.Manifest.Files {
		names = append(names, f.Name)
	}
	return names
}
