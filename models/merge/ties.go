package merge

import (
	"fmt"
	"math"
	"slices"

	"regft/models/nn"
)

// An Aggregate says how TIES joins the entries of a place that agree in sign.
type Aggregate string

// The aggregates: the mean of entries that are not 0, their sum, or the largest in magnitude.
const (
	Mean Aggregate = "mean"
	Sum  Aggregate = "sum"
	Max  Aggregate = "max"
)

// TIES is base + lambda·τ, with τ the task vectors of models trimmed, in their elected signs, and joined
// (Yadav et al., arXiv 2306.01708, as its code rounds):
//
//   - of the d entries of each task vector, those at least as large as the ⌊d·keep⌋+1 largest in magnitude stay;
//   - the sign of a place is that of the sum of what stays there; where that is 0, that of the sum of all signs;
//   - the entries of that sign are joined by aggregate.
//
// keep is from 0 to 1, the fraction that stays: 1 keeps all.
func TIES(base nn.Arrays, models []nn.Arrays, lambda, keep float64, aggregate Aggregate) (nn.Arrays, error) {
	tau, err := tiesVector(base, models, keep, aggregate)
	if err != nil {
		return nil, err
	}
	return apply(base, tau, lambda), nil
}

func tiesVector(base nn.Arrays, models []nn.Arrays, keep float64, aggregate Aggregate) (nn.Arrays, error) {
	if err := matchAll(base, models); err != nil {
		return nil, err
	}
	if !(keep >= 0 && keep <= 1) {
		return nil, fmt.Errorf("merging models: TIES keeps a fraction of each task vector from 0 to 1, not %g", keep)
	}
	join, ok := map[Aggregate]func([]float32, float32) float32{Mean: agreeingMean, Sum: agreeingSum, Max: agreeingMax}[aggregate]
	if !ok {
		return nil, fmt.Errorf("merging models: %q is not one of mean, sum, max", aggregate)
	}
	vectors := taskVectors(base, models)
	for _, v := range vectors {
		trim(v, keep)
	}
	signs := elect(vectors)
	tau := make(nn.Arrays, len(base))
	for name, array := range base {
		values := make([]float32, len(array.Values))
		for i := range values {
			values[i] = join(at(vectors, name, i), signs[name].Values[i])
		}
		tau[name] = nn.Array{Shape: slices.Clone(array.Shape), Values: values}
	}
	return tau, nil
}

// trim sets to 0 what is smaller in magnitude than the ⌊d·keep⌋+1 largest entries.
func trim(vector nn.Arrays, keep float64) {
	var magnitudes []float32
	for _, a := range vector {
		for _, x := range a.Values {
			magnitudes = append(magnitudes, abs(x))
		}
	}
	rank := len(magnitudes) - int(float64(len(magnitudes))*keep)
	if rank == 0 {
		return
	}
	slices.Sort(magnitudes)
	threshold := magnitudes[rank-1]
	for _, a := range vector {
		for i, x := range a.Values {
			if abs(x) < threshold {
				a.Values[i] = 0
			}
		}
	}
}

// elect gives the sign of every place: −1, 0 or 1.
func elect(vectors []nn.Arrays) nn.Arrays {
	signs, majority := sum(vectors), 0
	for _, a := range signs {
		for i, x := range a.Values {
			a.Values[i] = sign(x)
			majority += int(a.Values[i])
		}
	}
	for _, a := range signs {
		for i, x := range a.Values {
			if x == 0 {
				a.Values[i] = sign(float32(majority))
			}
		}
	}
	return signs
}

// at are the entries of vectors at one place.
func at(vectors []nn.Arrays, name string, i int) []float32 {
	entries := make([]float32, len(vectors))
	for k, v := range vectors {
		entries[k] = v[name].Values[i]
	}
	return entries
}

// agrees tells whether x has the sign that was elected; where none was, the code takes what is negative.
func agrees(x, sign float32) bool {
	if sign > 0 {
		return x > 0
	}
	return x < 0
}

func agreeingSum(entries []float32, sign float32) float32 {
	total := float32(0)
	for _, x := range entries {
		if agrees(x, sign) {
			total += x
		}
	}
	return total
}

func agreeingMean(entries []float32, sign float32) float32 {
	n := float32(0)
	for _, x := range entries {
		if agrees(x, sign) {
			n++
		}
	}
	return agreeingSum(entries, sign) / max(n, 1)
}

func agreeingMax(entries []float32, sign float32) float32 {
	largest := float32(0)
	for _, x := range entries {
		if agrees(x, sign) {
			largest = max(largest, abs(x))
		}
	}
	return largest * sign
}

func sign(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func abs(x float32) float32 { return float32(math.Abs(float64(x))) }
