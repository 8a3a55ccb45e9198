package builtin

import (
	"context"
	"errors"
	"fmt"
	"math"

	"regft/datasets"
	"regft/stages"
)

var _ = stages.Register[Mix](stages.Type{
	Name: "mix", Version: 1, Out: stages.Images,
	Doc: "Joins sets of pictures of the same classes, in turn.",
})

// Mix takes pictures of each class from several sets.
type Mix struct {
	Data     []stages.Input `yaml:"data" in:"images" doc:"the sets"`
	Weights  []float64      `yaml:"weights" optional:"true" doc:"share of each set; without them, equal"`
	PerClass *int           `yaml:"per_class" min:"1" unit:"pictures" doc:"n takes the first n·weight of each class from each set; without it, all"`
}

// MetricNames says that the stage counts its pictures.
func (*Mix) MetricNames() []string { return []string{"images"} }

// Validate wants a weight for each set.
func (m *Mix) Validate() error {
	rules := []error{stages.Rule(m.Weights != nil && m.PerClass == nil, "weights share out per_class: give per_class too")}
	for _, w := range m.Weights {
		rules = append(rules, stages.Rule(w < 0 || math.IsNaN(w) || math.IsInf(w, 0), "weights: %v is no weight: want 0 or more", w))
	}
	return errors.Join(rules...)
}

// ValidateInputs wants as many weights as there are sets.
func (m *Mix) ValidateInputs() error {
	return stages.Rule(m.Weights != nil && len(m.Weights) != len(m.Data), "weights: there are %d, for %d sets of data", len(m.Weights), len(m.Data))
}

// Run joins the sets.
func (m *Mix) Run(ctx context.Context, env *stages.Env) error {
	var parts [][]image
	mixed := &imageSet{}
	for i, in := range m.Data {
		set, err := readImages(ctx, in.Artifact())
		if err != nil {
			return fmt.Errorf("data %d: %w", i+1, err)
		}
		if i == 0 {
			mixed.classes = set.classes
		} else if err := sameClasses(ctx, "data 1", m.Data[0].Artifact(), fmt.Sprintf("data %d", i+1), in.Artifact()); err != nil {
			return err
		}
		part, err := m.take(i, set)
		if err != nil {
			return fmt.Errorf("data %d: %w", i+1, err)
		}
		parts = append(parts, part)
	}
	mixed.images = inTurn(parts)
	env.Host.Metric("images", float64(len(mixed.images)))
	return mixed.write(env, "", 0)
}

// take is what set i gives: the first n·weight pictures of each class, in the set's order.
func (m *Mix) take(i int, set *imageSet) ([]image, error) {
	if m.PerClass == nil {
		return set.images, nil
	}
	weight := 1 / float64(len(m.Data))
	if m.Weights != nil {
		weight = m.Weights[i]
	}
	n := int(math.Round(float64(*m.PerClass) * weight))
	for label, have := range set.counts() {
		if have < n {
			return nil, fmt.Errorf("class %s has %d pictures, and per_class %d × weight %g takes %d", set.classes[label].Folder, have, *m.PerClass, weight, n)
		}
	}
	taken := make([]int, len(set.classes))
	var out []image
	for _, p := range set.images {
		if p.Label == datasets.Unlabelled {
			return nil, fmt.Errorf("picture %s has no label, and per_class needs one", p.FileName)
		}
		if taken[p.Label] < n {
			taken[p.Label]++
			out = append(out, p)
		}
	}
	return out, nil
}

// inTurn takes the first of each list, then the second of each, …
func inTurn(lists [][]image) []image {
	var out []image
	for i, more := 0, true; more; i++ {
		more = false
		for _, l := range lists {
			if i < len(l) {
				out, more = append(out, l[i]), true
			}
		}
	}
	return out
}
