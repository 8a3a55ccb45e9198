package engine

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestCost(t *testing.T) {
	store, runs := newStore(t), t.TempDir()
	recordRun(t, fan(t, 2, 0.1), store, runs)
	c := costOf(t, fan(t, 4, 0.1).plan(store, Options{}))
	if c.Run < 200*time.Millisecond || c.Run > 2*time.Second {
		t.Errorf("two leaves more of 0.1 s: %+v", c)
	}
	equal(t, "never measured", c.Unmeasured, 1) // another total
	last, err := OpenRun(runs, "latest")
	if err != nil {
		t.Fatal(err)
	}
	c = costOf(t, fan(t, 4, 0.1).plan(store, Options{Last: last}))
	equal(t, "never measured, with the last run", c.Unmeasured, 0)
	equal(t, "bytes of two leaves", c.RunBytes, 2*2) // "0\n" each
	equal(t, "bytes of a total that may be spared, and that its leaves have too", c.MaybeBytes, 0)
	equal(t, "nothing to do", costOf(t, fan(t, 2, 0.1).plan(store, Options{})), Cost{})
}

func costOf(t *testing.T, p *Plan) Cost {
	t.Helper()
	c, err := p.Cost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPlanTable(t *testing.T) {
	store := newStore(t)
	conditional(t, "10", gate3).run(store, Options{}, RunOptions{})
	g := conditional(t, "20", gate3)
	g.e.Spec.Stages[2].Over = []string{"alpha", "a second axis with a long name", "and a third one"}
	var b strings.Builder
	if err := g.plan(store, Options{}).WriteTable(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	table, cost, _ := strings.Cut(b.String(), "about ")
	if !regexp.MustCompile(`^\S+ of work, making \d+ B; about \S+ that may be spared, making \d+ B; nodes never measured: 1\n$`).MatchString(cost) {
		t.Errorf("cost: %q", cost)
	}
	const want = `stage   nodes  hit  run  maybe  why
gate        1    0    1      0  new
target      1    1    0      0
m           3    3    0      0
s           3    2    0      1  when
best        1    0    0      1  when
final       1    0    0      1  upstream
total       9    5    1      3

m  over [alpha, a second axis with a long name, and a third one]
s  over [alpha]

total counts a node that stages share once

`
	if table != want {
		t.Errorf("got\n%s\nwant\n%s", table, want)
	}
}

func TestGraph(t *testing.T) {
	g := diamond(t, "1").plan(newStore(t), Options{}).Graph()
	equal(t, "Mermaid", g.Mermaid(), `flowchart LR
  s0["a<br/>const × 1"]
  s1["b<br/>sum × 1"]
  s2["c<br/>sum × 1"]
  s3["d<br/>sum × 1"]
  s0 --> s1
  s0 --> s2
  s1 --> s3
  s2 --> s3
`)
	equal(t, "DOT", g.DOT(), `digraph plan {
  rankdir=LR
  node [shape=box]
  "a" [label="a\nconst × 1"]
  "b" [label="b\nsum × 1"]
  "c" [label="c\nsum × 1"]
  "d" [label="d\nsum × 1"]
  "a" -> "b"
  "a" -> "c"
  "b" -> "d"
  "c" -> "d"
}
`)
}

// TestCostScales: a node that its type says to take a hundred times as long is priced so.
func TestCostScales(t *testing.T) {
	store := newStore(t)
	g := newGraph(t)
	short := g.add(g.stage("short", "slow"), "", "seconds: 0.01")
	g.run(store, Options{}, RunOptions{})
	g.add(g.stage("long", "slow"), "", "seconds: 1")
	p := g.plan(store, Options{})
	took := p.Nodes[0].Result.Seconds
	if c := costOf(t, p); c.Unmeasured != 0 || math.Abs(c.Run.Seconds()/(100*took)-1) > 1e-6 {
		t.Errorf("%s took %v s, 100 times that is priced %v", short.Address(), took, c.Run)
	}
}
