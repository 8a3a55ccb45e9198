package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// diamond is a, b = a + 1, c = a + 2, d = b + c.
func diamond(t testing.TB, value string) *graph {
	g := newGraph(t)
	sa, sb, sc, sd := g.stage("a", "const"), g.stage("b", "sum"), g.stage("c", "sum"), g.stage("d", "sum")
	a := g.add(sa, "", "value: "+value)
	b := g.add(sb, "", "plus: 1", in("inputs", a))
	c := g.add(sc, "", "plus: 2", in("inputs", a))
	g.add(sd, "", "", in("inputs", b, c))
	return g
}

func TestRunThenNothing(t *testing.T) {
	store := newStore(t)
	p, s, _ := diamond(t, "1").run(store, Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 4)
	equal(t, "failed", s.Failed, 0)
	equal(t, "value of d", p.Nodes[3].Result.Metrics["value"], any(5.0))
	p, s, _ = diamond(t, "1").run(store, Options{}, RunOptions{})
	equal(t, "executed again", s.Executed, 0)
	equal(t, "hits", s.Hits, 4)
	equal(t, "hit states", states(p, Hit), "a b c d")
	equal(t, "active", p.Active(), false)
}

func TestEqualInstancesAreOneNode(t *testing.T) {
	g := newGraph(t)
	one, two, top := g.stage("one", "const", "x"), g.stage("two", "const"), g.stage("top", "sum", "x")
	a := g.add(one, "x=1", "value: 1")
	b := g.add(one, "x=2", "value: 1.0")
	c := g.add(two, "", "value: 1, note: changes nothing")
	g.add(top, "x=1", "", in("inputs", a, c))
	g.add(top, "x=2", "", in("inputs", b, c))
	p := g.plan(newStore(t), Options{})
	equal(t, "nodes", len(p.Nodes), 2)
	counts := p.Counts()
	for name, want := range map[string][2]int{"one": {2, 1}, "two": {1, 1}, "top": {2, 1}} {
		equal(t, "instances of "+name, counts.Stages[name].Instances, want[0])
		equal(t, "nodes of "+name, counts.Stages[name].Nodes, want[1])
	}
}

func TestEachDataSetIsANode(t *testing.T) {
	store := newStore(t)
	build := func(data int) *graph {
		g := newGraph(t)
		model := g.add(g.stage("model", "const"), "", "value: 3")
		var sets []*specs.Instance
		for k := range data {
			name := string(rune('a' + k))
			sets = append(sets, g.add(g.stage(name, "const"), "", "value: "+string(rune('1'+k))))
		}
		s := g.add(g.stage("scores", "score"), "", "", in("model", model), in("data", sets...))
		s.Parts = []string{"a", "b", "c"}[:data]
		return g
	}
	p, s, _ := build(2).run(store, Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 5)
	equal(t, "score nodes", p.Counts().Stages["scores"].Nodes, 2)
	p, _, l := build(3).run(store, Options{}, RunOptions{})
	equal(t, "started for one data set more", l.names(NodeStarted), "scores.c") // c is equal to model
	metrics := p.Results()[4].Metrics
	equal(t, "metric of b", metrics["b"].(map[string]any)["top1"], any(0.5))
	equal(t, "metric of c", metrics["c"].(map[string]any)["top1"], any(1.0))
}

// merges are blends of two constants at several alphas, and a sum of each.
func merges(t testing.TB, alphas ...string) *graph {
	g := newGraph(t)
	from := g.add(g.stage("from", "const"), "", "value: 1")
	to := g.add(g.stage("to", "sum"), "", "plus: 2", in("inputs", g.add(g.stage("base", "const"), "", "value: 0")))
	merged, score := g.stage("merged", "blend", "alpha"), g.stage("score", "sum", "alpha")
	for _, alpha := range alphas {
		m := g.add(merged, "alpha="+alpha, "alpha: "+alpha, in("from", from), in("to", to))
		g.add(score, "alpha="+alpha, "", in("inputs", m))
	}
	return g
}

