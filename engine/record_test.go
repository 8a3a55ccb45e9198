package engine

import (
	"os"
	"path/filepath"
	"testing"

	"regft/cache"
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
