package lora

import (
	"fmt"
	"strings"

	"regft/models/nn"
)

// A Merger adds adapters to the weights of a pipeline's components, one component after another.
type Merger struct {
	adapters []Scaled
	used     map[*module]bool
}

// NewMerger returns a Merger of adapters; there may be none.
func NewMerger(adapters []Scaled) *Merger {
	return &Merger{adapters, map[*module]bool{}}
}

// For returns what changes a component's weights, given their dimensions by name: it adds what the adapters have for the weight of
// that name. A module that does not fit its weight is an error.
func (g *Merger) For(component string, weights nn.Shapes) (change func(name string, values []float32), err error) {
	names := map[string]string{} // of weights, by their modules' paths
	for name := range weights {
		if module, ok := strings.CutSuffix(name, ".weight"); ok {
			names[flat(module)] = name
		}
	}
	layers := layersOf(weights)
	parts := map[string][]scaledModule{}
	for _, adapter := range g.adapters {
		for _, m := range adapter.modules {
			name, known := names[fromLDM(m.path, layers)]
			if !known || m.component != "" && m.component != component {
				continue
			}
			if err := m.fits(weights[name]); err != nil {
				return nil, fmt.Errorf("LoRA %s: %s is of %s of the %s: %w", adapter.path, m.name, name, component, err)
			}
			g.used[m] = true
			parts[name] = append(parts[name], scaledModule{m, adapter.Scale})
		}
	}
	return func(name string, values []float32) {
		for _, part := range parts[name] {
			part.addTo(values, part.scale)
		}
	}, nil
}

type scaledModule struct {
	*module
	scale float64
}

// fits compares a module with the dimensions of its weight.
func (m *module) fits(weight []int) error {
	columns := 1
	for _, d := range weight {
		columns *= d
	}
	if len(weight) < 2 {
		return fmt.Errorf("the weight has shape %v", weight)
	}
	columns /= weight[0]
	if m.bShape[0] != weight[0] || len(m.a) != m.aShape[0]*columns {
		return fmt.Errorf("down %v and up %v make no %v: it was trained on another model", m.aShape, m.bShape, weight)
	}
	return nil
}

// Unused returns an error that lists the modules that no component had, after For of all that they may be of.
func (g *Merger) Unused() error {
	for _, adapter := range g.adapters {
		var unknown []string
		for _, m := range adapter.modules {
			if !g.used[m] {
				unknown = append(unknown, m.name)
			}
		}
		if unknown != nil {
			return fmt.Errorf("LoRA %s: %d of %d modules are in neither U-Net nor text encoder of the checkpoint: %s; it was trained on another kind of model",
				adapter.path, len(unknown), len(adapter.modules), someOf(unknown))
		}
	}
	return nil
}
