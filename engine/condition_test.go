package engine

import (
	"strings"
	"testing"

	"regft/specs"
	"regft/stages"
)

// conditional is m over alpha, s a score of each of two of them, and best, which picks among those that want lets run.
func conditional(t testing.TB, gate string, wants func(alpha string) func(float64) bool) *graph {
	g := newGraph(t)
	gated := g.add(g.stage("gate", "const"), "", "value: "+gate)
	target := g.add(g.stage("target", "const"), "", "value: 3")
	m, s := g.stage("m", "const", "alpha"), g.stage("s", "score", "alpha")
	var from, scores []*specs.Instance
	for _, alpha := range []string{"1", "2", "3"} {
		i := g.add(m, "alpha="+alpha, "value: "+alpha)
		sc := g.add(s, "alpha="+alpha, "", in("model", i), in("data", target))
		sc.Parts = []string{"target"}
		if ok := wants(alpha); ok != nil {
			sc.When = when(gated, ok)
		}
		from, scores = append(from, i), append(scores, sc)
	}
	best := g.add(g.stage("best", "pick"), "", "", gather("from", from...), gather("scores", scores...), arg{field: "maximize"})
	setMaximize(g, best)
	best.Parts = []string{"target"}
	best.Candidates = []map[string]any{{"alpha": 1.0}, {"alpha": 2.0}, {"alpha": 3.0}}
	g.add(g.stage("final", "odd"), "", "how: cores", in("inputs", best))
	return g
}

// setMaximize makes a pick take the highest top1.
func setMaximize(g *graph, i *specs.Instance) {
	f := g.field("pick", "maximize")
	i.Stage.Type.SetExpr(i.Runner, f, stages.Expr{Text: `metrics["0"].top1`, Eval: func(vars map[string]any) (any, error) {
		return vars["metrics"].(map[string]any)["0"].(map[string]any)["top1"], nil
	}})
}

func always(string) func(float64) bool { return nil }

// all but alpha 3 want to run where the gate is above 1.
func gate3(alpha string) func(float64) bool {
	if alpha != "3" {
		return nil
	}
	return func(gate float64) bool { return gate > 10 }
}

func chosenAlpha(p *Plan) any {
	for _, l := range p.Results() {
		if l.Stage == "best" {
			return l.Chosen["alpha"]
		}
	}
	return nil
}

func TestSelectChooses(t *testing.T) {
	p, s, _ := conditional(t, "0", always).run(newStore(t), Options{}, RunOptions{})
	equal(t, "failed", s.Failed, 0)
	equal(t, "chosen", chosenAlpha(p), any(3.0))
}

func TestAGatherLeavesOutWhatIsSkipped(t *testing.T) {
	store := newStore(t)
	g := conditional(t, "10", gate3)
	p := g.plan(store, Options{})
	equal(t, "maybe", states(p, Maybe), "s[alpha=3]")
	s, l, err := runPlan(t.Context(), t, p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "skipped", l.names(NodeSkipped), "s[alpha=3]")
	equal(t, "failed and blocked", s.Failed+s.Blocked, 0)
	equal(t, "chosen", chosenAlpha(p), any(2.0))
	p = conditional(t, "10", gate3).plan(store, Options{})
	equal(t, "active afterwards", p.Active(), false)
	equal(t, "skipped afterwards", states(p, Skipped), "s[alpha=3]")
	equal(t, "chosen from the cache", chosenAlpha(p), any(2.0))

	p, _, l = conditional(t, "20", gate3).run(store, Options{}, RunOptions{})
	equal(t, "started once the condition holds", l.names(NodeStarted), "gate s[alpha=3] best final")
	equal(t, "chosen then", chosenAlpha(p), any(3.0))
	p, s, _ = conditional(t, "10", gate3).run(store, Options{}, RunOptions{})
	equal(t, "executed when it is turned back", s.Executed, 0)
	equal(t, "chosen again", chosenAlpha(p), any(2.0))
}

func TestDependentsOfASkippedInstanceAreSkipped(t *testing.T) {
	g := chain(t, "1", "2")
	g.e.Instances[1].When = when(g.e.Instances[0], func(v float64) bool { return v > 5 })
	_, s, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "skipped", l.names(NodeSkipped), "x y z")
	equal(t, "executed", s.Executed, 1)
}

