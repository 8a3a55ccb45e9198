package merge

import (
	"errors"
	"fmt"
	"slices"

	"regft/models/nn"
)

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

// matchAll tells whether models have the parameters of the first; there must be one at least.
func matchAll(first nn.Arrays, models []nn.Arrays) error {
	if len(models) == 0 {
		return errors.New("merging models: there are none")
	}
	for i, m := range models {
		if err := match(first, m); err != nil {
			return fmt.Errorf("model %d: %w", i, err)
		}
	}
	return nil
}

// combine is f of the values of a and b at every place; both have the same parameters.
func combine(a, b nn.Arrays, f func(x, y float32) float32) nn.Arrays {
	out := make(nn.Arrays, len(a))
	for name, array := range a {
		values, other := make([]float32, len(array.Values)), b[name].Values
		for i, x := range array.Values {
			values[i] = f(x, other[i])
		}
		out[name] = nn.Array{Shape: slices.Clone(array.Shape), Values: values}
	}
	return out
}

// weighted is a·x + b·y, each product and the sum rounded to float32.
func weighted(a, b float64) func(x, y float32) float32 {
	p, q := float32(a), float32(b)
	return func(x, y float32) float32 { return float32(p*x) + float32(q*y) }
}
