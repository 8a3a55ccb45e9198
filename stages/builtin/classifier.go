package builtin

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"regft/compute"
	"regft/datasets"
	"regft/models/clip"
	"regft/models/nn"
	"regft/stages"
)

// The files of a classifier: a Hugging Face CLIP folder in two shards, so that every classifier of one source shares
// the first by digest, and the head beside it.
const (
	configFile = "config.json"
	textShard  = "model-00001-of-00002.safetensors" // text tower and logit_scale
	imageShard = "model-00002-of-00002.safetensors"
	shardIndex = "model.safetensors.index.json"
	recipeFile = "merge.json" // an ensemble: its parents' own files lie below from/ and to/
)

// ownFiles are the files in which two classifiers of one source differ.
var ownFiles = []string{imageShard, clip.HeadFile}

// A classifier is one read into memory: image tower and head, merged if it is an ensemble.
type classifier struct {
	Config     clip.Config
	Pixels     clip.Preprocessor
	Classes    []datasets.Class
	Parameters nn.Arrays
}

func openClassifier(ctx context.Context, env *stages.Env, backend compute.Backend, a stages.Artifact) (*classifier, error) {
	classes, err := classesOf(ctx, a)
	if err != nil {
		return nil, err
	}
	parameters, c, err := readClassifier(ctx, env.Shared, backend, a, "")
	if err != nil {
		return nil, err
	}
	return &classifier{Config: c.Config, Pixels: c.Pixels, Classes: classes, Parameters: parameters}, nil
}

// readClassifier reads the classifier whose files lie below prefix of a, merging what is a recipe. What it merges stays
// in shared, if that is not nil, for the next recipe. The weights are not the caller's to change.
func readClassifier(ctx context.Context, shared *stages.Shared, backend compute.Backend, a stages.Artifact, prefix string) (nn.Arrays, *clip.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if _, ok := a.Manifest.Lookup(prefix + recipeFile); ok {
		return mergeRecipe(ctx, shared, backend, a, prefix)
	}
	files := layered{filesOf(ctx, a, prefix), filesOf(ctx, a, "")}
	c, err := clip.Open(backend, files)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a classifier: %w", err)
	}
	defer c.Close()
	parameters, err := c.Classifier(files)
	return parameters, c, err
}

// layered looks names up in its first files, then in the second: an ensemble's parents share what is not their own.
type layered struct{ own, shared *artifactFiles }

func (l layered) Names() []string {
	names := slices.Concat(l.own.Names(), l.shared.Names())
	slices.Sort(names)
	return slices.Compact(names)
}

func (l layered) Path(name string) (string, error) {
	if slices.Contains(l.own.Names(), name) {
		return l.own.Path(name)
	}
	return l.shared.Path(name)
}

// isLoRA tells whether a file of a classifier holds low-rank updates, which no classifier made from it has.
func isLoRA(name string) bool { return strings.HasPrefix(name, loraFolder+"/") }

// A recipe is published merged, as a folder that transformers loads.
var _ = stages.RegisterPublisher(stages.Classifier, publishClassifier)

func publishClassifier(ctx context.Context, a stages.Artifact, dir string) error {
	for _, f := range a.Manifest.Files {
		if f.Name == recipeFile || strings.Contains(f.Name, "/") && !isLoRA(f.Name) {
			continue
		}
		if err := a.CopyFile(ctx, f.Name, filepath.Join(dir, f.Name)); err != nil {
			return err
		}
	}
	if _, isRecipe := a.Manifest.Lookup(recipeFile); !isRecipe {
		return nil
	}
	backend, err := compute.New("")
	if err != nil {
		return err
	}
	parameters, _, err := readClassifier(ctx, nil, backend, a, "")
	if err != nil {
		return err
	}
	return writeOwn(dir, imageTower(parameters), parameters)
}
