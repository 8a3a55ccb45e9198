package engine

import (
	"testing"
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
}
