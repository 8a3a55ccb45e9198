package schedulers

import (
	"math"
	"slices"
)

// timesteps returns n training timesteps in falling order, as Table 2 of Lin et al. (arXiv 2305.08891) has them. With
// trailing, rounding may give one more.
func (c training) timesteps(n int) []int {
	switch c.TimestepSpacing {
	case "linspace":
		return backwards(rounded(linspace(0, float64(c.NumTrainTimesteps-1), n)))
	case "leading":
		return leading(c.NumTrainTimesteps/n, n, c.StepsOffset)
	default:
		return trailing(c.NumTrainTimesteps, float64(c.NumTrainTimesteps)/float64(n))
	}
}

// leading returns the first n multiples of ratio, plus offset, in falling order.
func leading(ratio, n, offset int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = (n-1-i)*ratio + offset
	}
	return out
}

// trailing goes from last down to 0 by ratio, and returns one less of each.
func trailing(last int, ratio float64) []int {
	out := rounded(arange(float64(last), 0, -ratio))
	for i := range out {
		out[i]--
	}
	return out
}

func rounded(values []float64) []int {
	out := make([]int, len(values))
	for i, v := range values {
		out[i] = int(math.RoundToEven(v))
	}
	return out
}

func backwards[T any](values []T) []T {
	slices.Reverse(values)
	return values
}

// linspace is numpy.linspace.
func linspace(start, stop float64, n int) []float64 {
	if n == 1 {
		return []float64{start}
	}
	out := make([]float64, n)
	step := (stop - start) / float64(n-1)
	for i := range out {
		out[i] = float64(float64(i)*step) + start
	}
	out[n-1] = stop
	return out
}

// arange is numpy.arange, which multiplies the difference of its first two values: that rounds otherwise than step.
func arange(start, stop, step float64) []float64 {
	out := make([]float64, int(math.Ceil((stop-start)/step)))
	delta := start + step - start
	for i := range out {
		out[i] = start + float64(float64(i)*delta)
	}
	return out
}

func floats(values []int) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