func TestEnsembleAtItsEndsIsItsParent(t *testing.T) {
	p, s, _ := merges(t, "0", "0.5", "1").run(newStore(t), Options{}, RunOptions{})
	counts := p.Counts()
	equal(t, "merged nodes", counts.Stages["merged"].Nodes, 1)
	equal(t, "merged instances", counts.Stages["merged"].Instances, 1)
	equal(t, "score nodes", counts.Stages["score"].Nodes, 3)
	equal(t, "executed", s.Executed, 7)
	var values []any
	for _, l := range p.Results() {
		if l.Stage == "score" {
			values = append(values, l.Metrics["value"])
		}
	}
	if len(values) != 3 || values[0] != 1.0 || values[1] != 1.5 || values[2] != 2.0 {
		t.Errorf("scores: %v", values)
	}
}

func TestACopyNeedsOnlyItsParent(t *testing.T) {
	_, _, l := merges(t, "0").run(newStore(t), Options{}, RunOptions{})
	equal(t, "started", l.names(NodeStarted), "from score[alpha=0]")
}

func TestOnlyWhatIsNeededRuns(t *testing.T) {
	g := diamond(t, "1")
	extra := g.add(g.stage("extra", "const"), "", "value: 9")
	extra.Needed = false
	p, s, _ := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 4)
	equal(t, "nodes of extra", p.Counts().Stages["extra"].Nodes, 0)
	equal(t, "idle", states(p, Idle), "extra")
}

func TestOnly(t *testing.T) {
	_, _, l := diamond(t, "1").run(newStore(t), Options{Only: func(i *specs.Instance) bool { return i.Stage.Name == "b" }}, RunOptions{})
	equal(t, "started", l.names(NodeStarted), "a b")
}

// chain is x = value + plus, y = x + 10, z = y + 100.
func chain(t testing.TB, value, plus string) *graph {
	g := newGraph(t)
	a := g.add(g.stage("a", "const"), "", "value: "+value)
	x := g.add(g.stage("x", "sum"), "", "plus: "+plus, in("inputs", a))
	y := g.add(g.stage("y", "sum"), "", "plus: 10", in("inputs", x))
	g.add(g.stage("z", "sum"), "", "plus: 100", in("inputs", y))
	return g
}

func TestEarlyCutoff(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	recordRun(t, chain(t, "1", "2"), store, runs)
	last, err := OpenRun(runs, "test")
	if err != nil {
		t.Fatal(err)
	}
	g := chain(t, "2", "1")
	p := g.plan(store, Options{Last: last})
	equal(t, "run", states(p, Work), "a x")
	equal(t, "reason of a", p.Nodes[0].Reason, "changed")
	equal(t, "reason of x", p.Nodes[1].Reason, "changed")
	equal(t, "maybe", states(p, Maybe), "y z")
	s, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "started", l.names(NodeStarted), "a x")
	equal(t, "spared", s.Spared, 2)
	p = chain(t, "2", "1").plan(store, Options{})
	equal(t, "hits afterwards", states(p, Hit), "a x y z")
}

func TestReasonsOfAFirstRun(t *testing.T) {
	p := chain(t, "1", "2").plan(newStore(t), Options{})
	equal(t, "run", states(p, Work), "a x y z")
	equal(t, "reason", p.Nodes[3].Reason, "new")
}

func TestRevertingRunsNothing(t *testing.T) {
	store := newStore(t)
	chain(t, "1", "2").run(store, Options{}, RunOptions{})
	chain(t, "5", "2").run(store, Options{}, RunOptions{})
	_, s, _ := chain(t, "1", "2").run(store, Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 0)
}

func TestForceReplacesTheRecord(t *testing.T) {
	store := newStore(t)
	build := func() *graph {
		g := newGraph(t)
		u := g.add(g.stage("u", "odd"), "", "how: unlike")
		g.add(g.stage("v", "odd"), "", "how: unlike", in("inputs", u))
		return g
	}
	p, _, _ := build().run(store, Options{}, RunOptions{})
	first := p.Nodes[0].Result
	p = build().plan(store, Options{Force: []string{"u"}})
	equal(t, "forced", states(p, Work), "u")
	equal(t, "maybe", states(p, Maybe), "v")
	_, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "started", l.names(NodeStarted), "u v")
	equal(t, "told of other bytes", l.names(NodeNote), "u")
	p = build().plan(store, Options{})
	equal(t, "hits", states(p, Hit), "u v")
	if p.Nodes[0].Result.Outputs[""] == first.Outputs[""] {
		t.Error("the record was not replaced")
	}
	if _, err := NewPlan(t.Context(), build().e, store, Options{Force: []string{"w"}}); err == nil {
		t.Error("--force of an unknown stage is no error")
	}
}

