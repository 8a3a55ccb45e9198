package engine

import (
	"fmt"
	"slices"
	"testing"

	"regft/specs"
)

// TestNothingRunsForASkippedInstance: x takes what only it needs and what another needs too, if the gate says so.
func TestNothingRunsForASkippedInstance(t *testing.T) {
	build := func(gate string) *graph {
		g := newGraph(t)
		gated := g.add(g.stage("gate", "slow"), "", "seconds: 0.05, value: "+gate)
		below := g.add(g.stage("below", "const"), "", "value: 7")
		own := g.add(g.stage("own", "sum"), "", "plus: 1", in("inputs", below))
		shared := g.add(g.stage("shared", "const"), "", "value: 8")
		x := g.add(g.stage("x", "sum"), "", "", in("inputs", own, shared))
		x.When = when(gated, func(v float64) bool { return v > 5 })
		g.add(g.stage("after", "sum"), "", "plus: 2", in("inputs", x))
		g.add(g.stage("other", "sum"), "", "plus: 3", in("inputs", shared))
		return g
	}
	store := newStore(t)
	p := build("1").plan(store, Options{})
	equal(t, "runs", states(p, Work), "gate shared other")
	equal(t, "may run", states(p, Maybe), "below own x after")
	s, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "started", l.names(NodeStarted), "gate shared other")
	equal(t, "skipped", l.names(NodeSkipped), "x after")
	equal(t, "idle", l.names(NodeIdle), "below own")
	equal(t, "summary", *s, Summary{Executed: 3, Skipped: 2, Seconds: s.Seconds})
	p = build("1").plan(store, Options{})
	equal(t, "active afterwards", p.Active(), false)
	equal(t, "idle afterwards", states(p, Idle), "below own")

	_, s, l = build("9").run(store, Options{}, RunOptions{})
	equal(t, "started once the gate lets it", l.names(NodeStarted), "gate below own x after")
	equal(t, "idle then", l.names(NodeIdle), "")
	equal(t, "skipped then", s.Skipped, 0)
}

// TestAGatherTakesNothingForWhatIsLeftOut: alpha 3 is neither scored nor made, and what is left does not wait for it.
func TestAGatherTakesNothingForWhatIsLeftOut(t *testing.T) {
	build := func() *graph {
		g := newGraph(t)
		gated := g.add(g.stage("gate", "const"), "", "value: 10")
		target := g.add(g.stage("target", "const"), "", "value: 33")
		m, s := g.stage("m", "const", "alpha"), g.stage("s", "score", "alpha")
		var from, scores []*specs.Instance
		for k, alpha := range []string{"1", "2", "3"} {
			i := g.add(m, "alpha="+alpha, "value: "+alpha)
			sc := g.add(s, "alpha="+alpha, "", in("model", i), in("data", target))
			sc.Parts = []string{"target"}
			if k == 2 {
				sc.When = when(gated, func(v float64) bool { return v > 10 })
			}
			from, scores = append(from, i), append(scores, sc)
		}
		best := g.add(g.stage("best", "pick"), "", "", gather("from", from...), gather("scores", scores...), arg{field: "maximize"})
		setMaximize(g, best)
		g.add(g.stage("last", "slow"), "", "seconds: 0.4")
		return g
	}
	store := newStore(t)
	p := build().plan(store, Options{})
	equal(t, "may run", states(p, Maybe), "m[alpha=3] s[alpha=3]")
	_, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "idle", l.names(NodeIdle), "m[alpha=3]")
	var ended []string
	for _, e := range l.events {
		if e.Kind == NodeDone && (e.Name == "best" || e.Name == "last") {
			ended = append(ended, e.Name)
		}
	}
	equal(t, "order", fmt.Sprint(ended), "[best last]")
	equal(t, "active afterwards", build().plan(store, Options{}).Active(), false)
}

// TestConditionsOfConditions: g2 is read only by what the first gate lets be, and runs only then.
func TestConditionsOfConditions(t *testing.T) {
	build := func(first string) *graph {
		g := newGraph(t)
		g1 := g.add(g.stage("g1", "const"), "", "value: "+first)
		base := g.add(g.stage("base", "const"), "", "value: 50")
		g2 := g.add(g.stage("g2", "sum"), "", "plus: 1", in("inputs", base))
		x := g.add(g.stage("x", "const"), "", "value: 60")
		x.When = when(g1, func(v float64) bool { return v > 1 })
		y := g.add(g.stage("y", "sum"), "", "", in("inputs", x))
		y.When = when(g2, func(v float64) bool { return v > 1 })
		z := g.add(g.stage("z", "sum"), "", "plus: 5", in("inputs", y))
		z.When = when(g1, func(v float64) bool { return v > 1 })
		taker := g.add(g.stage("taker", "sum"), "", "plus: 9", in("inputs", g2))
		taker.When = when(g1, func(v float64) bool { return v > 1 })
		return g
	}
	_, s, l := build("1").run(newStore(t), Options{}, RunOptions{})
	equal(t, "started", l.names(NodeStarted), "g1")
	equal(t, "skipped", l.names(NodeSkipped), "x z taker")
	equal(t, "idle", l.names(NodeIdle), "base g2 y")
	equal(t, "unfinished", s.Unfinished, 0)
	_, s, _ = build("2").run(newStore(t), Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 7)
}

// needless are the instances that no part of a run is for: nothing that is not skipped takes them, and no condition of
// what the run looks at reads them. It is the definition, over what became of everything.
func needless(p *Plan) map[*instance]bool {
	seen, out := map[*instance]bool{}, map[*instance]bool{}
	for _, i := range p.order {
		out[i] = !i.root
		seen[i] = i.root
	}
	for _, i := range slices.Backward(p.order) {
		if !seen[i] {
			continue
		}
		for _, c := range i.conditions {
			seen[c], out[c] = true, false
		}
		for _, pt := range i.parts {
			dropped := droppedMembers(pt.inputs)
			for k, in := range pt.inputs {
				if in.member == nil {
					continue
				}
				seen[in.member] = true
				if i.fate != skipped && pt.fate != lost && !dropped[k] && !out[i] {
					out[in.member] = false
				}
			}
		}
	}
	return out
}

// ranForNothing names a node that ran though none of its instances was needed.
func ranForNothing(p *Plan, started map[int]bool) string {
	out := needless(p)
	for _, n := range p.Nodes {
		wanted := slices.ContainsFunc(n.users, func(u use) bool {
			return !out[u.instance] || slices.ContainsFunc(u.copies, func(c *instance) bool { return !out[c] })
		})
		if started[n.Index] && !wanted {
			return n.Name()
		}
	}
	return ""
}
