package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"
)

// load expands a spec file of testdata.
func load(t testing.TB, name string, sets ...string) *graph {
	t.Helper()
	return loadPath(t, filepath.Join("testdata", name), sets...)
}

func loadPath(t testing.TB, path string, sets ...string) *graph {
	t.Helper()
	spec, problems := specs.Load(path, sets)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	e, problems := spec.Expand(t.Context())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return &graph{t, e}
}

// TestASpecRuns runs a spec with most of the language from the file to results.jsonl.
func TestASpecRuns(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	r, s := recordRun(t, load(t, "sweep.yaml"), store, runs)
	compareGolden(t, r, "sweep")
	again, s2 := recordRun(t, load(t, "sweep.yaml"), store, runs)
	equal(t, "executed again", s2.Executed, 0)
	equal(t, "failed again", s2.Failed, s.Failed)
	equal(t, "blocked again", s2.Blocked, s.Blocked)
	equal(t, "skipped again", s2.Skipped, s.Skipped)
	first, second := readFile(t, r.Dir, resultsFile), readFile(t, again.Dir, resultsFile)
	if first != strings.ReplaceAll(second, `"cached":true`, `"cached":false`) {
		t.Errorf("results from the cache differ:\n%s\n%s", first, second)
	}
}

// TestExplainNamesTheLineOfTheParameter changes a parameter that the spec gives.
func TestExplainNamesTheLineOfTheParameter(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	recordRun(t, load(t, "sweep.yaml"), store, runs)
	last, err := OpenRun(runs, "latest")
	if err != nil {
		t.Fatal(err)
	}
	p := load(t, "sweep.yaml", "stages.test.with.value=6").plan(store, Options{Last: last})
	e, err := p.Explain(t.Context(), "scores[style=photo,alpha=0,draw=0]")
	if err != nil {
		t.Fatal(err)
	}
	if len(e) != 2 || e[0].State != Hit || len(e[1].Changes) != 1 || e[1].Changes[0].From == nil {
		t.Fatalf("scores: %+v", e)
	}
	equal(t, "place of the list of data", e[1].Changes[0].Place.String(), "testdata/sweep.yaml:15:60")
	c := e[1].Changes[0].From.Changes[0]
	equal(t, "change below", c.Field+" "+c.Was+" "+c.Now, "param value 5 6")
}

// TestWhatARepetitionIs changes what no node depends on.
func TestWhatARepetitionIs(t *testing.T) {
	store, runs, dir := newStore(t), t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "spec.yaml")
	spec := "version: 1\nname: s\nsweep: {axes: {x: [1, 2]}}\nstages:\n  a: {uses: const, with: {value: \"${sweep.x}\"}}\n"
	repeats := func(text string) bool {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		last, err := OpenRun(runs, "s")
		if err != nil {
			t.Fatal(err)
		}
		return loadPath(t, path).plan(store, Options{Last: last}).Repeats(last)
	}
	if err := os.WriteFile(path, []byte(spec), 0o666); err != nil {
		t.Fatal(err)
	}
	recordRun(t, loadPath(t, path), store, runs)
	equal(t, "the same", repeats(spec), true)
	equal(t, "a comment", repeats("# why\n"+spec+"# end\n"), true)
	table := "tables:\n  t: {of: a, rows: [x], value: metrics.value}\n"
	equal(t, "a table more", repeats(spec+table), false)
	recordRun(t, loadPath(t, path), store, runs)
	equal(t, "the same table", repeats(spec+table+"    # comment\n"), true)
	equal(t, "another value", repeats(strings.Replace(spec, "[1, 2]", "[1, 3]", 1)), false)
	equal(t, "a point less", repeats(strings.Replace(spec, "[1, 2]", "[1]", 1)), false)
}

func TestWhatASetChanges(t *testing.T) {
	store := newStore(t)
	load(t, "sweep.yaml").run(store, Options{}, RunOptions{})
	_, _, l := load(t, "sweep.yaml", "stages.test.with.value=6").run(store, Options{}, RunOptions{})
	for name := range strings.FieldsSeq(l.names(NodeStarted)) {
		if stage, _, _ := strings.Cut(strings.TrimSuffix(name, ".test"), "["); stage != "test" && !strings.HasSuffix(name, ".test") && stage != "best" && stage != "pooled" {
			t.Errorf("%s ran for another test set", name)
		}
	}
}
