package builtin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"regft/stages"
	"regft/train"
)

var _ = stages.Register[OutputEnsemble](stages.Type{
	Name: "output_ensemble", Version: 1, Out: stages.Scores,
	Doc: "Averages what several classifiers answer to the same pictures: the control of an ensemble of weights, at the cost of all of them (WiSE-FT, arXiv 2109.01903, §5).",
})

// OutputEnsemble works on the logits that evaluate kept; no picture is classified again.
type OutputEnsemble struct {
	Scores  []stages.Input `yaml:"scores" in:"scores" doc:"of classifiers with the same classes, each on the same pictures"`
	Weights []float64      `yaml:"weights" optional:"true" doc:"of the classifiers, which are divided by their sum; without them, equal"`
	Of      string         `yaml:"of" default:"logits" enum:"logits,probabilities" doc:"what is averaged"`
	Metrics []string       `yaml:"metrics" default:"[top1, top5, mean_per_class, nll, ece]" enum:"top1,top5,mean_per_class,nll,ece" doc:"which metrics"`
}

// MetricNames are the metrics.
func (o *OutputEnsemble) MetricNames() []string { return o.Metrics }

// Validate wants weights that have a mean.
func (o *OutputEnsemble) Validate() error {
	sum := 0.0
	for _, w := range o.Weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return fmt.Errorf("weights: %v is no weight: want 0 or more", w)
		}
		sum += w
	}
	if o.Weights != nil && sum == 0 {
		return errors.New("weights are all 0")
	}
	return nil
}

// Run averages and measures.
func (o *OutputEnsemble) Run(ctx context.Context, env *stages.Env) error {
	weights, err := o.shares()
	if err != nil {
		return err
	}
	var sum []float64
	var labels []int64
	for i, in := range o.Scores {
		if len(in.Parts) != 1 {
			return fmt.Errorf("scores %d are of %d sets of pictures: give those of one", i+1, len(in.Parts))
		}
		logits, of, err := readLogits(ctx, in.Artifact())
		if err != nil {
			return fmt.Errorf("scores %d: %w", i+1, err)
		}
		if i == 0 {
			sum, labels = make([]float64, len(logits)), of
		}
		if !slices.Equal(labels, of) || len(logits) != len(sum) {
			return fmt.Errorf("scores 1 and %d are of other pictures or classes: %d labels with %d logits, and %d with %d", i+1, len(labels), len(sum), len(of), len(logits))
		}
		o.add(sum, logits, len(sum)/len(labels), weights[i])
	}
	mean := make([]float32, len(sum))
	for k, x := range sum {
		if o.Of == "probabilities" {
			x = math.Log(x) // so that they are the mean's probabilities again
		}
		mean[k] = float32(x)
	}
	plain := make([]int, len(labels))
	for k, l := range labels {
		plain[k] = int(l)
	}
	return (&Evaluate{Metrics: o.Metrics}).record(env, mean, plain, len(sum)/len(labels))
}

// shares are the weights, divided by their sum.
func (o *OutputEnsemble) shares() ([]float64, error) {
	weights := o.Weights
	if weights == nil {
		weights = slices.Repeat([]float64{1}, len(o.Scores))
	}
	if len(weights) != len(o.Scores) {
		return nil, fmt.Errorf("there are %d weights for %d scores", len(weights), len(o.Scores))
	}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	shares := make([]float64, len(weights))
	for i, w := range weights {
		shares[i] = w / total
	}
	return shares, nil
}

// add adds one classifier's answers, rows of so many classes, with its share.
func (o *OutputEnsemble) add(sum []float64, logits []float32, classes int, share float64) {
	for begin := 0; begin < len(logits); begin += classes {
		row := logits[begin : begin+classes]
		if o.Of == "probabilities" {
			for k, p := range train.Probabilities(row) {
				sum[begin+k] += share * p
			}
			continue
		}
		for k, x := range row {
			sum[begin+k] += share * float64(x)
		}
	}
}
