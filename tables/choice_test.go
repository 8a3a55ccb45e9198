package tables_test

import (
	"testing"

	"regft/engine"
	"regft/specs"
	"regft/tables"

	"github.com/google/go-cmp/cmp"
)

// TestChoicesAndConstantHeads draws what a paper's main table needs: the mean of fractions in percent, the chosen alpha,
// no column that is the same in every row, and the name of a row that failed.
func TestChoicesAndConstantHeads(t *testing.T) {
	e := expand(t, t.TempDir(), `version: 1
sweep: {axes: {prompts: {all: 1}, method: {plain: 1, both: 2, broken: 3}, alpha: [0, 0.5]}}
stages:
  data: {uses: const, with: {value: "${sweep.prompts}"}}
  test: {uses: const, with: {value: "${sweep.prompts + 1}"}}
  merged: {uses: const, with: {value: "${sweep.method + sweep.alpha}"}}
  scores: {uses: score, with: {model: stages.merged, data: stages.data}}
  best: {uses: pick, gather: [alpha], with: {from: stages.merged, scores: stages.scores, maximize: metrics.data.top1}}
  final: {uses: score, with: {model: stages.best, data: stages.test}}
tables: {main: {of: final, rows: [prompts, method], value: {mean: (metrics.test.top1 + metrics.test.top1) / 2}}}
`)
	got := tables.Build(e, func(i *specs.Instance) engine.Measure {
		switch {
		case i.Coords[len(i.Coords)-1].Key == "broken":
			return engine.Measure{Failed: true}
		case i.Stage.Name == "best":
			return engine.Measure{Outcome: specs.Outcome{Chosen: map[string]any{"alpha": 0.5}}, Standing: engine.Current}
		}
		metrics := map[string]any{"test": map[string]any{"top1": 0.5}}
		return engine.Measure{Outcome: specs.Outcome{Metrics: metrics}, Standing: engine.Current}
	})[0]
	if diff := cmp.Diff([]string{"method"}, got.Heads); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"alpha"}, got.Chosen); diff != "" {
		t.Errorf("chosen axes (-want +got):\n%s", diff)
	}
	var rows [][]string
	for _, r := range got.Rows {
		rows = append(rows, append(append(append([]string{}, r.Heads...), r.Cells[0].Text), r.Chosen...))
	}
	want := [][]string{{"plain", "50.0", "0.5"}, {"both", "50.0", "0.5"}, {"broken", "failed", ""}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
