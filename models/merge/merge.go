// Package merge averages models in weight space, on the host.
//
// Results are those of the published code bit for bit: every product, sum and quotient is rounded to float32 by
// itself. Go may fuse x*y + z into one operation with one rounding; the explicit conversions forbid it.
package merge

import (
	"fmt"
	"slices"

	"regft/models/nn"
)

// Linear is WiSE-FT's ensemble (Wortsman et al., arXiv 2109.01903): (1 − alpha)·from + alpha·to, for every
// parameter. 1 − alpha is taken in float64 and rounded, as PyTorch does with a Python number. Both models must have
// the same parameters; the error names the first that does not match.
func Linear(from, to nn.Arrays, alpha float64) (nn.Arrays, error) {
	if err := match(from, to); err != nil {
		return nil, err
	}
	a, b := float32(1-alpha), float32(alpha)
	merged := make(nn.Arrays, len(from))
	for name, array := range from {
		values, other := make([]float32, len(array.Values)), to[name].Values
		for i, x := range array.Values {
			values[i] = float32(a*x) + float32(b*other[i])
		}
		merged[name] = nn.Array{Shape: slices.Clone(array.Shape), Values: values}
	}
	return merged, nil
}

// match tells whether two models have parameters of the same names and shapes.
func match(from, to nn.Arrays) error {
	for _, name := range from.Names() {
		other, ok := to[name]
		if !ok {
			return fmt.Errorf("merging models: the second has no parameter %q", name)
		}
		if !slices.Equal(from[name].Shape, other.Shape) {
			return fmt.Errorf("merging models: parameter %q is %v in the first and %v in the second", name, from[name].Shape, other.Shape)
		}
	}
	for _, name := range to.Names() {
		if _, ok := from[name]; !ok {
			return fmt.Errorf("merging models: the first has no parameter %q", name)
		}
	}
	return nil
}
