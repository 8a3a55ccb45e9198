package builtin

import (
	"context"
	"fmt"
	"path/filepath"

	"regft/datasets"
	"regft/models/clip"
	"regft/models/nn"
	"regft/models/safetensors"
	"regft/stages"
)

var _ = stages.Register[Export](stages.Type{
	Name: "export", Version: 1, Out: stages.Files,
	Doc: "Writes a classifier as files that other programs load.",
})

// Export writes a classifier with its weights merged.
type Export struct {
	Classifier stages.Input `yaml:"classifier" in:"classifier" doc:"what to write"`
	Format     string       `yaml:"format" default:"transformers" enum:"transformers,open_clip" doc:"whose names and layout: a folder for CLIPModel.from_pretrained, or for open_clip.create_model_and_transforms('local-dir:FOLDER'); head.safetensors and classes.txt lie beside the model in both"`
}

// Run writes the folder.
func (e *Export) Run(ctx context.Context, env *stages.Env) error {
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	if e.Format == "open_clip" {
		return e.openCLIP(ctx, env, dir)
	}
	return stages.Publish(ctx, e.Classifier.Artifact(), dir)
}

// openCLIP writes a folder that open_clip loads.
func (e *Export) openCLIP(ctx context.Context, env *stages.Env, dir string) error {
	a := e.Classifier.Artifact()
	backend, err := backendOf(env)
	if err != nil {
		return err
	}
	parameters, like, err := readClassifier(ctx, env.Shared, backend, a, "")
	if err != nil {
		return err
	}
	config, err := like.Config.OpenCLIP(like.Pixels)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, clip.OpenCLIPConfigFile), config); err != nil {
		return err
	}
	model, err := textTower(ctx, a)
	if err != nil {
		return err
	}
	head := nn.Arrays{}
	for name, p := range parameters {
		if clip.IsImageTower(name) {
			model[name] = p
		} else {
			head[name] = p
		}
	}
	if model, err = clip.OpenCLIPTensors(model); err != nil {
		return err
	}
	tensors := map[string]safetensors.Source{}
	for name, p := range model {
		tensors[name] = source(p)
	}
	if err := writeTensors(filepath.Join(dir, clip.OpenCLIPWeightsFile), tensors); err != nil {
		return err
	}
	if err := writeHead(dir, head); err != nil {
		return err
	}
	return a.CopyFile(ctx, datasets.ClassesFile, filepath.Join(dir, datasets.ClassesFile))
}

// textTower reads what a classifier shares with its source: the text tower, its projection, logit_scale.
func textTower(ctx context.Context, a stages.Artifact) (nn.Arrays, error) {
	path, err := a.Path(ctx, textShard)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the text tower: %w", err)
	}
	defer f.Close()
	out := nn.Arrays{}
	for _, name := range f.Names() {
		values, err := f.Float32s(name)
		if err != nil {
			return nil, fmt.Errorf("reading the text tower: %w", err)
		}
		t, _ := f.Lookup(name)
		out[name] = nn.Array{Shape: t.Shape, Values: values}
	}
	return out, nil
}
