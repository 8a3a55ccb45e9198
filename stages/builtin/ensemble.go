package builtin

import (
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
	From        *stages.Input  `yaml:"from" in:"classifier" doc:"linear: the classifier at alpha 0, such as the zero-shot one"`
	To          *stages.Input  `yaml:"to" in:"classifier" doc:"linear: the classifier at alpha 1, such as the fine-tuned one"`
	Alpha       *float64       `yaml:"alpha" min:"0" max:"1" doc:"linear: weight of to"`
	FisherFrom  *stages.Input  `yaml:"fisher_from" in:"fisher" doc:"linear: weighs from's parameters (arXiv 2111.09832)"`
	FisherTo    *stages.Input  `yaml:"fisher_to" in:"fisher" doc:"linear: weighs to's parameters"`
	FisherFloor float64        `yaml:"fisher_floor" default:"1e-8" min:"0" doc:"smallest Fisher value"`
	Models      []stages.Input `yaml:"models" in:"classifier" optional:"true" doc:"the ingredients of the methods that take a list"`
	Method      string         `yaml:"method" default:"linear" enum:"linear,uniform_soup,greedy_soup,task_arithmetic,ties,lines,ema" doc:"linear takes from, to and alpha; soups (arXiv 2203.05482), task_arithmetic (2212.04089), ties (2306.01708), lines (2410.17146) and ema take models"`
	Scores      []stages.Input `yaml:"scores" in:"scores" optional:"true" doc:"greedy_soup: of the models, each on data"`
	Data        *stages.Input  `yaml:"data" in:"images" doc:"greedy_soup: the held-out pictures on which soups are tried"`
	Ties        string         `yaml:"ties" default:"drop" enum:"drop,keep" doc:"greedy_soup: what becomes of an ingredient with which as many are right: the published code drops it"`
	Base        *stages.Input  `yaml:"base" in:"classifier" doc:"what the models were tuned from; where ema starts, by default at the first of the models"`
	Lambda      *float64       `yaml:"lambda" doc:"task_arithmetic (published: 0.3 to 0.4) and ties (1): scale of the task vector"`
	Keep        *float64       `yaml:"keep" min:"0" max:"1" doc:"ties: fraction of each task vector that stays (published: 0.2); lines: joins several models as ties does, not as their sum"`
	Aggregate   string         `yaml:"aggregate" default:"mean" enum:"mean,sum,max" doc:"how ties joins what agrees in sign"`
	FromScale   *float64       `yaml:"from_scale" doc:"lines: scale of the first layer and of what is outside the layers; without it |sum of task vectors| / |merged one| / models, as published"`
	ToScale     *float64       `yaml:"to_scale" doc:"lines: scale of the last layer (published for one model: 1)"`
	Beta        *float64       `yaml:"beta" doc:"lines: in place of to_scale, its rise over from_scale"`
	Decay       *float64       `yaml:"decay" min:"0" max:"1" doc:"ema: weight of the average so far"`
}

// ensembleTakes lists what each method must be given, and what else it may.
var ensembleTakes = map[string]struct{ needs, may []string }{
	"linear":          {[]string{"from", "to", "alpha"}, []string{"fisher_from", "fisher_to"}},
	"uniform_soup":    {[]string{"models"}, nil},
	"greedy_soup":     {[]string{"models", "scores", "data"}, nil},
	"task_arithmetic": {[]string{"models", "base", "lambda"}, nil},
	"ties":            {[]string{"models", "base", "lambda", "keep"}, nil},
	"lines":           {[]string{"models", "base"}, []string{"from_scale", "to_scale", "beta", "keep"}},
	"ema":             {[]string{"models", "decay"}, []string{"base"}},
}

// A presence tells whether a parameter is there.
type presence struct {
	name  string
	given bool
}

// presences are of the parameters that not every method takes.
func (e *Ensemble) presences() []presence {
	return []presence{
		{"from", e.From != nil}, {"to", e.To != nil}, {"alpha", e.Alpha != nil}, {"fisher_from", e.FisherFrom != nil},
		{"fisher_to", e.FisherTo != nil}, {"models", e.Models != nil}, {"scores", e.Scores != nil}, {"data", e.Data != nil},
		{"base", e.Base != nil}, {"lambda", e.Lambda != nil}, {"keep", e.Keep != nil}, {"from_scale", e.FromScale != nil},
		{"to_scale", e.ToScale != nil}, {"beta", e.Beta != nil}, {"decay", e.Decay != nil},
	}
}

// Validate wants what the method takes, and nothing that it does not.
func (e *Ensemble) Validate() error {
	takes := ensembleTakes[e.Method]
	var missing []string
	var rules []error
	for _, p := range e.presences() {
		switch needed := slices.Contains(takes.needs, p.name); {
		case needed && !p.given:
			missing = append(missing, p.name)
		case p.given && !needed && !slices.Contains(takes.may, p.name):
			rules = append(rules, fmt.Errorf("%s does not go with method: %s", p.name, e.Method))
		}
	}
	if missing != nil {
		rules = append(rules, fmt.Errorf("method: %s needs %s: %s missing", e.Method, listed(takes.needs), areOrIs(missing)))
	}
	return errors.Join(append(rules,
		stages.Rule((e.FisherFrom == nil) != (e.FisherTo == nil), "fisher_from and fisher_to go together: one of them is missing"),
		stages.Rule(e.Method == "lines" && (e.ToScale == nil) == (e.Beta == nil), "method: lines needs one of to_scale and beta"),
	)...)
}

// listed is a, b and c.
func listed(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func areOrIs(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return listed(names) + " are"
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

// KeyLines say which scores belong to which model of a greedy soup, by position.
func (e *Ensemble) KeyLines() []string {
	if e.Method != "greedy_soup" {
		return nil
	}
	return []string{"pairs " + stages.CanonicalJSON(e.pairs())}
}

// pairs lists, for each model, the scores that are its own: those that agree with it on every axis that both have, or
// where no axes tell them apart, those at its place in the list.
func (e *Ensemble) pairs() [][]int {
	out := make([][]int, len(e.Models))
	for i, m := range e.Models {
		for j, score := range e.Scores {
			if stages.Agree(m.Coords, score.Coords) {
				out[i] = append(out[i], j)
			}
		}
		if len(out[i]) > 1 && len(e.Scores) == len(e.Models) {
			out[i] = []int{i}
		}
	}
	return out
}
