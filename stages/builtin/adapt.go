package builtin

import (
	"errors"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

var _ = stages.Register[Adapt](stages.Type{
	Name: "adapt", Version: 1, Out: stages.Adapter,
	Doc: "Puts a classifier's encoder under a cache adapter: Tip-Adapter (arXiv 2207.09519), TIP-X (arXiv 2211.16198) or CaFo (arXiv 2303.02151).",
})

// Adapt builds and trains a cache adapter.
type Adapt struct {
	declared
	Classifier    stages.Input  `yaml:"classifier" in:"classifier" doc:"whose encoder and head"`
	Data          *stages.Input `yaml:"data" in:"images" doc:"real shots"`
	Generated     *stages.Input `yaml:"generated" in:"images" doc:"generated shots; one of the two is enough"`
	Method        string        `yaml:"method" enum:"tip,tip_f,tip_x,cafo" doc:"which adapter"`
	Augment       string        `yaml:"augment" default:"random_resized_crop" enum:"random_resized_crop,none" doc:"of the pictures that make the keys"`
	AugmentEpochs int           `yaml:"augment_epochs" default:"10" min:"1" doc:"augmented views averaged into a key"`
	LearningRate  float64       `yaml:"learning_rate" default:"1e-3" min:"0" doc:"of AdamW on the keys"`
	WeightDecay   float64       `yaml:"weight_decay" default:"0.01" min:"0" doc:"of AdamW"`
	Epsilon       float64       `yaml:"epsilon" default:"1e-4" min:"0" doc:"of AdamW"`
	Epochs        int           `yaml:"epochs" default:"20" min:"1" doc:"of training the keys"`
	BatchSize     int           `yaml:"batch_size" default:"256" min:"1" unit:"pictures" doc:"of training the keys"`
	Shuffle       bool          `yaml:"shuffle" default:"true" doc:"or the order of the shots"`
	Beta          Search        `yaml:"beta" optional:"true" doc:"sharpness of the affinities: a number, or {search: {to, steps}} on validate"`
	Alpha         Search        `yaml:"alpha" optional:"true" doc:"weight of the cache: a number, or {search: {to, steps}} on validate"`
	Gamma         Search        `yaml:"gamma" optional:"true" doc:"weight of TIP-X's affinities: a number, or {search: {to, steps}} on validate"`
	Temperature   *float64      `yaml:"temperature" min:"0" doc:"of TIP-X's distributions"`
	Validation    *stages.Input `yaml:"validate" in:"images" doc:"chooses the epoch, beta, alpha and gamma"`
	SecondEncoder stages.Path   `yaml:"second_encoder" optional:"true" doc:"a DINO ResNet-50 checkpoint, for cafo"`
	Compat        string        `yaml:"compat" default:"none" enum:"none,published" doc:"published repeats the references' quirks"`
	Seed          stages.Seed   `yaml:"seed" doc:"of shuffling and augmentation; the spec's where left out"`
}

// Validate wants shots of some kind.
func (a *Adapt) Validate() error {
	if a.Data == nil && a.Generated == nil {
		return errors.New("adapt needs shots: data (real), generated, or both")
	}
	return nil
}

// Search is a number, or a grid searched on validation data.
type Search struct {
	Value *float64
	To    float64
	Steps int
}

// TypeName is what errors call it.
func (Search) TypeName() string { return "a number or {search: {to, steps}}" }

// KeyValue is its form in a key.
func (s Search) KeyValue() any {
	if s.Steps > 0 {
		return map[string]any{"search": map[string]any{"to": s.To, "steps": s.Steps}}
	}
	return s.Value
}

// UnmarshalYAML reads both forms.
func (s *Search) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&s.Value)
	}
	var m struct {
		Search yaml.Node `yaml:"search"`
	}
	if err := strict(n, &m, "search"); err != nil {
		return err
	}
	var grid struct {
		To    float64 `yaml:"to"`
		Steps int     `yaml:"steps"`
	}
	if err := strict(&m.Search, &grid, "to", "steps"); err != nil {
		return err
	}
	if grid.To <= 0 || grid.Steps < 1 {
		return errors.New("search wants to above 0 and steps of 1 or more")
	}
	s.To, s.Steps = grid.To, grid.Steps
	return nil
}
