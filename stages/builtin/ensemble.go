package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regft/stages"
)

var _ = stages.Register[Ensemble](stages.Type{
	Name: "ensemble", Version: 1, Out: stages.Classifier,
	Doc: "Merges classifiers in weight space; linear is WiSE-FT (arXiv 2109.01903, eq. 1): (1 − alpha)·from + alpha·to.",
})

// Ensemble merges the weights of classifiers. Its output is a recipe: the weights are merged where they are used.
type Ensemble struct {
	From        *stages.Input  `yaml:"from" in:"classifier" doc:"the classifier at alpha 0, such as the zero-shot one"`
	To          *stages.Input  `yaml:"to" in:"classifier" doc:"the classifier at alpha 1, such as the fine-tuned one"`
	Alpha       *float64       `yaml:"alpha" min:"0" max:"1" doc:"weight of to"`
	FisherFrom  *stages.Input  `yaml:"fisher_from" in:"fisher" doc:"weighs from's parameters"`
	FisherTo    *stages.Input  `yaml:"fisher_to" in:"fisher" doc:"weighs to's parameters"`
	FisherFloor float64        `yaml:"fisher_floor" default:"1e-8" min:"0" doc:"smallest Fisher value"`
	Models      []stages.Input `yaml:"models" in:"classifier" optional:"true" doc:"the ingredients of the methods that take a list"`
	Method      string         `yaml:"method" default:"linear" enum:"linear,uniform_soup,greedy_soup,task_arithmetic,ties,lines,ema" doc:"linear takes from, to and alpha; the others take models"`
	Scores      []stages.Input `yaml:"scores" in:"scores" optional:"true" doc:"of the models, for greedy_soup"`
	Ties        string         `yaml:"ties" default:"drop" enum:"drop,keep" doc:"what greedy_soup does with an ingredient that changes nothing"`
	Base        *stages.Input  `yaml:"base" in:"classifier" doc:"what the models were tuned from"`
	Lambda      *float64       `yaml:"lambda" doc:"scale of the task vector"`
	Keep        *float64       `yaml:"keep" min:"0" max:"1" doc:"fraction of each task vector that ties keeps"`
	Aggregate   string         `yaml:"aggregate" default:"mean" enum:"mean,sum,max" doc:"how ties joins what agrees in sign"`
	FromScale   *float64       `yaml:"from_scale" doc:"scale of the first layer, for lines"`
	ToScale     *float64       `yaml:"to_scale" doc:"scale of the last layer, for lines"`
	Decay       *float64       `yaml:"decay" min:"0" max:"1" doc:"of ema"`
}

// Validate wants what the method takes.
func (e *Ensemble) Validate() error {
	if e.Method == "linear" && (e.From == nil || e.To == nil || e.Alpha == nil) {
		return errors.New("a linear ensemble needs from, to and alpha")
	}
	return nil
}

// NotBuilt names the methods that plan only.
func (e *Ensemble) NotBuilt() string {
	switch {
	case e.Method != "linear":
		return "method: " + e.Method
	case e.FisherFrom != nil || e.FisherTo != nil:
		return "Fisher weights (fisher_from, fisher_to)"
	}
	return ""
}

// CopyOf says that the ends of the line are its parents, with Fisher weights too.
func (e *Ensemble) CopyOf() string {
	switch {
	case e.Method != "linear" || e.Alpha == nil:
		return ""
	case *e.Alpha == 0:
		return "from"
	case *e.Alpha == 1:
		return "to"
	}
	return ""
}

// Run writes the recipe: the digests of both classifiers' own files, and the weight of each.
func (e *Ensemble) Run(ctx context.Context, env *stages.Env) error {
	from, to := e.From.Artifact(), e.To.Artifact()
	if err := sameStart(ctx, from, to); err != nil {
		return err
	}
	text, err := json.Marshal(recipe{Method: e.Method, Alpha: *e.Alpha})
	if err != nil {
		return fmt.Errorf("writing the recipe: %w", err)
	}
	keepShared(env, from)
	keepOwn(env, from, "from/")
	keepOwn(env, to, "to/")
	return env.WriteFile(recipeFile, append(text, '\n'))
}

// keepOwn hands on, below prefix, the files in which a differs from others of its source.
func keepOwn(env *stages.Env, a stages.Artifact, prefix string) {
	for _, f := range a.Manifest.Files {
		if slices.Contains(ownFiles, f.Name) || f.Name == recipeFile || strings.Contains(f.Name, "/") {
			f.Name = prefix + f.Name
			env.Host.Output("", f)
		}
	}
}

// sameStart refuses classifiers that do not share their classes and their source.
func sameStart(ctx context.Context, from, to stages.Artifact) error {
	if err := sameClasses(ctx, "from", from, "to", to); err != nil {
		return err
	}
	for _, name := range []string{configFile, textShard} {
		a, inFrom := from.Manifest.Lookup(name)
		b, inTo := to.Manifest.Lookup(name)
		if !inFrom || !inTo || a.Digest != b.Digest {
			return fmt.Errorf("from and to come from different checkpoints (their %s differ): weights of models with different starts cannot be averaged", name)
		}
	}
	return nil
}
