package engine

import (
	"maps"
	"slices"
	"strings"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// A Measure is what is known of an instance's results when tables are built.
type Measure struct {
	specs.Outcome
	Standing
	Recorded bool     // of a run's record: the cache has it no longer
	Oracle   bool     // what it rests on was chosen on the very data that it reports
	Failed   bool     // its stage failed, or one that it needs
	Actions  []string // of its nodes
	Numerics []string // the classes of machine that computed it, and what it is made of as far as that is recorded
}

// Standing says whether an instance's results may be shown.
type Standing uint8

// The standings of a Measure.
const (
	Missing   Standing = iota // not run yet, failed or skipped
	Current                   // made of the data, parameters and versions that the spec asks for
	Unchecked                 // of a run's record; its data is not on this machine, so nothing can be compared
	Stale                     // of a run's record, and made of other data, parameters or versions
)

// Measure is what the cache holds for an instance, as p stands.
func (p *Plan) Measure(si *specs.Instance) Measure {
	i := p.order[si.Index]
	if i.fate != done {
		return Measure{Outcome: specs.Outcome{Skipped: i.fate == skipped}, Failed: p.failed(si)}
	}
	m := Measure{Outcome: p.outcome(si), Standing: Current, Oracle: p.Oracle(si)}
	numerics := map[string]bool{}
	for _, pt := range i.parts {
		if pt.fate == done && pt.node.Result != nil {
			m.Actions = append(m.Actions, pt.node.Result.Action.String())
			for _, class := range p.classes(pt.node) {
				numerics[class] = true
			}
		}
	}
	m.Numerics = slices.Sorted(maps.Keys(numerics))
	return m
}

// classes are the classes of machine that computed n and all that it is made of.
func (p *Plan) classes(n *Node) []string {
	if known, ok := p.computedBy[n]; ok {
		return known
	}
	found := map[string]bool{}
	for _, from := range n.takes {
		for _, class := range p.classes(from) {
			found[class] = true
		}
	}
	if n.Result != nil && n.Result.Numerics != "" {
		found[n.Result.Numerics] = true
	}
	if p.computedBy == nil {
		p.computedBy = map[*Node][]string{}
	}
	p.computedBy[n] = slices.Sorted(maps.Keys(found))
	return p.computedBy[n]
}

// failed tells whether an instance failed, or what it needs did.
func (p *Plan) failed(si *specs.Instance) bool {
	switch p.order[si.Index].fate {
	case failed:
		return true
	case blocked:
		return slices.ContainsFunc(si.Refs, func(r specs.Ref) bool { return r.Instance != nil && p.failed(r.Instance) })
	}
	return false
}

// A Ledger gives what instances of a plan measured: from the cache, and where that has nothing, from a past run.
type Ledger struct {
	plan  *Plan
	lines map[string]Line           // of the past run, by stage and point
	nodes map[string]InstanceRecord // likewise
	past  PlanRecord
}

// NewLedger reads what a past run of p's spec has left. A nil past, and one that has not ended, have left nothing.
func NewLedger(p *Plan, past *Past) (*Ledger, error) {
	l := &Ledger{plan: p, lines: map[string]Line{}, nodes: map[string]InstanceRecord{}}
	if past == nil || past.Provenance.Ended.IsZero() {
		return l, nil
	}
	lines, err := past.Results()
	if err != nil {
		return nil, err
	}
	if l.past, err = past.Plan(); err != nil {
		return nil, err
	}
	for _, line := range lines {
		l.lines[PointKey(line.Stage, line.Point)] = line
	}
	for _, i := range l.past.Instances {
		l.nodes[PointKey(i.Stage, i.Point)] = i
	}
	return l, nil
}

// PointKey names an instance by its stage and point, as records hold them.
func PointKey(stage string, point map[string]any) string {
	if point == nil {
		point = map[string]any{}
	}
	return stage + stages.CanonicalJSON(point)
}

// Measure is what is known of an instance.
func (l *Ledger) Measure(si *specs.Instance) Measure {
	m, i := l.plan.Measure(si), l.plan.order[si.Index]
	if m.Standing == Current || i.fate == skipped || i.fate == failed {
		return m
	}
	key := PointKey(si.Stage.Name, cache.EncodeMetrics(si.Point()))
	line, has := l.lines[key]
	if !has {
		return m
	}
	m = Measure{Outcome: specs.Outcome{Metrics: line.Metrics, Chosen: line.Chosen}, Standing: l.standing(i, l.nodes[key]), Recorded: true, Oracle: si.Oracle || line.Oracle, Actions: line.actions()}
	if line.Numerics != "" {
		m.Numerics = strings.Split(line.Numerics, ", ")
	}
	return m
}

// standing compares the recipes of i's nodes with those of the past run.
func (l *Ledger) standing(i *instance, past InstanceRecord) Standing {
	if i.fate == unknown || i.fate == lacking || i.fate == blocked {
		return Unchecked
	}
	if len(past.Nodes) != len(i.parts) {
		return Stale
	}
	for k, pt := range i.parts {
		if l.past.Nodes[past.Nodes[k]].Recipe != pt.node.Recipe.String() {
			return Stale
		}
	}
	return Current
}

// actions are those of the nodes that measured l.
func (l Line) actions() []string {
	if a, ok := l.Digests["action"].(string); ok {
		return []string{a}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(l.Digests)) {
		if part, ok := l.Digests[name].(map[string]any); ok {
			if a, ok := part["action"].(string); ok {
				out = append(out, a)
			}
		}
	}
	return out
}
