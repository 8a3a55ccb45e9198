package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"
	"regft/stages"
)

// sweep is one constant, n sums of it, n sums of those, and a total: 2n + 2 nodes.
func sweep(t testing.TB, n int) *graph {
	g := newGraph(t)
	base := g.add(g.stage("base", "const"), "", "value: 1")
	train, eval := g.stage("train", "sum", "n"), g.stage("eval", "sum", "n")
	var evals []*specs.Instance
	for k := range n {
		trained := g.add(train, fmt.Sprintf("n=%d", k), fmt.Sprintf("plus: %d", k), in("inputs", base))
		evals = append(evals, g.add(eval, fmt.Sprintf("n=%d", k), "plus: 0.5", in("inputs", trained)))
	}
	g.add(g.stage("total", "sum"), "", "", gather("inputs", evals...))
	return g
}

// BenchmarkNoOp10002 plans 10,002 nodes that are all there, and finds that nothing is to be done.
func BenchmarkNoOp10002(b *testing.B) {
	store := newStore(b)
	g := sweep(b, 5000)
	p := g.plan(store, Options{})
	if _, _, err := runPlan(b.Context(), b, p, store, RunOptions{Machine: stages.Resources{Cores: 8, Memory: 1 << 30}}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if p := g.plan(store, Options{}); p.Active() || len(p.Nodes) != 10002 {
			b.Fatal("it is no no-op")
		}
	}
}

// BenchmarkPlan10002 plans 10,002 nodes of which none is there.
func BenchmarkPlan10002(b *testing.B) {
	store := newStore(b)
	g := sweep(b, 5000)
	for b.Loop() {
		if counts := g.plan(store, Options{}).Counts().Total(); counts.Run != 10002 {
			b.Fatalf("%d run", counts.Run)
		}
	}
}

// hundredThousand is a spec of 100,000 points, 102,002 nodes.
const hundredThousand = `version: 1
sweep:
  axes:
    a: {from: 1, to: 1000, step: 1}
    b: {from: 1, to: 100, step: 1}
stages:
  zero: {uses: const, with: {value: 0}}
  first: {uses: sum, with: {inputs: [stages.zero], plus: "${sweep.a}"}}
  each: {uses: sum, with: {inputs: [stages.first], plus: "${sweep.b}"}}
  rows: {uses: sum, gather: [b], with: {inputs: stages.each}}
  total: {uses: sum, gather: [a], with: {inputs: stages.rows}}
`

// BenchmarkPlan100000Points reads, expands and plans a spec of which nothing has run.
func BenchmarkPlan100000Points(b *testing.B) { benchmarkSpec(b, hundredThousand, 100_000, 102_002) }

// BenchmarkPlanMillionPoints does so for ten times as many.
func BenchmarkPlanMillionPoints(b *testing.B) {
	text := strings.NewReplacer("axes:", "limit: 1000000\n  axes:", "to: 1000,", "to: 10000,").Replace(hundredThousand)
	benchmarkSpec(b, text, 1_000_000, 1_020_002)
}

// BenchmarkPlanDistinct100000 plans 100,000 points at each of which the parameters are others.
func BenchmarkPlanDistinct100000(b *testing.B) {
	text := strings.Replace(hundredThousand, `plus: "${sweep.b}"`, `plus: "${sweep.b + 1000 * sweep.a}"`, 1)
	benchmarkSpec(b, text, 100_000, 102_002)
}

func benchmarkSpec(b *testing.B, text string, points, nodes int) {
	path := filepath.Join(b.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		b.Fatal(err)
	}
	store := newStore(b)
	for b.Loop() {
		spec, found := specs.Load(path, nil)
		if found.HasErrors() {
			b.Fatal(found)
		}
		e, found := spec.Expand(b.Context())
		if found.HasErrors() {
			b.Fatal(found)
		}
		p, err := NewPlan(b.Context(), e, store, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if counts := p.Counts().Total(); len(e.Points) != points || counts.Run != nodes {
			b.Fatalf("%d points, %d nodes run", len(e.Points), counts.Run)
		}
	}
}

// BenchmarkExecute measures the engine's own time for a node that does next to nothing, its records durable.
func BenchmarkExecute(b *testing.B) {
	const n = 500
	for b.Loop() {
		b.StopTimer()
		store := newStore(b)
		p := sweep(b, n/2-1).plan(store, Options{})
		b.StartTimer()
		if _, _, err := runPlan(b.Context(), b, p, store, RunOptions{Machine: stages.Resources{Cores: 8, Memory: 1 << 30}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/node")
}
