package builtin

import (
	"errors"

	"regft/models/adapter"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

var _ = stages.Register[Adapt](stages.Type{
	Name: "adapt", Version: 1, Out: stages.Adapter,
	Doc: "Puts a classifier's encoder under a cache adapter: Tip-Adapter (arXiv 2207.09519), TIP-X (arXiv 2211.16198) or CaFo (arXiv 2303.02151).",
})

// Adapt builds and trains a cache adapter.
type Adapt struct {
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
	Beta          Search        `yaml:"beta" optional:"true" doc:"sharpness of the affinities, 1 where left out; searched on validate, init is its value while keys are trained"`
	Alpha         Search        `yaml:"alpha" optional:"true" doc:"weight of the cache, 1 where left out; searched and trained as beta"`
	Gamma         Search        `yaml:"gamma" optional:"true" doc:"weight of TIP-X's affinities, 1 where left out; searched as beta"`
	Temperature   *float64      `yaml:"temperature" min:"0" doc:"of tip_x's distributions, 0.5 where left out; of cafo's weights of its encoders, 1 where left out"`
	Validation    *stages.Input `yaml:"validate" in:"images" doc:"chooses the epoch, beta, alpha and gamma; without it the last epoch is taken"`
	Test          *stages.Input `yaml:"test" in:"images" doc:"for compat: published, where the references choose the epoch by it; without it validate does"`
	SecondEncoder stages.Path   `yaml:"second_encoder" optional:"true" doc:"a DINO ResNet-50, for cafo: a .safetensors, .bin or .pth file in torchvision's names, or a folder with one"`
	Compat        string        `yaml:"compat" default:"none" enum:"none,published" doc:"published repeats the references' quirks"`
	Seed          stages.Seed   `yaml:"seed" doc:"of shuffling and augmentation; the spec's where left out"`
}

// Validate checks what belongs together.
func (a *Adapt) Validate() error {
	method := adapter.Method(a.Method)
	searches := a.Beta.Steps+a.Alpha.Steps+a.Gamma.Steps > 0
	tempered := method == adapter.TipX || method == adapter.CaFo
	return errors.Join(
		stages.Rule(a.Data == nil && a.Generated == nil, "adapt needs shots: data (real), generated, or both"),
		stages.Rule(method == adapter.CaFo && a.SecondEncoder == "", "method: cafo needs second_encoder, a DINO ResNet-50 checkpoint"),
		stages.Rule(method != adapter.CaFo && a.SecondEncoder != "", "second_encoder is for method: cafo"),
		stages.Rule(searches && a.Validation == nil, "a search of beta, alpha or gamma needs pictures: give them as validate"),
		stages.Rule(method != adapter.TipX && a.Gamma != (Search{}), "gamma is for method: tip_x"),
		stages.Rule(!tempered && a.Temperature != nil, "temperature is for method: tip_x and cafo"),
		stages.Rule(a.Temperature != nil && *a.Temperature == 0, "temperature is 0, want a number above it"),
		stages.Rule(a.Test != nil && a.Compat != "published", "test is for compat: published, which chooses the epoch by it; validate chooses otherwise"),
	)
}

// Draws says when the seed matters.
func (a *Adapt) Draws() bool {
	return a.Augment != "none" || a.Shuffle && adapter.Method(a.Method).Trains()
}

// Search is a number, or a grid searched on validation data.
type Search struct {
	Value *float64 // of training and of no search
	To    float64
	Steps int // 0 for no search
}

// TypeName is what errors call it.
func (Search) TypeName() string { return "a number or {search: {to, steps}, init}" }

// KeyValue is its form in a key.
func (s Search) KeyValue() any {
	if s.Steps == 0 {
		return s.Value
	}
	m := map[string]any{"search": map[string]any{"to": s.To, "steps": s.Steps}}
	if s.Value != nil {
		m["init"] = *s.Value
	}
	return m
}

// UnmarshalYAML reads both forms.
func (s *Search) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&s.Value)
	}
	var m struct {
		Search yaml.Node `yaml:"search"`
		Init   *float64  `yaml:"init"`
	}
	if err := strict(n, &m, "search", "init"); err != nil {
		return err
	}
	if m.Search.Kind == 0 {
		return errors.New("it lacks search: {to, steps}")
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
	s.Value, s.To, s.Steps = m.Init, grid.To, grid.Steps
	return nil
}

// initial is the value before a search.
func (s Search) initial() float64 {
	if s.Value == nil {
		return 1
	}
	return *s.Value
}

// line is what is searched, from a published start on.
func (s Search) line(from float64) adapter.Line {
	if s.Steps == 0 {
		return adapter.Fixed(s.initial())
	}
	return adapter.Line{From: from, To: s.To, Steps: s.Steps}
}