func TestContentThatIsGone(t *testing.T) {
	store := newStore(t)
	chain(t, "1", "2").run(store, Options{}, RunOptions{})
	if err := os.RemoveAll(filepath.Join(store.Root(), "blobs")); err != nil {
		t.Fatal(err)
	}
	reopened, err := cache.OpenDir(store.Root())
	if err != nil {
		t.Fatal(err)
	}
	p := chain(t, "1", "2").plan(reopened, Options{})
	equal(t, "a hit has its content", states(p, Hit), "")
	equal(t, "all are made again", states(p, Work), "a x y z")
	g := chain(t, "1", "2")
	g.add(g.stage("w", "sum"), "", "plus: 7", in("inputs", g.e.Instances[2]))
	p, s, l := g.run(reopened, Options{}, RunOptions{})
	equal(t, "started", l.names(NodeStarted), "a x y z w")
	equal(t, "failed", s.Failed, 0)
	equal(t, "told of other bytes", l.names(NodeNote), "")
	equal(t, "reason of y", p.Nodes[2].Reason, "gone")
	p = chain(t, "1", "2").plan(reopened, Options{})
	equal(t, "hits", states(p, Hit), "a x y z")
}

// An edited intermediate is noticed, set aside and made again; what is made of it stays.
func TestContentThatWasEdited(t *testing.T) {
	store := newStore(t)
	p, _, _ := chain(t, "1", "2").run(store, Options{}, RunOptions{})
	m, err := store.Manifest(t.Context(), p.Nodes[1].Result.Outputs[""])
	if err != nil {
		t.Fatal(err)
	}
	path, err := store.Path(t.Context(), m.Files[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, []byte("edited"), 0o644)); err != nil {
		t.Fatal(err)
	}
	p, s, l := chain(t, "1", "2").run(store, Options{}, RunOptions{})
	equal(t, "started", l.names(NodeStarted), "x")
	equal(t, "reason", p.Nodes[1].Reason, "gone")
	equal(t, "spared", s.Spared, 2)
	if got, err := os.ReadFile(path); err != nil || string(got) == "edited" {
		t.Errorf("the content is %q, %v", got, err)
	}
}

func TestMissingRecordAboveAHit(t *testing.T) {
	store := newStore(t)
	p, _, _ := chain(t, "1", "2").run(store, Options{}, RunOptions{})
	removeResult(t, store, p.Nodes[1].Action)
	p = chain(t, "1", "2").plan(store, Options{})
	equal(t, "hit, found by recipe", states(p, Hit), "a y z")
	equal(t, "not needed", states(p, Idle), "x")
	equal(t, "active", p.Active(), false)
}

func removeResult(t *testing.T, store *cache.Dir, action cache.ActionID) {
	t.Helper()
	hex := strings.TrimPrefix(action.String(), "sha256:")
	if err := os.Remove(filepath.Join(store.Root(), "results", hex[:2], hex[2:])); err != nil {
		t.Fatal(err)
	}
}

// reads is a reader of path and a sum of it.
func reads(t testing.TB, path string) *graph {
	g := newGraph(t)
	r := g.add(g.stage("r", "reader"), "", "path: "+path)
	g.add(g.stage("s", "sum"), "", "", in("inputs", r))
	return g
}

func TestSources(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	path := filepath.Join(dir, "data")
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	started := func(path string) string {
		t.Helper()
		_, _, l := reads(t, path).run(store, Options{}, RunOptions{})
		return l.names(NodeStarted)
	}
	p := reads(t, path).plan(store, Options{})
	equal(t, "unknown", states(p, Unknown), "r")
	equal(t, "blocked", states(p, Blocked), "s")
	place := p.Expansion.Spec.Stages[0].Place
	at := fmt.Sprintf("%s:%d:%d: r: ", place.File, place.Line, place.Column)
	if len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0], at) || !strings.Contains(p.Warnings[0], path) {
		t.Errorf("warnings: %q", p.Warnings)
	}
	if _, _, err := runPlan(t.Context(), t, p, store, RunOptions{}); err == nil || !strings.HasPrefix(err.Error(), at) || !strings.Contains(err.Error(), path) {
		t.Errorf("running without the file: %v", err)
	}
	write("1.txt", "one")
	equal(t, "first", started(path), "r s")
	write("1.txt", "one")
	equal(t, "touched", started(path), "")
	write("1.txt", "one!")
	equal(t, "edited", started(path), "r s")
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	equal(t, "moved", started(moved), "")
}

