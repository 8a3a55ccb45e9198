package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"
)

// TestFindingByName finds what a run calls its nodes, and says what there is where an address names nothing.
func TestFindingByName(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	if _, err := OpenRun(runs, "latest"); err == nil || !strings.Contains(err.Error(), "regft run SPEC") {
		t.Errorf("without a run: %v", err)
	}
	g := chain(t, "1", "2")
	g.add(g.stage("two", "score", "a"), "a=x", "", in("model", g.e.Instances[0]), in("data", g.e.Instances[1], g.e.Instances[2])).Parts = []string{"x", "y/z"}
	recordRun(t, g, store, runs)
	p, err := OpenRun(runs, "latest")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Plan()
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range plan.Nodes {
		found, err := p.Find(n.Name)
		if err != nil || len(found) != 1 || len(found[0].Nodes) != 1 || found[0].Nodes[0] != k {
			t.Errorf("%s finds %v, %v: want node %d", n.Name, found, err, k)
		}
	}
	for address, want := range map[string]string{"two[a=q]": "two has a=x", "z[a=q]": "z has no axes", "q": "stages are", "two[a=x].q": "address"} {
		if _, err := p.Find(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: want %s", address, err, want)
		}
	}
}

// TestOnlyMakesLostContentAgain removes all content: what Only names is made again, even where nothing takes it.
func TestOnlyMakesLostContentAgain(t *testing.T) {
	store := newStore(t)
	readers(t, false).run(store, Options{}, RunOptions{})
	damage(t, filepath.Join(store.Root(), "blobs"), "remove")
	only := Options{Only: func(i *specs.Instance) bool { return i.Stage.Name == "x" }}
	p, s, l := readers(t, false).run(store, only, RunOptions{})
	l.logFailures(t)
	equal(t, "failed", s.Failed, 0)
	equal(t, "ran", l.names(NodeDone), "a x")
	for _, n := range p.Nodes {
		if whole, err := complete(t.Context(), store, n.Result); n.Name() == "x" && (err != nil || !whole) {
			t.Errorf("%s is not whole: %v", n.Name(), err)
		}
	}
	equal(t, "active afterwards", readers(t, false).plan(store, only).Active(), false)
}

// TestNodesThatCannotRun counts every node, and says what keeps each from running.
func TestNodesThatCannotRun(t *testing.T) {
	store, path := newStore(t), filepath.Join(t.TempDir(), "absent")
	g := newGraph(t)
	file := g.add(g.stage("file", "reader"), "", "path: "+path)
	spare := g.add(g.stage("spare", "const"), "", "value: 1")
	g.add(g.stage("both", "digester"), "", "", in("inputs", file, spare))
	p := g.plan(store, Options{})
	total := p.Counts().Total()
	equal(t, "counted", total.Hit+total.Run+total.Maybe+total.Blocked+total.Unknown+total.Skipped+total.Idle, total.Nodes)
	equal(t, "idle", total.Idle, 1)
	var table strings.Builder
	if err := p.WriteTable(t.Context(), &table); err != nil || !strings.Contains(table.String(), "idle") {
		t.Errorf("%v, table:\n%s", err, &table)
	}
	for address, want := range map[string]string{"spare": "nothing that can run needs it", "both": "file: ", "file": path} {
		e, err := p.Explain(t.Context(), address)
		if err != nil || len(e) != 1 || !strings.Contains(e[0].Reason, want) {
			t.Errorf("%s: %v, %v: want %s", address, e, err, want)
		}
	}
}

// TestANodeIsCalledAfterWhatNeedsIt shares one node between an instance that nothing needs and one that is needed.
func TestANodeIsCalledAfterWhatNeedsIt(t *testing.T) {
	g := newGraph(t)
	tuned := g.stage("tuned", "const", "method")
	g.add(tuned, "method=zero-shot", "value: 1").Needed = false
	needed := g.add(tuned, "method=fine-tuned", "value: 1")
	g.add(g.stage("x", "digester"), "", "", in("inputs", needed))
	equal(t, "name", g.plan(newStore(t), Options{}).Nodes[0].Name(), needed.Address())
}

// TestGetOverwritesNothing gets content twice, into a folder that has another file of its name, and once it is gone.
func TestGetOverwritesNothing(t *testing.T) {
	store, runs, dir := newStore(t), t.TempDir(), filepath.Join(t.TempDir(), "out")
	recordRun(t, readers(t, false), store, runs)
	p, err := OpenRun(runs, "latest")
	if err != nil {
		t.Fatal(err)
	}
	get := func(address, dir, want string) {
		t.Helper()
		err := p.Get(t.Context(), store, address, "", dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("getting %s: %v: want %q", address, err, want)
		}
	}
	get("x", dir, "")
	get("x", dir, "")
	mine := filepath.Join(dir, "size.txt")
	if err := os.WriteFile(mine, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	get("x", dir, mine+" is there already")
	equal(t, "what was there", readFile(t, dir, "size.txt"), "precious")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	damage(t, filepath.Join(store.Root(), "blobs"), "remove")
	get("x", filepath.Join(dir, "new"), "--only 'x'")
}
