package builtin

import "regft/stages"

var _ = stages.Register[Inspect](stages.Type{
	Name: "inspect", Version: 1, Out: stages.Files,
	Doc: "Measures generated pictures against real ones: Fréchet distance in CLIP space, feature deviation, effective rank, duplicates, leaks, blank and broken pictures.",
})

// Inspect measures a set of pictures.
type Inspect struct {
	declared
	Data       stages.Input  `yaml:"data" in:"images" doc:"the pictures"`
	Reference  *stages.Input `yaml:"reference" in:"images" doc:"real pictures to compare with"`
	Classifier *stages.Input `yaml:"classifier" in:"classifier" doc:"whose features"`
}
