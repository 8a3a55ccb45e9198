package engine

import (
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"
)

// load expands a spec file of testdata.
func load(t testing.TB, name string, sets ...string) *graph {
	t.Helper()
	spec, problems := specs.Load(filepath.Join("testdata", name), sets)
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
