package schedulers

import (
	"fmt"
	"math"
	"slices"
)

// prediction says what the model was trained to predict.
type prediction string

const (
	epsilonPrediction prediction = "epsilon"      // the noise
	samplePrediction  prediction = "sample"       // the data
	vPrediction       prediction = "v_prediction" // α·ε - σ·x₀: Salimans & Ho, arXiv 2202.00512
)

// split returns the data x₀ and the noise ε of which x = alpha·x₀ + sigma·ε, from a model's output.
func (p prediction) split(model, x []float32, alpha, sigma float64) (x0, epsilon []float64) {
	x0, epsilon = make([]float64, len(x)), make([]float64, len(x))
	for j := range x {
		m, x := float64(model[j]), float64(x[j])
		switch p {
		case epsilonPrediction:
			x0[j], epsilon[j] = (x-sigma*m)/alpha, m
		case samplePrediction:
			x0[j], epsilon[j] = m, (x-alpha*m)/sigma
		case vPrediction:
			x0[j], epsilon[j] = alpha*x-sigma*m, alpha*m+sigma*x
		}
	}
	return x0, epsilon
}

// limits are the keys by which classes keep predicted data in range.
type limits struct {
	Thresholding             bool    `json:"thresholding"`
	DynamicThresholdingRatio float64 `json:"dynamic_thresholding_ratio"`
	SampleMaxValue           float64 `json:"sample_max_value"`
}

// clipping are limits of the classes that can also clip to a fixed range.
type clipping struct {
	limits
	ClipSample      bool    `json:"clip_sample"`
	ClipSampleRange float64 `json:"clip_sample_range"`
}

var limitDefaults = limits{DynamicThresholdingRatio: 0.995, SampleMaxValue: 1}

func (l limits) validate() error {
	if l.DynamicThresholdingRatio < 0 || l.DynamicThresholdingRatio > 1 {
		return fmt.Errorf("dynamic_thresholding_ratio %v is not between 0 and 1", l.DynamicThresholdingRatio)
	}
	return nil
}

// clips tells whether x0 is brought into a fixed range, infinite or not.
func (c clipping) clips() bool { return c.ClipSample && !c.Thresholding }

// apply limits x0 in place.
func (c clipping) apply(x0 []float64) {
	if c.Thresholding {
		c.threshold(x0)
	} else if c.ClipSample {
		clamp(x0, c.ClipSampleRange)
	}
}

// threshold limits one picture's x0 to a quantile of its magnitude and scales that to 1: dynamic thresholding of
// Saharia et al. (Imagen, arXiv 2205.11487), section 2.3.
func (l limits) threshold(x0 []float64) {
	magnitudes := make([]float64, len(x0))
	for j, x := range x0 {
		magnitudes[j] = math.Abs(x)
	}
	bound := min(max(quantile(magnitudes, l.DynamicThresholdingRatio), 1), l.SampleMaxValue)
	clamp(x0, bound)
	for j := range x0 {
		x0[j] /= bound
	}
}

func clamp(values []float64, bound float64) {
	for j, x := range values {
		values[j] = min(max(x, -bound), bound)
	}
}

// quantile sorts values and interpolates between two of them.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	rank := q * float64(len(values)-1)
	below := int(rank)
	above := min(below+1, len(values)-1)
	return values[below] + (rank-float64(below))*(values[above]-values[below])
}

// draw returns n normal numbers.
func draw(noise func(dst []float32), n int) []float32 {
	out := make([]float32, n)
	noise(out)
	return out
}
