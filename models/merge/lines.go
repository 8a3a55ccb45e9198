package merge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"regft/models/nn"
)

// A Layering scales a task vector by layer (LiNeS, Wang et al., arXiv 2410.17146): From in the first of so many
// layers, rising evenly by Rise to the last. What lies outside the layers, also behind them, is scaled by From.
type Layering struct {
	From, Rise float64
	Layers     int
}

// LiNeS is base + the scaled task vector of one model, or the scaled sum of several.
func LiNeS(base nn.Arrays, models []nn.Arrays, l Layering) (nn.Arrays, error) {
	if err := matchAll(base, models); err != nil {
		return nil, err
	}
	return l.apply(base, sum(taskVectors(base, models)))
}

// LiNeSTIES is LiNeS of the vector that TIES makes of several models.
func LiNeSTIES(base nn.Arrays, models []nn.Arrays, l Layering, keep float64, aggregate Aggregate) (nn.Arrays, error) {
	tau, err := tiesVector(base, models, keep, aggregate)
	if err != nil {
		return nil, err
	}
	return l.apply(base, tau)
}

// LiNeSScale is the From that the published code takes for a merged task vector τ of n models: |Σ t|₁ / |τ|₁ / n.
// With keep nil τ is the sum itself, and the scale 1/n.
func LiNeSScale(base nn.Arrays, models []nn.Arrays, keep *float64, aggregate Aggregate) (float64, error) {
	if err := matchAll(base, models); err != nil {
		return 0, err
	}
	share := 1 / float64(len(models))
	if keep == nil {
		return share, nil
	}
	tau, err := tiesVector(base, models, *keep, aggregate)
	if err != nil {
		return 0, err
	}
	merged := length(tau)
	if merged == 0 {
		return 0, fmt.Errorf("merging models: with keep %g nothing is left of the task vectors", *keep)
	}
	return length(sum(taskVectors(base, models))) / merged * share, nil
}

// length is the sum of magnitudes, in float64.
func length(v nn.Arrays) float64 {
	total := 0.0
	for _, name := range v.Names() {
		for _, x := range v[name].Values {
			total += math.Abs(float64(x))
		}
	}
	return total
}

func (l Layering) apply(base, vector nn.Arrays) (nn.Arrays, error) {
	merged := make(nn.Arrays, len(base))
	for name, array := range base {
		layer, inside := layerOf(name)
		if inside && layer >= l.Layers {
			return nil, fmt.Errorf("merging models: %q is beyond the last of %d layers", name, l.Layers)
		}
		scale := weighted(1, l.scale(layer, inside))
		values, steps := make([]float32, len(array.Values)), vector[name].Values
		for i, x := range array.Values {
			values[i] = scale(x, steps[i])
		}
		merged[name] = nn.Array{Shape: slices.Clone(array.Shape), Values: values}
	}
	return merged, nil
}

func (l Layering) scale(layer int, inside bool) float64 {
	if !inside || l.Layers < 2 {
		return l.From
	}
	return l.From + l.Rise*float64(layer)/float64(l.Layers-1)
}

// layerOf is the lowest number that stands alone between dots of a parameter's name: its layer.
func layerOf(name string) (layer int, inside bool) {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || i == 0 || i == len(parts)-1 {
			continue
		}
		if !inside || n < layer {
			layer, inside = n, true
		}
	}
	return layer, inside
}
