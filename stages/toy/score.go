package toy

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"regft/cache"
	"regft/stages"
)

// Score judges a model on data: metric top1 is 1/(1+|model-data|), as evaluate gives accuracies.
type Score struct {
	Model stages.Input   `yaml:"model" in:"any" doc:"what is judged"`
	Data  []stages.Input `yaml:"data" in:"files,images" each:"node" doc:"what it is judged on; metrics are named after it"`
}

var _ = stages.Register[Score](stages.Type{Name: "score", Doc: "How near a model's value is to the data's.", Version: 1, Out: stages.Scores})

// MetricNames implements stages.Measurer.
func (s *Score) MetricNames() []string { return []string{"top1", "value"} }

// Run implements stages.Runner.
func (s *Score) Run(ctx context.Context, env *stages.Env) error {
	model, err := valueOf([]stages.Input{s.Model})
	if err != nil {
		return err
	}
	data, err := valueOf(s.Data)
	if err != nil {
		return err
	}
	distance := max(model-data, data-model)
	env.Host.Metric("top1", 1/(1+distance))
	if err := env.WriteFile("top1.txt", fmt.Appendf(nil, "%v\n", 1/(1+distance))); err != nil {
		return err
	}
	return result(env, model)
}

// Pick gives the best of its candidates, as select does.
type Pick struct {
	From     []stages.Input `yaml:"from" in:"any" doc:"the candidates"`
	Scores   []stages.Input `yaml:"scores" in:"scores" pool:"pool" doc:"what they are judged by"`
	Maximize stages.Expr    `yaml:"maximize" cel:"metrics" doc:"the larger the better"`
	Pool     []string       `yaml:"pool" optional:"true" axes:"replicates" key:"-" doc:"replicates that choose together"`
}

var _ = stages.Register[Pick](stages.Type{Name: "pick", Doc: "The best of several artifacts.", Version: 1, OutAs: "from"})

// KeyLines implements stages.Keyer: which scores belong to which candidate, and which of them are another replicate's.
func (p *Pick) KeyLines() []string {
	var lines []string
	for i := range p.From {
		lines = append(lines, fmt.Sprintf("pair %d %v", i, p.scoresOf(i)))
	}
	for j, s := range p.Scores {
		if s.Pooled {
			lines = append(lines, fmt.Sprintf("pooled %d", j))
		}
	}
	return lines
}

// scoresOf lists the scores of candidate i: those that agree with it on every axis that both have.
func (p *Pick) scoresOf(i int) []int {
	var out []int
	for j, s := range p.Scores {
		if stages.Agree(p.From[i].Coords, s.Coords) {
			out = append(out, j)
		}
	}
	return out
}

// Run implements stages.Runner.
func (p *Pick) Run(ctx context.Context, env *stages.Env) error {
	best, most := -1, 0.0
	for i := range p.From {
		mean, err := p.mean(i)
		if err != nil {
			return err
		}
		if best < 0 || mean > most {
			best, most = i, mean
		}
	}
	if best < 0 {
		return errors.New("nothing to choose from")
	}
	env.Host.Choose(best)
	for _, j := range p.scoresOf(best) {
		if p.Scores[j].Pooled {
			continue
		}
		for part, a := range p.Scores[j].Parts {
			env.Host.Metric(strconv.Itoa(part), a.Metrics)
		}
		break
	}
	for _, f := range p.From[best].Artifact().Manifest.Files {
		env.Host.Output("", f)
	}
	return nil
}

// mean is the mean over candidate i's scores of what is maximised.
func (p *Pick) mean(i int) (float64, error) {
	scores := p.scoresOf(i)
	if len(scores) == 0 {
		return 0, fmt.Errorf("candidate %d has no score", i)
	}
	total := 0.0
	for _, j := range scores {
		parts := map[string]any{}
		for part, a := range p.Scores[j].Parts {
			parts[strconv.Itoa(part)] = a.Metrics
		}
		v, err := p.Maximize.Eval(map[string]any{"metrics": parts})
		if err != nil {
			return 0, err
		}
		x, ok := cache.DecodeFloat(v)
		if !ok {
			return 0, fmt.Errorf("maximize gave %v, not a number", v)
		}
		total += x
	}
	return total / float64(len(scores)), nil
}
