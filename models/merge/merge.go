// Package merge averages models in weight space, on the host.
//
// Results are those of the published code bit for bit: every product, sum and quotient is rounded to float32 by
// itself. Go may fuse x*y + z into one operation with one rounding; the explicit conversions forbid it.
package merge

import "regft/models/nn"

// Linear is WiSE-FT's ensemble (Wortsman et al., arXiv 2109.01903): (1 − alpha)·from + alpha·to, for every
// parameter. 1 − alpha is taken in float64 and rounded, as PyTorch does with a Python number. Both models must have
// the same parameters; the error names the first that does not match.
func Linear(from, to nn.Arrays, alpha float64) (nn.Arrays, error) {
	if err := match(from, to); err != nil {
		return nil, err
	}
	return combine(from, to, weighted(1-alpha, alpha)), nil
}
