package builtin

import (
	"context"

	"regft/stages"
)

var _ = stages.Register[Export](stages.Type{
	Name: "export", Version: 1, Out: stages.Files,
	Doc: "Writes a classifier as files that other programs load.",
})

// Export writes a classifier with its weights merged.
type Export struct {
	Classifier stages.Input `yaml:"classifier" in:"classifier" doc:"what to write"`
	Format     string       `yaml:"format" default:"transformers" enum:"transformers,open_clip" doc:"whose names and layout"`
}

// NotBuilt names the formats that plan only.
func (e *Export) NotBuilt() string {
	if e.Format != "transformers" {
		return "format: " + e.Format
	}
	return ""
}

// Run writes the folder that transformers loads.
func (e *Export) Run(ctx context.Context, env *stages.Env) error {
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	return stages.Publish(ctx, e.Classifier.Artifact(), dir)
}
