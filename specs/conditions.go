package specs

import (
	"fmt"
	"slices"
	"strings"

	"regft/specs/expr"
	"regft/stages"
)

// name gives the names by which i's metrics are read.
func (m *maker) name(i *Instance) bool {
	i.metrics = m.stage.metricNames(i.Runner)
	for _, r := range i.Refs {
		if r.scores(m.stage) {
			i.Parts, i.metrics = r.Instance.Parts, r.Instance.metrics
			break
		}
	}
	for k, n := range i.Parts {
		if slices.Contains(i.Parts[:k], n) {
			in := m.eachNode(i)
			d := m.tree.At(in.param.node, "metrics of stage %s would have the name %s twice", m.stage.Name, n)
			d.Note = "metrics are named after the stage of the data, or, where it is gathered, after the axis' key"
			m.report(d)
			return false
		}
	}
	return true
}

// scores reports whether r is what s, a stage that chooses, judges its candidates by.
func (r Ref) scores(s *Stage) bool {
	chooses := s.chooses()
	return chooses && r.Instance != nil && r.field.Name != s.Type.OutAs && r.field.Takes(stages.Scores)
}

// partName is the name of the metrics on one set of data.
func partName(data *Instance, coords []stages.Coord) string {
	if len(coords) == 0 {
		return data.Stage.Name
	}
	var keys []string
	for _, c := range coords {
		keys = append(keys, c.Key)
	}
	return strings.Join(keys, ",")
}

// eachNode is the input whose artifacts are evaluated one by one, or the first.
func (m *maker) eachNode(i *Instance) input {
	for _, in := range i.variant.inputs {
		if in.param.field.Each {
			return in
		}
	}
	return i.variant.inputs[0]
}

// goals compiles the CEL that i evaluates while it runs.
func (m *maker) goals(i *Instance, v *variant) bool {
	for k := range v.exprs {
		if i.unnamed && v.exprs[k].param.field.CEL == "metrics" {
			continue
		}
		e, ok := m.expr(&v.exprs[k], i.Parts, i.metrics)
		if !ok {
			return false
		}
		m.stage.Type.SetExpr(i.Runner, v.exprs[k].param.field, e)
	}
	return true
}

// when is the condition under which the instance at hand runs.
func (m *maker) when() *Condition {
	c := m.stage.when
	if c == nil {
		return nil
	}
	return m.bindCondition(c, nil)
}

// assert is the condition on i's own results.
func (m *maker) assert(i *Instance) *Condition {
	c := m.stage.assert
	if c == nil {
		return nil
	}
	return m.bindCondition(c, i)
}

// bindCondition gives c the instances whose results it reads at the point at hand: own, or those of other stages.
func (m *maker) bindCondition(c *code, own *Instance) *Condition {
	x, ids := m.expansion, m.frame.ids
	out := &Condition{Text: c.program.Text, Place: m.tree.Place(c.node)}
	at := map[*Stage]*Instance{}
	refer := func(s *Stage) *Instance {
		i := own
		if i == nil {
			i = s.instances[s.layout.of[m.point]]
		}
		if at[s] == nil {
			at[s] = i
			out.Refs = append(out.Refs, i)
		}
		return i
	}
	for _, n := range c.outcomes {
		m.checkMetric(c, n, refer(n.stage))
	}
	if c.computed {
		for _, name := range m.namedAt(c) {
			refer(m.program.stage(name))
		}
	}
	out.Eval = func(outcome func(*Instance) Outcome) (bool, error) {
		x.evaluating.Lock()
		defer x.evaluating.Unlock()
		x.outcomeOf = func(stage, kind string, path []string) (any, error) {
			return readOutcome(outcome(at[x.stage(stage)]), kind, path, "stages."+stage)
		}
		return c.holds(&frame{p: x.program, ids: ids}, outcome, func(n *outcomeName) *Instance { return at[n.stage] }, out.Refs)
	}
	return out
}

// holds evaluates c with the outcomes of instances. What was skipped makes it false.
func (c *code) holds(f *frame, outcome func(*Instance) Outcome, of func(*outcomeName) *Instance, refs []*Instance) (bool, error) {
	for _, r := range refs {
		if outcome(r).Skipped {
			return false, nil
		}
	}
	v, err := c.evalWith(f, func(n *outcomeName) (any, error) {
		return readOutcome(outcome(of(n)), n.kind, n.path, n.name)
	})
	if err != nil {
		return false, fmt.Errorf("%s: evaluating %q: %w", c.p.tree.Place(c.node), c.program.Text, err)
	}
	yes, isBool := v.(bool)
	if !isBool {
		return false, fmt.Errorf("%s: %q gives %s, not true or false", c.p.tree.Place(c.node), c.program.Text, expr.Format(v))
	}
	return yes, nil
}

func readOutcome(o Outcome, kind string, path []string, name string) (any, error) {
	if kind == "chosen" {
		return read(o.Chosen, path, name)
	}
	return read(o.Metrics, path, name)
}

// namedAt lists the stages that stages[E] in c names at the point at hand.
func (m *maker) namedAt(c *code) []string {
	if m.broken && c.axes != 0 {
		return nil
	}
	m.named = map[string]bool{}
	_, _ = c.try(m.frame) // its results are not known yet
	var out []string
	for _, s := range m.spec.Stages {
		if m.named[s.Name] {
			out = append(out, s.Name)
		}
	}
	return out
}

// checkMetric reports a metric that i does not have.
func (p *program) checkMetric(c *code, n *outcomeName, i *Instance) {
	if n.kind != "metrics" || i.unnamed {
		return
	}
	names, path, what := i.metrics, n.path, n.stage.Name
	if i.Parts != nil && len(path) > 0 {
		if !slices.Contains(i.Parts, path[0]) {
			p.noMetric(c, n, what, path[0], i.Parts, slices.Contains(i.metrics, path[0]))
			return
		}
		path = path[1:]
	}
	if len(path) > 0 && names != nil && !slices.Contains(names, path[0]) {
		p.noMetric(c, n, what, path[0], names, false)
	}
}

// noMetric reports a metric, or data, that a stage has none of. metric: got is a metric where names are data.
func (p *program) noMetric(c *code, n *outcomeName, stage, got string, names []string, metric bool) {
	d := p.tree.Within(c.node, c.offset+n.Start, c.offset+n.End, "stage %s has no metric %q", stage, got)
	d.Nearest, d.Expected = expr.Nearest(got, names), listNames(names)
	if metric && len(names) > 0 {
		d.Note = "metrics are named after the data that they were measured on: " + metricPath(names[0], got)
	}
	if len(names) == 0 {
		d.Note = "a stage of type " + p.stage(stage).Type.Name + " with these parameters gives no metrics"
	}
	p.report(d)
}
