package merge

import (
	"fmt"
	"slices"

	"regft/models/nn"
)

// FisherWeighted is the average of two models in which each value counts by how much the predictions depend on it
// (Matena and Raffel, arXiv 2111.09832), as WiSE-FT's code merges:
//
//	c₀ = (1 − alpha)·max(F₀, floor)   c₁ = alpha·max(F₁, floor)   (c₀·from + c₁·to) / (c₀ + c₁)
//
// fisherFrom and fisherTo are diagonal Fisher informations in the parameters' shapes. A parameter that neither has
// counts evenly; one that only one of them has is an error, as are parameters that the models do not share.
func FisherWeighted(from, to, fisherFrom, fisherTo nn.Arrays, alpha, floor float64) (nn.Arrays, error) {
	if err := match(from, to); err != nil {
		return nil, err
	}
	if err := match(fisherFrom, fisherTo); err != nil {
		return nil, fmt.Errorf("the Fisher informations do not match: %w", err)
	}
	for name, f := range fisherFrom {
		if p, ok := from[name]; !ok || !slices.Equal(p.Shape, f.Shape) {
			return nil, fmt.Errorf("merging models: the Fisher information has %q of shape %v, the models have it of shape %v", name, f.Shape, p.Shape)
		}
	}
	w := fisherWeights{float32(1 - alpha), float32(alpha), float32(floor)}
	merged := make(nn.Arrays, len(from))
	for name, array := range from {
		merged[name] = nn.Array{Shape: slices.Clone(array.Shape), Values: w.merge(array.Values, to[name].Values, fisherFrom[name].Values, fisherTo[name].Values)}
	}
	return merged, nil
}

type fisherWeights struct{ from, to, floor float32 }

// merge averages one parameter; its Fisher informations f and g are nil where it has none.
func (w fisherWeights) merge(x, y, f, g []float32) []float32 {
	out := make([]float32, len(x))
	for i := range x {
		fx, fy := float32(1), float32(1)
		if f != nil {
			fx, fy = f[i], g[i]
		}
		c0, c1 := float32(w.from*max(fx, w.floor)), float32(w.to*max(fy, w.floor))
		sum := float32(c0*x[i]) + float32(c1*y[i])
		out[i] = sum / float32(c0+c1)
	}
	return out
}
