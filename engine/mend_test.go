package engine

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"regft/cache"
	"regft/stages"
)

// digester reads all content of its inputs, unlike the other toys.
type digester struct {
	Inputs []stages.Input `yaml:"inputs" in:"any" doc:"what is read"`
	Plus   int            `yaml:"plus" default:"0" doc:"to tell it from others"`
}

var _ = stages.Register[digester](stages.Type{Name: "digester", Doc: "Reads its inputs.", Version: 1, Out: stages.Files})

func (d *digester) Run(ctx context.Context, env *stages.Env) error {
	size := 0
	for _, in := range d.Inputs {
		for _, f := range in.Artifact().Manifest.Files {
			b, err := in.Artifact().ReadFile(ctx, f.Name)
			if err != nil {
				return err
			}
			size += len(b)
		}
	}
	env.Host.Metric("value", size)
	return env.WriteFile("size.txt", fmt.Append(nil, size))
}

// readers are two constants and x, which reads the first; z reads the second, or with extra y reads all three.
func readers(t testing.TB, extra bool) *graph {
	g := newGraph(t)
	a := g.add(g.stage("a", "const"), "", "value: 1")
	b := g.add(g.stage("b", "const"), "", "value: 2")
	x := g.add(g.stage("x", "digester"), "", "", in("inputs", a))
	if extra {
		g.add(g.stage("y", "digester"), "", "plus: 1", in("inputs", a, b, x))
	} else {
		g.add(g.stage("z", "digester"), "", "plus: 2", in("inputs", b))
	}
	return g
}

// TestContentDamagedAfterThePlan damages every blob between planning and running: what needs it has it made again.
func TestContentDamagedAfterThePlan(t *testing.T) {
	for _, how := range []string{"flip", "truncate", "remove"} {
		t.Run(how, func(t *testing.T) {
			store := newStore(t)
			readers(t, false).run(store, Options{}, RunOptions{})
			reopened, err := cache.OpenDir(store.Root())
			if err != nil {
				t.Fatal(err)
			}
			p := readers(t, true).plan(reopened, Options{})
			equal(t, "planned to run", states(p, Work), "y")
			damage(t, filepath.Join(store.Root(), "blobs"), how)
			s, l, err := runPlan(t.Context(), t, p, reopened, RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			l.logFailures(t)
			equal(t, "failed", s.Failed, 0)
			y := p.Nodes[len(p.Nodes)-1]
			equal(t, "what y read", y.Result.Metrics["value"], any(5.0))
			equal(t, "active afterwards", readers(t, true).plan(reopened, Options{}).Active(), false)
		})
	}
}

func damage(t *testing.T, folder, how string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if how == "remove" {
			return os.Remove(path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
		if how == "flip" {
			b[len(b)/2] ^= 1
		} else {
			b = b[:len(b)/2]
		}
		return os.WriteFile(path, b, 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestContentThatCannotBeMadeAgain fails what needs it, and says why.
func TestContentThatCannotBeMadeAgain(t *testing.T) {
	g := newGraph(t)
	store := newStore(t)
	build := func(g *graph, more bool) *graph {
		f := g.add(g.stage("f", "odd"), "", "how: flaky, n: 9")
		g.add(g.stage("v", "digester"), "", "plus: 3", in("inputs", f))
		if more {
			g.add(g.stage("w", "digester"), "", "plus: 4", in("inputs", f))
		}
		return g
	}
	if oddCalls.Load()%2 == 0 {
		oddCalls.Add(1)
	}
	_, s, _ := build(g, false).run(store, Options{}, RunOptions{})
	equal(t, "failed at first", s.Failed, 0)
	p := build(newGraph(t), true).plan(store, Options{})
	damage(t, filepath.Join(store.Root(), "blobs"), "remove")
	s, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "failed", l.names(NodeFailed), "f w")
	equal(t, "summary", s.Failed, 2)
}
