package builtin

import (
	"context"
	"fmt"
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
	backend, err := backendOf(env)
	if err != nil {
		return err
	}
	c, err := openClassifier(ctx, backend, f.Classifier.Artifact())
	if err != nil {
		return err
	}
	pictures, err := openPictures(ctx, env, f.Data.Artifact())
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	encoding, err := newEncoding(ctx, env, backend, c, f.BatchSize)
	if err != nil {
		return err
	}
	defer encoding.close()
	n := len(pictures.Labels)
	features, err := encoding.features(ctx, pictures, func(done int) { env.Host.Progress(done, n, "pictures") })
	if err != nil {
		return err
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	return writeTensors(filepath.Join(dir, "features.safetensors"), map[string]safetensors.Source{
		"features": safetensors.FromFloat32s(features, n, c.Config.Projection).Source(), "labels": labelTensor(pictures.Labels).Source(),
	})
}