func TestUnknownNodesAreToldApartByPath(t *testing.T) {
	g := newGraph(t)
	s := g.stage("r", "reader", "x")
	g.add(s, "x=1", "path: /nowhere/a")
	g.add(s, "x=2", "path: /nowhere/a")
	g.add(s, "x=3", "path: /nowhere/b")
	p := g.plan(newStore(t), Options{})
	equal(t, "nodes", len(p.Nodes), 2)
	equal(t, "unknown", p.Counts().Stages["r"].Unknown, 2)
}

func TestFalseConditionSparesAMissingFile(t *testing.T) {
	g := newGraph(t)
	r := g.add(g.stage("r", "reader"), "", "path: /nowhere/a")
	r.When = &specs.Condition{Text: "false", Eval: func(func(*specs.Instance) specs.Outcome) (bool, error) { return false, nil }}
	p, s, _ := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "skipped", states(p, Skipped), "r")
	equal(t, "failed", s.Failed, 0)
}

func TestChangedFileIsAnErrorWithItsName(t *testing.T) {
	store, path := newStore(t), filepath.Join(t.TempDir(), "f.txt")
	if err := os.WriteFile(path, []byte("one"), 0o666); err != nil {
		t.Fatal(err)
	}
	p := reads(t, path).plan(store, Options{})
	if err := os.WriteFile(path, []byte("other"), 0o666); err != nil {
		t.Fatal(err)
	}
	s, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "failed", s.Failed, 1)
	for _, e := range l.events {
		if e.Kind == NodeFailed && !strings.Contains(e.Error, path) {
			t.Errorf("the error does not name the file: %s", e.Error)
		}
	}
}

func TestKeyText(t *testing.T) {
	p, _, _ := chain(t, "1", "2").run(newStore(t), Options{}, RunOptions{})
	equal(t, "key of a", p.Nodes[0].Key, "stage const v1\nparam value 1\n")
	equal(t, "key of x", p.Nodes[1].Key, "stage sum v1\ninput inputs[0] "+p.Nodes[0].Result.Outputs[""].String()+"\nparam plus 2\n")
}

func TestLabels(t *testing.T) {
	one, list := stages.Field{Name: "data"}, stages.Field{Name: "from"}
	list.Type = (&graph{t: t}).field("sum", "inputs").Type
	mapping := list
	mapping.Name, mapping.Map = "inputs", true
	at := []stages.Coord{{Axis: "alpha", Key: "1"}}
	inputs := []input{{field: &one}, {field: &list}, {field: &list}, {field: &mapping, key: "a b"}, {field: &mapping, key: "c", coords: at}, {field: &mapping, key: "d"}, {field: &mapping, key: "d"}}
	label(inputs, elementLabel)
	var got []string
	for _, in := range inputs {
		got = append(got, in.label)
	}
	equal(t, "labels", strings.Join(got, " "), `data from[0] from[1] inputs["a b"] inputs["c"][0] inputs["d"][0] inputs["d"][1]`)
}

func (g *graph) field(uses, name string) stages.Field {
	ty, _ := stages.Lookup(uses)
	f, ok := ty.Field(name)
	if !ok {
		g.t.Fatalf("%s has no %s", uses, name)
	}
	return f
}

func TestFilesThatNothingNeedsAreNotRead(t *testing.T) {
	g := diamond(t, "1")
	g.add(g.stage("r", "reader"), "", "path: /nowhere/a").Needed = false
	p, s, _ := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "warnings", len(p.Warnings), 0)
	equal(t, "executed", s.Executed, 4)
	equal(t, "idle", states(p, Idle), "r")
}

func TestOnlyWhatTheRunIsForNeedsItsFiles(t *testing.T) {
	g := diamond(t, "1")
	r := g.add(g.stage("r", "reader"), "", "path: /nowhere/a")
	g.add(g.stage("s", "sum"), "", "plus: 3", in("inputs", r))
	store := newStore(t)
	if err := g.plan(store, Options{}).Runnable(); err == nil || !strings.Contains(err.Error(), "/nowhere/a") {
		t.Errorf("everything: %v", err)
	}
	only := Options{Only: func(i *specs.Instance) bool { return i.Stage.Name == "d" }}
	if err := g.plan(store, only).Runnable(); err != nil {
		t.Errorf("only d: %v", err)
	}
}
