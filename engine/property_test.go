package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regft/specs"

	"pgregory.net/rapid"
)

// shape is a random graph of sums over constants: element k is a constant where it has no inputs.
type shape []struct {
	value  int
	inputs []int
}

func drawShape(t *rapid.T) shape {
	s := make(shape, rapid.IntRange(1, 12).Draw(t, "size"))
	for k := range s {
		s[k].value = rapid.IntRange(0, 2).Draw(t, "value")
		if k > 0 {
			s[k].inputs = rapid.SliceOfN(rapid.IntRange(0, k-1), 0, 3).Draw(t, "inputs")
		}
	}
	return s
}

// values are what each element comes to.
func (s shape) values() []float64 {
	out := make([]float64, len(s))
	for k, e := range s {
		out[k] = float64(e.value)
		for _, in := range e.inputs {
			out[k] += out[in]
		}
	}
	return out
}

// graph builds s, its stages and axes under the given names.
func (s shape) graph(t testing.TB, name func(k int) string) (*graph, []*specs.Instance) {
	g := newGraph(t)
	made := make([]*specs.Instance, len(s))
	for k, e := range s {
		if len(e.inputs) == 0 {
			made[k] = g.add(g.stage(name(k), "const"), "", fmt.Sprintf("value: %d", e.value))
			continue
		}
		var from []*specs.Instance
		for _, in := range e.inputs {
			from = append(from, made[in])
		}
		made[k] = g.add(g.stage(name(k), "sum", "axis"+name(k)), "axis"+name(k)+"=v", fmt.Sprintf("plus: %d", e.value), in("inputs", from...))
	}
	return g, made
}

// distinct counts the elements that differ: by value, and by what their inputs are.
func (s shape) distinct() int {
	id, ids := make([]string, len(s)), map[string]bool{}
	for k, e := range s {
		var in []string
		for _, x := range e.inputs {
			in = append(in, id[x])
		}
		id[k] = fmt.Sprintf("(%d %t %s)", e.value, len(in) == 0, strings.Join(in, ","))
		ids[id[k]] = true
	}
	return len(ids)
}

// TestARandomGraphComesToItsValues checks results, sharing, and that a second run finds everything, under other names
// and places.
func TestARandomGraphComesToItsValues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawShape(rt)
		store := newStore(t)
		g, made := s.graph(t, func(k int) string { return fmt.Sprintf("s%d", k) })
		p, sum, _ := g.run(store, Options{}, RunOptions{})
		if sum.Executed > s.distinct() || len(p.Nodes) != s.distinct() {
			rt.Fatalf("%d nodes, %d executed; %d are distinct", len(p.Nodes), sum.Executed, s.distinct())
		}
		for k, want := range s.values() {
			if got := p.order[made[k].Index].metrics()["value"]; got != any(want) {
				rt.Fatalf("element %d: got %v, want %v", k, got, want)
			}
		}
		renamed, _ := s.graph(t, func(k int) string { return fmt.Sprintf("t%d", len(s)-k) })
		for k, stage := range renamed.e.Spec.Stages {
			stage.Place.Line, stage.Place.File = 100-k, "other.yaml"
		}
		renamed.e.Spec.Name, renamed.e.Spec.Dir = "other", "/elsewhere"
		again := renamed.plan(store, Options{})
		if states(again, Hit) == "" || again.Active() {
			rt.Fatalf("under other names, these run: %s", states(again, Work))
		}
		for k, n := range again.Nodes {
			if n.Key != p.Nodes[k].Key || n.Recipe != p.Nodes[k].Recipe {
				rt.Fatalf("key of %s is\n%s\nand was\n%s", n.Name(), n.Key, p.Nodes[k].Key)
			}
		}
	})
}

// TestOneValueChangesWhatDependsOnIt changes one element and counts what runs.
func TestOneValueChangesWhatDependsOnIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawShape(rt)
		store := newStore(t)
		name := func(k int) string { return fmt.Sprintf("s%d", k) }
		g, _ := s.graph(t, name)
		g.run(store, Options{}, RunOptions{})
		changed := rapid.IntRange(0, len(s)-1).Draw(rt, "changed")
		s[changed].value = 50
		g, _ = s.graph(t, name)
		_, sum, l := g.run(store, Options{}, RunOptions{})
		below := map[string]bool{name(changed): true}
		for k, e := range s {
			if slices.ContainsFunc(e.inputs, func(in int) bool { return below[name(in)] }) {
				below[name(k)] = true
			}
		}
		for _, e := range l.events {
			if e.Kind == NodeStarted && !below[e.Stage] {
				rt.Fatalf("%s ran, which does not depend on %s", e.Name, name(changed))
			}
		}
		if sum.Executed == 0 {
			rt.Fatal("nothing ran")
		}
	})
}

// TestFailuresBlockWhatNeedsThem lets elements fail, and compares with what follows from the graph alone.
func TestFailuresBlockWhatNeedsThem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawShape(rt)
		fails := rapid.SliceOfN(rapid.IntRange(0, 3), len(s), len(s)).Draw(rt, "fails") // 0: it fails
		g := newGraph(t)
		made := make([]*specs.Instance, len(s))
		var failed, blocked []string
		bad := map[int]bool{}
		for k, e := range s {
			var from []*specs.Instance
			isBlocked := false
			for _, in := range e.inputs {
				from = append(from, made[in])
				isBlocked = isBlocked || bad[in]
			}
			name := fmt.Sprintf("s%d", k)
			switch {
			case fails[k] == 0:
				made[k] = g.add(g.stage(name, "fail"), "", fmt.Sprintf("message: \"%d\"", k), in("inputs", from...))
			case len(from) == 0:
				made[k] = g.add(g.stage(name, "const"), "", fmt.Sprintf("value: %d", 100+k))
			default:
				made[k] = g.add(g.stage(name, "sum"), "", fmt.Sprintf("plus: %d", 100+k), in("inputs", from...))
			}
			bad[k] = isBlocked || fails[k] == 0
			switch {
			case isBlocked:
				blocked = append(blocked, name)
			case fails[k] == 0:
				failed = append(failed, name)
			}
		}
		_, sum, l := g.run(newStore(t), Options{}, RunOptions{})
		if got, want := l.names(NodeFailed), strings.Join(failed, " "); got != want {
			rt.Fatalf("failed: %s, want %s", got, want)
		}
		if got, want := l.names(NodeBlocked), strings.Join(blocked, " "); got != want {
			rt.Fatalf("blocked: %s, want %s", got, want)
		}
		if sum.Executed != len(s)-len(failed)-len(blocked) || sum.Unfinished != 0 {
			rt.Fatalf("summary: %+v of %d", *sum, len(s))
		}
	})
}
