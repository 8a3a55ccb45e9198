package builtin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"regft/compute"
	"regft/models/clip"
	"regft/models/merge"
	"regft/models/nn"
	"regft/stages"
)

// MetricNames are of a greedy soup: how many models it has, and how many it could have had. Other methods have none.
func (e *Ensemble) MetricNames() []string {
	if e.Method != "greedy_soup" {
		return []string{}
	}
	return []string{"ingredients", "models"}
}

// A parent is a classifier that an ensemble is made of.
type parent struct {
	name     string // in errors
	prefix   string // of its own files in the recipe
	artifact stages.Artifact
}

// parents are all classifiers that e takes.
func (e *Ensemble) parents() []parent {
	var out []parent
	for _, p := range []struct {
		name string
		in   *stages.Input
	}{{"from", e.From}, {"to", e.To}, {"base", e.Base}} {
		if p.in != nil {
			out = append(out, parent{p.name, p.name + "/", p.in.Artifact()})
		}
	}
	for i, in := range e.Models {
		out = append(out, parent{fmt.Sprintf("models %d", i+1), modelPrefix(i), in.Artifact()})
	}
	return out
}

// Run writes the recipe: the parents' own files, by digest, and how they are merged.
func (e *Ensemble) Run(ctx context.Context, env *stages.Env) error {
	parents := e.parents()
	if err := sameStart(ctx, parents); err != nil {
		return err
	}
	if e.Method == "greedy_soup" {
		ingredients, err := e.greedy(ctx, env)
		if err != nil {
			return err
		}
		parents = nil
		for k, i := range ingredients {
			parents = append(parents, parent{prefix: modelPrefix(k), artifact: e.Models[i].Artifact()})
		}
		env.Host.Metric("ingredients", float64(len(ingredients)))
		env.Host.Metric("models", float64(len(e.Models)))
	}
	keepShared(env, parents[0].artifact)
	for _, p := range parents {
		keepOwn(env, p.artifact, p.prefix)
	}
	for prefix, in := range map[string]*stages.Input{fisherFromPrefix: e.FisherFrom, fisherToPrefix: e.FisherTo} {
		if in != nil {
			keepAll(env, in.Artifact(), prefix)
		}
	}
	return e.recipe(parents).write(env)
}

// recipe says how parents are merged.
func (e *Ensemble) recipe(parents []parent) recipe {
	r := recipe{Method: e.Method, Alpha: e.Alpha, Lambda: e.Lambda, Keep: e.Keep, Decay: e.Decay, FromScale: e.FromScale, ToScale: e.ToScale, Beta: e.Beta}
	if e.FisherFrom != nil {
		r.FisherFloor = &e.FisherFloor
	}
	if e.Keep != nil {
		r.Aggregate = merge.Aggregate(e.Aggregate)
	}
	for _, p := range parents {
		if strings.HasPrefix(p.prefix, modelsPrefix) {
			r.Models++
		}
	}
	return r
}

// keepOwn hands on, below prefix, the files in which a differs from others of its source.
func keepOwn(env *stages.Env, a stages.Artifact, prefix string) {
	for _, f := range a.Manifest.Files {
		if slices.Contains(ownFiles, f.Name) || f.Name == recipeFile || strings.Contains(f.Name, "/") && !isLoRA(f.Name) {
			f.Name = prefix + f.Name
			env.Host.Output("", f)
		}
	}
}

// keepAll hands on the files of a below prefix.
func keepAll(env *stages.Env, a stages.Artifact, prefix string) {
	for _, f := range a.Manifest.Files {
		f.Name = prefix + f.Name
		env.Host.Output("", f)
	}
}

// sameStart refuses classifiers that do not share their classes and their source.
func sameStart(ctx context.Context, parents []parent) error {
	first := parents[0]
	for _, p := range parents[1:] {
		if err := sameClasses(ctx, first.name, first.artifact, p.name, p.artifact); err != nil {
			return err
		}
		for _, file := range []string{"config.json", textShard} {
			a, _ := first.artifact.Manifest.Lookup(file)
			b, _ := p.artifact.Manifest.Lookup(file)
			if a.Digest != b.Digest {
				return fmt.Errorf("%s and %s come from different checkpoints (their %s differ): weights of models with different starts cannot be averaged", first.name, p.name, file)
			}
		}
	}
	return nil
}

