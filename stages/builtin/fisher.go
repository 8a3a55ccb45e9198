package builtin

import "regft/stages"

var _ = stages.Register[Fisher](stages.Type{
	Name: "fisher", Version: 1, Out: stages.Fisher,
	Doc: "Estimates the diagonal Fisher information of a classifier's parameters (Matena and Raffel, arXiv 2111.09832).",
})

// Fisher is the mean squared gradient of the log-likelihood, in evaluation mode.
type Fisher struct {
	declared
	Classifier stages.Input `yaml:"classifier" in:"classifier" doc:"whose parameters"`
	Data       stages.Input `yaml:"data" in:"images" doc:"pictures to estimate on"`
	Samples    *int         `yaml:"samples" min:"1" unit:"pictures" doc:"the first n; without it, all"`
	Passes     int          `yaml:"passes" default:"1" min:"1" doc:"draws of a label for each picture"`
	Labels     string       `yaml:"labels" default:"drawn" enum:"drawn,given" doc:"drawn from the model by (seed, pass, sample), or the pictures' own"`
	Seed       stages.Seed  `yaml:"seed" doc:"of the drawn labels; the spec's where left out"`
}

// Draws says that only drawn labels use the seed.
func (f *Fisher) Draws() bool { return f.Labels == "drawn" }
