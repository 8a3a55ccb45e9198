package engine

import (
	"os"
	"testing"

	"regft/specs"
)

// TestSettled asks runs that have ended whether they left nothing to do, as the next plan would see it.
func TestSettled(t *testing.T) {
	pair := func(t *testing.T, second string) (*graph, *specs.Instance) {
		g := newGraph(t)
		one := g.add(g.stage("one", "const"), "", "value: 1")
		g.add(g.stage("two", second), "", "", in("inputs", one))
		return g, one
	}
	for name, c := range map[string]struct {
		second string
		change func(t *testing.T, p *Plan, one *specs.Instance)
		want   bool
	}{
		"all done":        {"sum", func(*testing.T, *Plan, *specs.Instance) {}, true},
		"a failure":       {"fail", func(*testing.T, *Plan, *specs.Instance) {}, false},
		"content damaged": {"sum", damageContent, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			g, one := pair(t, c.second)
			p := g.plan(store, Options{})
			if settled, err := p.Settled(t.Context()); settled || err != nil {
				t.Fatalf("settled before it ran: %v, %v", settled, err)
			}
			if _, _, err := runPlan(t.Context(), t, p, store, RunOptions{}); err != nil {
				t.Fatal(err)
			}
			c.change(t, p, one)
			settled, err := p.Settled(t.Context())
			if err != nil || settled != c.want {
				t.Errorf("settled: %v, %v: want %v", settled, err, c.want)
			}
			if again := g.plan(store, Options{}); again.Active() == settled {
				t.Errorf("settled: %v, and the next plan has something to do: %v", settled, again.Active())
			}
		})
	}
}

// damageContent writes over the file that an instance gave.
func damageContent(t *testing.T, p *Plan, one *specs.Instance) {
	m, err := p.store.Manifest(t.Context(), p.order[one.Index].parts[0].node.Result.Outputs[""])
	if err != nil {
		t.Fatal(err)
	}
	path, err := p.store.Path(t.Context(), m.Files[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("other"), 0o666); err != nil {
		t.Fatal(err)
	}
}