// A tasting tries soups on held-out pictures.
type tasting struct {
	env      *stages.Env
	backend  compute.Backend
	pictures *pictureSet
	like     *classifier // of the soups' config and classes
}

// greedy chooses the ingredients of a greedy soup.
func (e *Ensemble) greedy(ctx context.Context, env *stages.Env) ([]int, error) {
	if err := sameClasses(ctx, "models 1", e.Models[0].Artifact(), "data", e.Data.Artifact()); err != nil {
		return nil, err
	}
	t := &tasting{env: env}
	var err error
	if t.backend, err = backendOf(env); err != nil {
		return nil, err
	}
	if t.pictures, err = openPictures(ctx, env, e.Data.Artifact()); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if t.like, err = openClassifier(ctx, t.env, t.backend, e.Models[0].Artifact()); err != nil {
		return nil, err
	}
	alone, err := e.alone(ctx, t.pictures.Labels)
	if err != nil {
		return nil, err
	}
	g := merge.Greedy{Correct: t.correct, KeepTies: e.Ties == "keep"}
	g.Model = func(i int) (nn.Arrays, error) {
		m, _, err := readClassifier(ctx, t.env.Shared, t.backend, e.Models[i].Artifact(), "")
		return m, err
	}
	g.OnAttempt = func(a merge.Attempt) {
		env.Log.Info().Int("model", a.Model+1).Int("correct", a.Correct).Int("best", a.Best).Bool("kept", a.Kept).Msg("soup tried")
	}
	return g.Choose(ctx, alone)
}

// alone counts what each model gets right by itself, from its scores on the pictures with those labels.
func (e *Ensemble) alone(ctx context.Context, labels []int) ([]int, error) {
	counts := make([]int, len(e.Models))
	for i, own := range e.pairs() {
		if len(own) != 1 {
			return nil, fmt.Errorf("models %d has %d scores, want one: gather models and scores over the same axes", i+1, len(own))
		}
		parts := e.Scores[own[0]].Parts
		if len(parts) != 1 {
			return nil, fmt.Errorf("scores %d are of %d sets of pictures: give those on data alone", own[0]+1, len(parts))
		}
		var err error
		if counts[i], err = correctOf(ctx, parts[0], labels); err != nil {
			return nil, fmt.Errorf("scores %d: %w", own[0]+1, err)
		}
	}
	return counts, nil
}

// correctOf counts the right answers among scores, which must be of pictures with those labels.
func correctOf(ctx context.Context, scores stages.Artifact, labels []int) (int, error) {
	logits, scored, err := readLogits(ctx, scores)
	if err != nil {
		return 0, err
	}
	if !sameLabels(scored, labels) {
		return 0, fmt.Errorf("they are not of data: %d labels that are not its %d", len(scored), len(labels))
	}
	return rightAnswers(logits, labels), nil
}

// correct counts the held-out pictures that parameters get right.
func (t *tasting) correct(ctx context.Context, parameters nn.Arrays) (int, error) {
	c := *t.like
	c.Parameters = parameters
	encoding, err := newEncoding(ctx, t.env, t.backend, &c, clip.Batch)
	if err != nil {
		return 0, err
	}
	defer encoding.close()
	features, err := encoding.features(ctx, t.pictures, func(int) {})
	if err != nil {
		return 0, err
	}
	logits, err := encoding.logits(ctx, features)
	if err != nil {
		return 0, err
	}
	return rightAnswers(logits, t.pictures.Labels), nil
}

// rightAnswers counts the rows of logits [labels, classes] whose label is the first.
func rightAnswers(logits []float32, labels []int) int {
	right, classes := 0, len(logits)/len(labels)
	for i, label := range labels {
		if rank, _, _ := place(logits[i*classes:(i+1)*classes], label); rank == 0 {
			right++
		}
	}
	return right
}
