package builtin

import (
	"context"
	"path/filepath"

	"regft/models/safetensors"
	"regft/stages"
)

var _ = stages.Register[FeaturesOf](stages.Type{
	Name: "features", Version: 1, Out: stages.Features,
	Doc: "Keeps what a classifier's image tower gives for each picture: projected, not normalised.",
})

// FeaturesOf encodes pictures.
type FeaturesOf struct {
	Classifier stages.Input `yaml:"classifier" in:"classifier" doc:"whose image tower"`
	Data       stages.Input `yaml:"data" in:"images" doc:"the pictures, in whose order the features stand"`
	BatchSize  int          `yaml:"batch_size" default:"32" min:"1" unit:"pictures" key:"-" doc:"encoded at once"`
}

// Run encodes every picture.
func (f *FeaturesOf) Run(ctx context.Context, env *stages.Env) error {
	encoding, pictures, err := openEncoding(ctx, env, f.Classifier.Artifact(), f.Data.Artifact(), f.BatchSize)
	if err != nil {
		return err
	}
	defer encoding.close()
	n := len(pictures.Labels)
	features, err := encoding.resumed(ctx, pictures, "features")
	if err != nil {
		return err
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	return writeTensors(filepath.Join(dir, "features.safetensors"), map[string]safetensors.Source{
		"features": safetensors.FromFloat32s(features, n, encoding.classifier.Config.Projection).Source(), "labels": labelTensor(pictures.Labels).Source(),
	})
}
