package builtin

import (
	"bytes"
	"context"
	"fmt"

	"regft/report"
	"regft/stages"
)

var _ = stages.Register[Report](stages.Type{
	Name: "report", Version: 1, Out: stages.Files,
	Doc: "Draws a table and charts of scores.",
})

// Report draws scores: rows are labels and the axes that vary, columns data sets, replicates folded.
type Report struct {
	Scores []stages.Input `yaml:"scores" in:"scores" shape:"map" doc:"a mapping of labels to scores"`
}

// KeyLines are what the report shows beside the scores: labels, points and names of data.
func (r *Report) KeyLines() []string {
	var lines []string
	for _, in := range r.Scores {
		point := [][]any{}
		for _, c := range in.Coords {
			point = append(point, []any{c.Axis, c.Key, c.Replicate})
		}
		lines = append(lines, "row "+stages.CanonicalJSON([]any{in.Key, point, in.Names}))
	}
	return lines
}

// Run writes report.html, and the table as table.md and table.csv.
func (r *Report) Run(ctx context.Context, env *stages.Env) error {
	group := report.Group{Title: "Scores"}
	var axes []report.Axis
	known := map[string]bool{}
	for _, in := range r.Scores {
		e := report.Entry{Label: in.Key, Point: map[string]string{}, Metrics: map[string]any{}}
		for _, c := range in.Coords {
			e.Point[c.Axis] = c.Key
			if !known[c.Axis] {
				known[c.Axis] = true
				axes = append(axes, report.Axis{Name: c.Axis, Replicates: c.Replicate})
			}
		}
		for i, part := range in.Parts {
			e.ID += part.Digest.String()
			e.Metrics[partName(in, i)] = part.Metrics
		}
		group.Entries = append(group.Entries, e)
	}
	return writeReport(env, report.Page{Title: "Scores", Axes: axes, Groups: []report.Group{group}})
}

func partName(in stages.Input, i int) string {
	if i < len(in.Names) {
		return in.Names[i]
	}
	return fmt.Sprint(i)
}

func writeReport(env *stages.Env, page report.Page) error {
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		return err
	}
	table := report.NewTable(page.Groups[0], page.Axes, "")
	for name, text := range map[string]string{"report.html": html.String(), "table.md": table.Markdown(), "table.csv": table.CSV()} {
		if err := env.WriteFile(name, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
