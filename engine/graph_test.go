package engine

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"regft/cache"
	"regft/specs"
	"regft/stages"
	_ "regft/stages/toy"

	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"
)

func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	_ = flag.Set("rapid.checks", "20") // each is a run of its own, with durable records
	goleak.VerifyTestMain(m)
}

// graph builds expansions by hand, from toy stage types.
type graph struct {
	t testing.TB
	e *specs.Expansion
}

func newGraph(t testing.TB) *graph {
	return &graph{t, &specs.Expansion{Spec: &specs.Spec{Path: "test.yaml", Name: "test", Seed: 1, Resolved: []byte("name: test\n")}, Points: make([]specs.Point, 1)}}
}

// stage declares a stage.
func (g *graph) stage(name, uses string, over ...string) *specs.Stage {
	ty, ok := stages.Lookup(uses)
	if !ok {
		g.t.Fatalf("no stage type %s", uses)
	}
	s := &specs.Stage{Name: name, Type: ty, Over: over, Place: specs.Place{File: "test.yaml", Line: len(g.e.Spec.Stages) + 1, Column: 3}}
	g.e.Spec.Stages = append(g.e.Spec.Stages, s)
	return s
}

// An arg is an artifact parameter of an instance.
type arg struct {
	field  string
	gather bool
	from   []*specs.Instance
}

func in(field string, from ...*specs.Instance) arg     { return arg{field, false, from} }
func gather(field string, from ...*specs.Instance) arg { return arg{field, true, from} }

// add makes an instance of s. Coordinates are "axis=key,…", parameters YAML.
func (g *graph) add(s *specs.Stage, coords, params string, args ...arg) *specs.Instance {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte("{"+params+"}"), &n); err != nil {
		g.t.Fatal(err)
	}
	root := n.Content[0]
	for _, a := range args {
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: a.field}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "artifact"})
	}
	r, problems := s.Type.Decode(root, stages.Context{Seed: g.e.Spec.Seed})
	if len(problems) > 0 {
		g.t.Fatal(problems)
	}
	i := &specs.Instance{Stage: s, Runner: r, Needed: true, Index: len(g.e.Instances)}
	for c := range strings.SplitSeq(coords, ",") {
		if axis, key, ok := strings.Cut(c, "="); ok {
			i.Coords = append(i.Coords, stages.Coord{Axis: axis, Key: key})
		}
	}
	g.connect(i, args)
	g.e.Instances = append(g.e.Instances, i)
	return i
}

func (g *graph) connect(i *specs.Instance, args []arg) {
	byField := map[string][]specs.Ref{}
	for _, a := range args {
		f, ok := i.Stage.Type.Field(a.field)
		if !ok {
			g.t.Fatalf("%s has no parameter %s", i.Stage.Type.Name, a.field)
		}
		inputs := make([]stages.Input, len(a.from))
		for k, from := range a.from {
			if a.gather {
				inputs[k].Coords = from.Coords
			}
			byField[a.field] = append(byField[a.field], specs.Ref{Instance: from})
		}
		i.Stage.Type.SetInputs(i.Runner, f, inputs)
	}
	for _, b := range i.Stage.Type.Inputs(i.Runner) {
		i.Refs = append(i.Refs, byField[b.Field.Name][b.Index])
	}
}

// when makes a condition that reads the metric value of an instance.
func when(i *specs.Instance, ok func(value float64) bool) *specs.Condition {
	return &specs.Condition{Text: "when", Refs: []*specs.Instance{i}, Eval: func(outcome func(*specs.Instance) specs.Outcome) (bool, error) {
		v, found := outcome(i).Metrics["value"].(float64)
		if !found {
			return false, fmt.Errorf("%s has no metric value", i.Address())
		}
		return ok(v), nil
	}}
}

func newStore(t testing.TB) *cache.Dir {
	store, err := cache.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (g *graph) plan(store *cache.Dir, o Options) *Plan {
	g.t.Helper()
	p, err := NewPlan(g.t.Context(), g.e, store, o)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

// log collects the events of a run.
type eventLog struct {
	events []Event

	mu   sync.Mutex
	most int // nodes that ran at one time
}

func (l *eventLog) add(e Event) { l.events = append(l.events, e) }

// logFailures shows why nodes failed, in the log of a test.
func (l *eventLog) logFailures(t testing.TB) {
	for _, e := range l.events {
		if e.Kind == NodeFailed {
			t.Logf("%s failed: %s", e.Name, e.Error)
		}
	}
}

// names lists the nodes that an event of kind was about, in plan order.
func (l *eventLog) names(kind EventKind) string {
	var found []Event
	for _, e := range l.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b Event) int { return cmp.Compare(a.Node, b.Node) })
	var out []string
	for _, e := range found {
		out = append(out, e.Name)
	}
	return strings.Join(out, " ")
}

// run plans and runs g, and gives the plan, the summary and the events.
func (g *graph) run(store *cache.Dir, o Options, ro RunOptions) (*Plan, *Summary, *eventLog) {
	g.t.Helper()
	p := g.plan(store, o)
	s, l, err := runPlan(g.t.Context(), g.t, p, store, ro)
	if err != nil {
		g.t.Fatal(err)
	}
	return p, s, l
}

func runPlan(ctx context.Context, t testing.TB, p *Plan, store *cache.Dir, ro RunOptions) (*Summary, *eventLog, error) {
	t.Helper()
	x, err := NewLocal(store, 1<<20, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	l := &eventLog{}
	if ro.Machine.Cores == 0 {
		ro.Machine = stages.Resources{Cores: 4, Memory: 1 << 30}
	}
	s, err := Run(ctx, p, &counting{Executor: x, log: l}, ro, l.add)
	return s, l, err
}

// counting notes how many nodes run at one time.
type counting struct {
	Executor
	log *eventLog
	now int
}

func (c *counting) Do(ctx context.Context, t Task) (*cache.Result, error) {
	c.count(1)
	defer c.count(-1)
	return c.Executor.Do(ctx, t)
}

func (c *counting) count(n int) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.now += n
	c.log.most = max(c.log.most, c.now)
}

// states lists the nodes in one state.
func states(p *Plan, want State) string {
	var out []string
	for _, n := range p.Nodes {
		if n.State == want {
			out = append(out, n.Name())
		}
	}
	return strings.Join(out, " ")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
