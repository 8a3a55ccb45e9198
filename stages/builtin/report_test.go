package builtin_test

import (
	"html"
	"strings"
	"testing"

	"regft/cache"
	"regft/stages"
)

// TestReport: rows are labels and what varies, columns data sets, replicates folded; labels are in the key.
func TestReport(t *testing.T) {
	l := newLab(t)
	score := func(label, method, draw string, value float64) stages.Input {
		return stages.Input{
			Key: label, Names: []string{"photo", "sketch"},
			Coords: []stages.Coord{{Axis: "method", Key: method}, {Axis: "draw", Key: draw, Replicate: true}},
			Parts:  []stages.Artifact{l.scores(value), l.scores(value / 2)},
		}
	}
	inputs := map[string][]stages.Input{"scores": {
		score("tuned", "plain", "0", 0.5), score("tuned", "plain", "1", 0.7), score("tuned", "+ VC", "0", 0.8), score("merged", "plain", "0", 0.25),
	}}
	a := only(l.run("report", "", inputs))
	table := text(t, a, "table.md")
	for _, want := range []string{"photo", "sketch", "tuned", "merged", "+ VC", "60.0 ± 14.1", "30.0 ± 7.1", "80.0", "12.5"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table has no %q:\n%s", want, table)
		}
		if page := html.UnescapeString(text(t, a, "report.html")); !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if csv := text(t, a, "table.csv"); len(strings.Split(strings.TrimSpace(csv), "\n")) != 4 {
		t.Errorf("three rows give the CSV\n%s", csv)
	}
	lines := strings.Join(l.lines("report", "", inputs, false), "\n")
	inputs["scores"][0].Key = "renamed"
	if strings.Join(l.lines("report", "", inputs, false), "\n") == lines {
		t.Error("labels are not in the key")
	}
}

// scores are those of a data set with that accuracy.
func (l *lab) scores(top1 float64) stages.Artifact {
	l.t.Helper()
	metrics := map[string]any{"top1": top1}
	d, size, err := l.store.PutFile(l.ctx, write(l.t, stages.CanonicalJSON(metrics), l.t.TempDir(), "scores.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	return l.artifact(stages.Scores, []cache.File{{Name: "scores.json", Digest: d, Size: size}}, metrics)
}

// TestReportOfOtherMetrics: without top1 the table shows what there is.
func TestReportOfOtherMetrics(t *testing.T) {
	l := newLab(t)
	in := stages.Input{Key: "a", Names: []string{"photo"}, Parts: []stages.Artifact{l.artifact(stages.Scores, nil, map[string]any{"nll": 1.25})}}
	if table := text(t, only(l.run("report", "", map[string][]stages.Input{"scores": {in}})), "table.md"); !strings.Contains(table, "1.25") {
		t.Errorf("the table has no nll:\n%s", table)
	}
}