func TestAGatherOfNothingIsSkipped(t *testing.T) {
	g := conditional(t, "10", func(string) func(float64) bool { return func(gate float64) bool { return gate > 10 } })
	_, s, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "skipped", l.names(NodeSkipped), "s[alpha=1] s[alpha=2] s[alpha=3] best final")
	equal(t, "not run for them", l.names(NodeIdle), "target m[alpha=1] m[alpha=2]")
	equal(t, "summary", s.Skipped, 5)
}

func TestANodeRunsIfAnyOfItsInstancesWantsIt(t *testing.T) {
	g := newGraph(t)
	no := g.add(g.stage("no", "const"), "", "value: 0")
	a := g.add(g.stage("a", "const"), "", "value: 4")
	a.When = when(no, func(v float64) bool { return v > 0 })
	b := g.add(g.stage("b", "const"), "", "value: 4")
	g.add(g.stage("ofA", "sum"), "", "plus: 1", in("inputs", a))
	g.add(g.stage("ofB", "sum"), "", "plus: 1", in("inputs", b))
	p, s, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 3)
	equal(t, "skipped", l.names(NodeSkipped), "")
	var stages []string
	for _, line := range p.Results() {
		stages = append(stages, line.Stage)
	}
	equal(t, "instances with results", strings.Join(stages, " "), "no b ofB")
}

func TestFailureBlocksOnlyWhatNeedsIt(t *testing.T) {
	g := newGraph(t)
	bad := g.add(g.stage("bad", "fail", "x"), "x=1", "message: no luck")
	good := g.add(g.stage("good", "const", "x"), "x=2", "value: 1")
	g.add(g.stage("both", "sum"), "", "", gather("inputs", bad, good))
	g.add(g.stage("alone", "sum"), "", "", in("inputs", good))
	p, s, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "failed", l.names(NodeFailed), "bad[x=1]")
	equal(t, "blocked", l.names(NodeBlocked), "both")
	equal(t, "done", l.names(NodeDone), "good[x=2] alone")
	equal(t, "summary", *s, Summary{Executed: 2, Failed: 1, Blocked: 1, Seconds: s.Seconds})
	equal(t, "results", len(p.Results()), 2)
}

func TestAssert(t *testing.T) {
	store := newStore(t)
	build := func(least float64) *graph {
		g := chain(t, "1", "2")
		x := g.e.Instances[1]
		x.Assert = when(x, func(v float64) bool { return v >= least })
		x.Assert.Text = "metrics.value >= least"
		return g
	}
	_, s, l := build(5).run(store, Options{}, RunOptions{})
	equal(t, "failed", l.names(NodeFailed), "x")
	equal(t, "blocked", l.names(NodeBlocked), "y z")
	equal(t, "executed", s.Executed, 2)
	_, s, l = build(5).run(store, Options{}, RunOptions{})
	equal(t, "failed when found", l.names(NodeFailed), "x")
	equal(t, "failures", s.Failed, 1)
	equal(t, "blocked when found", s.Blocked, 2)
	_, s, _ = build(3).run(store, Options{}, RunOptions{})
	equal(t, "executed once it holds", s.Executed, 2)
	equal(t, "failures once it holds", s.Failed, 0)
}

func TestWhenThatCannotBeEvaluated(t *testing.T) {
	g := chain(t, "1", "2")
	g.e.Instances[2].When = &specs.Condition{Text: "broken", Eval: func(func(*specs.Instance) specs.Outcome) (bool, error) {
		return false, errBroken
	}}
	_, s, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "failed", s.Failed, 1)
	equal(t, "name", l.names(NodeFailed), "y")
	equal(t, "started", l.names(NodeStarted), "")
}

func TestAssertThatReadsAnotherInstance(t *testing.T) {
	g := chain(t, "1", "2")
	x, z := g.e.Instances[1], g.e.Instances[3]
	z.Assert = when(x, func(v float64) bool { return v > 10 })
	_, s, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "failed", l.names(NodeFailed), "z")
	equal(t, "executed", s.Executed, 4)
}
