package engine

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// recordRun runs g and leaves a record below folder runs.
func recordRun(t testing.TB, g *graph, store *cache.Dir, runs string) (*Record, *Summary) {
	t.Helper()
	p := g.plan(store, Options{})
	r, err := Create(runs, p, "test", []string{"regft", "run"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewLocal(store, 1<<20, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s, err := Run(t.Context(), p, x, RunOptions{Machine: stages.Resources{Cores: 4, Memory: 1 << 30}, LogDir: r.Dir}, r.Event)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(s); err != nil {
		t.Fatal(err)
	}
	return r, s
}

func readFile(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// golden is a small run with everything that results.jsonl can hold.
func golden(t testing.TB) *graph {
	g := conditional(t, "20", gate3)
	for _, i := range g.e.Instances {
		if i.Stage.Name == "best" {
			i.Oracle = true
		}
	}
	g.e.Spec.Axes = []*specs.Axis{{Name: "alpha"}}
	return g
}

func TestResultsGolden(t *testing.T) {
	r, s := recordRun(t, golden(t), newStore(t), t.TempDir())
	equal(t, "failed", s.Failed, 0)
	compareGolden(t, r, "small")
}

// compareGolden compares the results of a run with testdata/NAME.jsonl and .csv.
func compareGolden(t *testing.T, r *Record, name string) {
	t.Helper()
	for _, file := range []string{resultsFile, tableFile} {
		got := secondsField.ReplaceAllString(readFile(t, r.Dir, file), "${1}SECONDS")
		path := filepath.Join("testdata", name+filepath.Ext(file))
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if want := readFile(t, ".", path); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s\n(go test ./engine -update writes it)", file, got, want)
		}
	}
}

// secondsField is what differs between runs: the field of results.jsonl, the last column of results.csv.
var (
	secondsField = regexp.MustCompile(`(?m)("seconds":|,(?:true|false),)[0-9.e-]+`)
	update       = flag.Bool("update", false, "write goldens")
)

func TestARunThatRepeatsTheLastWritesNothing(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	r, _ := recordRun(t, golden(t), store, runs)
	last, err := OpenRun(runs, "latest")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the run is the latest", last.ID, r.ID)
	equal(t, "it is over", last.Alive(), false)
	p := golden(t).plan(store, Options{Last: last})
	equal(t, "repeats", p.Repeats(last), true)
	g := golden(t)
	g.e.Instances[0].Stage.Name = "renamed"
	equal(t, "a renamed stage is found", g.plan(store, Options{}).Active(), false)
	equal(t, "and is no repetition", g.plan(store, Options{}).Repeats(last), false)
	equal(t, "something to run is no repetition", diamond(t, "8").plan(store, Options{}).Repeats(last), false)
}

func TestReadingARunBack(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	g := chain(t, "1", "2")
	g.add(g.stage("bad", "fail"), "", "message: no luck")
	g.add(g.stage("two", "score", "a"), "a=x y", "", in("model", g.e.Instances[0]), in("data", g.e.Instances[1], g.e.Instances[2])).Parts = []string{"x", "y/z"}
	recordRun(t, g, store, runs)
	for _, ref := range []string{"latest", "test", filepath.Join(runs, "test", "latest")} {
		if _, err := OpenRun(runs, ref); err != nil {
			t.Errorf("opening %s: %v", ref, err)
		}
	}
	p, err := OpenRun(runs, "test")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Plan()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]NodeRecord{}
	for _, n := range plan.Nodes {
		byName[n.Name] = n
	}
	equal(t, "state of z", byName["z"].State, Done)
	equal(t, "state of bad", byName["bad"].State, Failed)
	equal(t, "error of bad", byName["bad"].Error, "no luck")
	if lines, err := p.Results(); err != nil || len(lines) != 5 {
		t.Errorf("%d results, %v", len(lines), err)
	}
	dir := t.TempDir()
	if err := p.Get(t.Context(), store, "z", "", filepath.Join(dir, "new", "z")); err != nil {
		t.Fatal(err)
	}
	equal(t, "what z gave", readFile(t, dir, "new/z/value.txt"), "113\n")
	if err := p.Get(t.Context(), store, "two[a=x y]", "", filepath.Join(dir, "two")); err != nil {
		t.Fatal(err)
	}
	equal(t, "a part", readFile(t, dir, "two/y%2Fz/value.txt"), "1\n")
	for _, bad := range []string{"zz", "z[a=1]", "z["} {
		if _, err := p.FindOne(bad); err == nil {
			t.Errorf("%s was found", bad)
		}
	}
	log, err := p.OpenLog(t.Context(), store, byName["bad"])
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, _ := io.ReadAll(log); !strings.Contains(string(text), "no luck") {
		t.Errorf("log of bad: %s", text)
	}
}

func TestLogsOfHitsAreInTheStore(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	recordRun(t, fan(t, 1, 0), store, runs)
	recordRun(t, fan(t, 1, 0), store, runs)
	p, err := OpenRun(runs, "test")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Plan()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "state", plan.Nodes[0].State, Hit)
	log, err := p.OpenLog(t.Context(), store, plan.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, _ := io.ReadAll(log); !strings.Contains(string(text), "waited") {
		t.Errorf("log: %q", text)
	}
}

func TestAKilledRunIsReadable(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	g := chain(t, "1", "2")
	p := g.plan(store, Options{})
	r, err := Create(runs, p, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Event(Event{Kind: NodeStarted, Node: 0, Name: "a"})
	past, err := OpenRun(runs, "latest")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "alive", past.Alive(), true)
	if _, err := r.events.WriteString(`{"event":"do`); err != nil { // torn by a kill
		t.Fatal(err)
	}
	plan, err := past.Plan()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "state of a", plan.Nodes[0].State, Running)
	if _, err := past.Results(); err == nil {
		t.Error("a run that goes on has results")
	}
	if err := r.Close(&Summary{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "alive after the end", past.Alive(), false)
}

func TestExplain(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	recordRun(t, chain(t, "1", "2"), store, runs)
	last, err := OpenRun(runs, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Last: last}, {}} { // against the last run, and against the store
		p := chain(t, "1", "3").plan(store, o)
		e, err := p.Explain(t.Context(), "y")
		if err != nil {
			t.Fatal(err)
		}
		if len(e) != 1 || len(e[0].Changes) != 1 || e[0].Changes[0].Field != "input inputs[0]" || e[0].Changes[0].From == nil {
			t.Fatalf("y: %+v", e)
		}
		x := e[0].Changes[0].From
		if len(x.Changes) != 1 || x.Changes[0].Field != "param plus" || x.Changes[0].Was != "2" || x.Changes[0].Now != "3" || x.Changes[0].Place == nil {
			t.Errorf("x: %+v", x)
		}
		if e, err := p.Explain(t.Context(), "a"); err != nil || e[0].State != Hit || e[0].Changes != nil {
			t.Errorf("a: %+v, %v", e, err)
		}
		if _, err := p.Explain(t.Context(), "nobody"); err == nil {
			t.Error("an unknown stage is explained")
		}
	}
}

// TestTheReferenceOfARunsFilesIsComplete looks for every field, event and state in docs/runs.md.
func TestTheReferenceOfARunsFilesIsComplete(t *testing.T) {
	doc := readFile(t, "..", "docs/runs.md")
	var names []string
	for _, v := range []any{Line{}, Event{}, NodeRecord{}, InstanceRecord{}} {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	for _, k := range []EventKind{RunStarted, NodeStarted, NodeProgress, NodeSeries, NodeHit, NodeDone, NodeFailed, NodeSkipped, NodeBlocked, NodeIdle, NodeElsewhere, NodeRetry, NodeNote, NodeWarning, RunEnded} {
		names = append(names, string(k))
	}
	for _, s := range []State{Hit, Work, Maybe, Blocked, Unknown, Idle, Skipped} {
		names = append(names, string(s))
	}
	for _, name := range names {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(doc) {
			t.Errorf("docs/runs.md says nothing of %s", name)
		}
	}
}
