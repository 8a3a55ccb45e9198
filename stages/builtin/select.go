package builtin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"regft/cache"
	"regft/stages"
)

var _ = stages.Register[Select](stages.Type{
	Name: "select", Version: 1, OutAs: "from",
	Doc: "Chooses the candidate whose scores are best.",
})

// Select hands on one of its candidates. NaN never wins; ties go to the first.
type Select struct {
	From     []stages.Input `yaml:"from" in:"any" doc:"the candidates, by gather"`
	Scores   []stages.Input `yaml:"scores" in:"scores" pool:"pool" doc:"their scores, by gather; a candidate with several counts by their mean"`
	Maximize *stages.Expr   `yaml:"maximize" cel:"metrics" doc:"what the best has most of"`
	Minimize *stages.Expr   `yaml:"minimize" cel:"metrics" doc:"what the best has least of"`
	Pool     []string       `yaml:"pool" optional:"true" axes:"replicates" key:"-" doc:"replicate axes that choose together, on the mean"`
}

// Validate wants one goal.
func (s *Select) Validate() error {
	if (s.Maximize == nil) == (s.Minimize == nil) {
		return errors.New("select needs one goal: maximize or minimize, CEL over metrics such as metrics.val.top1")
	}
	return nil
}

// ValidateInputs wants scores of its own for every candidate.
func (s *Select) ValidateInputs() error {
	if len(s.From) == 1 && len(s.From[0].Coords) == 0 {
		return stages.Problem{Param: "from", Text: "from: one candidate, and nothing to choose", Want: "gather: [AXIS], an axis that the candidates differ on"}
	}
	measured := map[string]bool{} // axes that some scores have
	for _, score := range s.Scores {
		for _, c := range score.Coords {
			measured[c.Axis] = true
		}
	}
	seen := map[string]int{}
	for i, from := range s.From {
		key := ""
		for _, c := range from.Coords {
			if measured[c.Axis] {
				key += fmt.Sprintf("%q=%q ", c.Axis, c.Key)
			}
		}
		j, same := seen[key]
		if !same {
			seen[key] = i
			continue
		}
		if len(from.Coords) == 0 {
			return stages.Problem{Param: "from", Text: "from: no gathered axis tells the candidates apart, so all of them have all the scores", Want: "one stage that depends on an axis, and gather: [AXIS]"}
		}
		for _, c := range from.Coords {
			if !measured[c.Axis] {
				return stages.Problem{Param: "scores", Text: fmt.Sprintf("scores: none depends on axis %s, by which candidates %s and %s differ: nothing says which is better", c.Axis, s.name(j), s.name(i)),
					Want: "scores of each candidate, made of what stands in from"}
			}
		}
	}
	return nil
}

// KeyLines say which scores belong to which candidate, by position, and which of them only pool.
func (s *Select) KeyLines() []string {
	lines := []string{"pairs " + stages.CanonicalJSON(s.pairs())}
	var pooled []int
	for j, score := range s.Scores {
		if score.Pooled {
			pooled = append(pooled, j)
		}
	}
	if pooled != nil {
		lines = append(lines, "pooled "+stages.CanonicalJSON(pooled))
	}
	return lines
}

// pairs lists, for each candidate, the scores that agree with it on every axis that both have.
func (s *Select) pairs() [][]int {
	out := make([][]int, len(s.From))
	for i, from := range s.From {
		for j, score := range s.Scores {
			if stages.Agree(from.Coords, score.Coords) {
				out[i] = append(out[i], j)
			}
		}
	}
	return out
}

// Run chooses, and hands on the files of the chosen.
func (s *Select) Run(ctx context.Context, env *stages.Env) error {
	pairs := s.pairs()
	best, at := math.NaN(), -1
	for i := range s.From {
		x, err := s.goal(pairs[i])
		if err != nil {
			return fmt.Errorf("candidate %s: %w", s.name(i), err)
		}
		if x > best || at < 0 && !math.IsNaN(x) {
			best, at = x, i
		}
	}
	if at < 0 {
		return fmt.Errorf("none of %d candidates has a score that is a number", len(s.From))
	}
	env.Host.Choose(at)
	own := slices.DeleteFunc(slices.Clone(pairs[at]), func(j int) bool { return s.Scores[j].Pooled })
	if len(own) == 0 {
		return fmt.Errorf("candidate %s, the chosen, has no score of this replicate: a condition left it out", s.name(at))
	}
	s.record(env, own)
	for _, f := range s.From[at].Artifact().Manifest.Files {
		env.Host.Output("", f)
	}
	return nil
}

// name is candidate i for people: its number, and its values on the gathered axes.
func (s *Select) name(i int) string {
	var values []string
	for _, c := range s.From[i].Coords {
		values = append(values, c.Axis+"="+c.Key)
	}
	if values == nil {
		return fmt.Sprint(i + 1)
	}
	return fmt.Sprintf("%d (%s)", i+1, strings.Join(values, ", "))
}

// goal is what is maximized, as the mean over the scores of one candidate.
func (s *Select) goal(scores []int) (float64, error) {
	if len(scores) == 0 {
		return 0, errors.New("it has no scores: from and scores must be gathered over the same axes")
	}
	expr, sign := s.Maximize, 1.0
	if expr == nil {
		expr, sign = s.Minimize, -1
	}
	sum := 0.0
	for _, j := range scores {
		v, err := expr.Eval(map[string]any{"metrics": positional(s.Scores[j].Parts)})
		if err != nil {
			return 0, err
		}
		x, ok := cache.DecodeFloat(v)
		if !ok {
			return 0, fmt.Errorf("%s gives %v, want a number", expr.Text, v)
		}
		sum += x
	}
	return sign * sum / float64(len(scores)), nil
}

// positional are the metrics of one scored instance, by the position of the data set.
func positional(parts []stages.Artifact) map[string]any {
	m := map[string]any{}
	for i, p := range parts {
		m[fmt.Sprint(i)] = p.Metrics
	}
	return m
}

// record keeps the metrics of the chosen by position of the data set: of this replicate; the mean where it has several scores
// there. Scores without a data set, which another program made, have no position.
func (s *Select) record(env *stages.Env, scores []int) {
	for i, part := range s.Scores[scores[0]].Parts {
		mean := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(part.Metrics)) {
			sum := 0.0
			for _, j := range scores {
				x, _ := cache.DecodeFloat(s.Scores[j].Parts[i].Metrics[name])
				sum += x
			}
			mean[name] = sum / float64(len(scores))
		}
		if s.Scores[scores[0]].Names != nil {
			env.Host.Metric(fmt.Sprint(i), mean)
			continue
		}
		for name, value := range mean {
			env.Host.Metric(name, value)
		}
	}
}
