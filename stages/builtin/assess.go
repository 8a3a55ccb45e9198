package builtin

import (
	"errors"

	"regft/stages"
)

var _ = stages.Register[Assess](stages.Type{
	Name: "assess", Version: 1, Out: stages.Files,
	Doc: "Says what stands behind scores: bootstrap intervals, confusion, classes, differences to a baseline, and effective robustness (Taori et al., arXiv 2007.00644).",
})

// Assess looks at the logits that evaluate kept; no picture is classified again.
type Assess struct {
	Scores        stages.Input   `yaml:"scores" in:"scores" doc:"of a classifier on data"`
	Data          stages.Input   `yaml:"data" in:"images" doc:"the pictures: their labels and classes"`
	Baseline      *stages.Input  `yaml:"baseline" in:"scores" doc:"of another classifier on data, such as the zero-shot one: metrics and classes are compared with it, picture by picture"`
	InDomain      *stages.Input  `yaml:"in_domain" in:"scores" doc:"of the same classifier on the pictures from whose domain data has shifted: effective robustness is top1 beyond what the reference models have on data at its top1 there"`
	Reference     [][]float64    `yaml:"reference" optional:"true" doc:"top1 of models that only differ in how good they are, as [in domain, on data] with fractions from 0 to 1: the line through their logits is what a model is expected to have"`
	ReferenceIn   []stages.Input `yaml:"reference_in_domain" in:"scores" optional:"true" doc:"the same as scores, in domain …"`
	ReferenceData []stages.Input `yaml:"reference_data" in:"scores" optional:"true" doc:"… and on data, in the same order"`
	Metrics       []string       `yaml:"metrics" default:"[top1]" enum:"top1,top5,mean_per_class,nll,ece" doc:"which metrics"`
	Bootstrap     int            `yaml:"bootstrap" default:"1000" min:"0" doc:"resamplings of the pictures for 95 % intervals (percentiles); 0 for none"`
	Seed          stages.Seed    `yaml:"seed" doc:"of the resamplings; the spec's where left out"`
}

// Validate checks what belongs together.
func (a *Assess) Validate() error {
	references := len(a.Reference) + len(a.ReferenceData)
	rules := []error{
		stages.Rule((a.InDomain == nil) != (references == 0), "effective robustness needs both in_domain and reference models: reference, or reference_in_domain with reference_data"),
		stages.Rule((a.ReferenceIn == nil) != (a.ReferenceData == nil), "reference_in_domain and reference_data go together: scores of the same models on two sets of pictures"),
	}
	for _, p := range a.Reference {
		pair := len(p) == 2 && p[0] > 0 && p[0] < 1 && p[1] > 0 && p[1] < 1
		rules = append(rules, stages.Rule(!pair, "reference: %v is no pair of accuracies between 0 and 1", p))
	}
	return errors.Join(rules...)
}

// Draws says that only resampling uses the seed.
func (a *Assess) Draws() bool { return a.Bootstrap > 0 }

// MetricNames are METRIC with METRIC_low and METRIC_high; with a baseline METRIC_gain with its interval, and how many
// classes gain and lose top1; with reference models the effective robustness, and what they make expect.
func (a *Assess) MetricNames() []string {
	var names []string
	for _, m := range a.Metrics {
		names = append(names, a.withInterval(m)...)
		if a.Baseline != nil {
			names = append(names, a.withInterval(m+"_gain")...)
		}
	}
	if a.Baseline != nil {
		names = append(names, "classes_better", "classes_worse", "worst_class_gain")
	}
	if a.InDomain != nil {
		names = append(names, "in_domain_top1", "expected_top1", "effective_robustness")
	}
	return names
}

func (a *Assess) withInterval(metric string) []string {
	if a.Bootstrap == 0 {
		return []string{metric}
	}
	return []string{metric, metric + "_low", metric + "_high"}
}
