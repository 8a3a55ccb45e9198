package specs

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"regft/specs/expr"
	"regft/stages"
)

// Expand gives every point and every instance that s asks for, or what is wrong with it; a context that ends gives
// the error of the context. Warnings are in the expansion too.
func (s *Spec) Expand(ctx context.Context) (*Expansion, Diagnostics) {
	p := s.program
	if p.expansion != nil {
		return p.expansion, p.expansion.Warnings
	}
	e := p.expand(ctx)
	out := p.out.Sorted()
	if err := ctx.Err(); err != nil {
		return nil, Diagnostics{{Severity: Error, File: s.Path, Summary: "cancelled: " + err.Error()}}
	}
	if out.HasErrors() {
		return nil, out
	}
	p.listFiles()
	e.Warnings = out
	p.expansion = e
	return e, out
}

// An expansion is a spec while its points and instances are made.
type expansion struct {
	*program
	ctx     context.Context
	ids     [][]int32 // the points, by the ids of their values
	layouts map[axisSet]*layout
	pairs   map[[2]axisSet][][]int32
	chosen  map[*code][]string
	cycles  map[string]bool // reported
	broken  bool            // there are no points, for a mistake: see pretend
}

// expand makes points and instances. Where there are no points for a mistake, the stages are sketched, as far as they
// mention no axis.
func (p *program) expand(ctx context.Context) *Expansion {
	x := &expansion{program: p, ctx: ctx, layouts: map[axisSet]*layout{}, pairs: map[[2]axisSet][][]int32{}, chosen: map[*code][]string{}, cycles: map[string]bool{}}
	x.broken = p.tree.Part || p.whereBad || slices.ContainsFunc(p.spec.Axes, func(a *Axis) bool { return a.bad })
	if !x.broken {
		ids, err := p.points(ctx)
		x.broken = err != nil || len(ids) == 0
		x.ids = ids
		if err == nil {
			p.checkComparisons(false)
			p.checkExcludes(len(ids))
			x.checkLate()
		}
	}
	if x.broken {
		x.ids = nil
	}
	e := &Expansion{Spec: p.spec, Points: x.points(), made: x}
	order := x.order()
	if x.broken {
		x.pretend()
	}
	for _, s := range order {
		x.depend(s)
		switch {
		case ctx.Err() != nil:
			return e
		case !x.ready(s):
			x.glance(s)
		case s.Type.Name == "":
			x.blank(s)
		default:
			for _, i := range x.instantiate(s) {
				i.Index = len(e.Instances)
				e.Instances = append(e.Instances, i)
			}
		}
		x.checkAxes(s)
	}
	if x.broken {
		x.checkHeadings()
	} else {
		x.finish(e)
	}
	return e
}

// points gives the points their values.
func (x *expansion) points() []Point {
	n := len(x.spec.Axes)
	all := make([]*Value, n*len(x.ids))
	out := make([]Point, len(x.ids))
	for i, ids := range x.ids {
		out[i] = all[i*n : (i+1)*n : (i+1)*n]
		for a, id := range ids {
			if id != noValue {
				out[i][a] = x.spec.Axes[a].values[id]
			}
		}
	}
	return out
}

// checkLate reports fields that no value of a computed axis has, and a baseline that it never takes.
func (x *expansion) checkLate() {
	x.checkFields(x.late)
	for _, a := range x.spec.Axes {
		if a.baseKey != "" && a.base < 0 {
			n := lookup(lookup(lookup(x.tree.Root, "sweep"), "baseline"), a.Name)
			d := x.tree.At(n, "axis %s never has the value %s", a.Name, a.baseKey)
			d.Severity = Warning
			d.Nearest, d.Expected = expr.Nearest(a.baseKey, a.keys()), listNames(a.keys())
			x.report(d)
		}
	}
}

// checkFields reports fields that no value has.
func (x *expansion) checkFields(late []lateField) {
	for _, l := range late {
		_, problem := x.fieldValues(l.ref, l.axis, l.path)
		if l.chosen > 0 {
			problem = chosenField(l.ref, l.axis, l.chosen)
		}
		if problem != nil {
			x.problem(l.node, l.offset, problem)
		}
	}
}

// glance decodes the parameters of a stage that cannot have instances, for what is wrong with them too.
func (x *expansion) glance(s *Stage) {
	if s.with == nil || s.Type.Name == "" {
		return
	}
	f := x.newFrame()
	if len(x.ids) > 0 {
		f.ids = x.ids[0]
	}
	x.variant(s, f, x.broken)
}

// instantiate makes the instances of s; those of what it takes are there. Where s is bad they are sketches: what can be
// known of them is, so that they and what takes them are checked for further mistakes.
func (x *expansion) instantiate(s *Stage) []*Instance {
	mentioned := axisSet(0)
	s.codes(func(c *code) { mentioned |= c.axes })
	s.expansion = x
	s.layout = x.layout(s.over)
	x.describe(s.layout)
	places := x.layout(mentioned)
	variants := make([]*variant, len(places.first))
	m := &maker{expansion: x, stage: s, frame: x.newFrame(), coords: map[coordKey][]stages.Coord{}}
	made := make([]Instance, len(s.layout.first))
	s.instances = make([]*Instance, 0, len(made))
	for g, first := range s.layout.first {
		if g&0x3ff == 0 && x.ctx.Err() != nil || x.madeBytes > maxMade {
			return nil
		}
		m.group, m.point = int32(g), first
		m.frame.ids = x.ids[first]
		v := &variants[places.of[first]]
		if *v == nil {
			*v = x.variant(s, m.frame, x.broken)
		}
		s.bad = s.bad || (*v).bad
		m.instance(&made[g], *v)
		s.instances = append(s.instances, &made[g])
	}
	s.made = true
	if s.bad {
		return nil
	}
	return s.instances
}

// A maker makes the instances of one stage.
type maker struct {
	*expansion
	stage  *Stage
	frame  *frame
	group  int32
	point  int32
	coords map[coordKey][]stages.Coord
	inputs []stages.Input // room for those of instances to come
	refs   []Ref          // the same
}

// room takes n elements off the room that there is, which grows by many at once. They have no room behind them.
func room[T any](left *[]T, n int) []T {
	if n > len(*left) {
		*left = make([]T, max(n, 512))
	}
	out := (*left)[:n:n]
	*left = (*left)[n:]
	return out
}

type coordKey struct {
	instance *Instance
	axes     axisSet
}

// errInstance ends an instance after a report.
var errInstance = errors.New("reported")

// instance makes i the instance at hand.
func (m *maker) instance(i *Instance, v *variant) {
	s := m.stage
	*i = Instance{Stage: s, Coords: s.layout.coords[m.group], Runner: v.runner, variant: v, kind: s.Type.Out, group: m.group}
	if len(v.inputs) > 0 || len(v.exprs) > 0 {
		i.Runner = s.Type.Clone(v.runner)
	}
	if len(v.inputs) > 0 {
		i.Refs = room(&m.refs, v.entries)[:0]
	}
	failed := false
	for k := range v.inputs {
		failed = m.fill(i, &v.inputs[k]) != nil || failed
	}
	i.unnamed = v.unnamed || m.hidden(i, failed)
	if !m.name(i) {
		failed, i.unnamed = true, true
	}
	failed = !m.goals(i, v) || failed
	whole := !failed && !v.bad && !slices.ContainsFunc(i.Refs, func(r Ref) bool { return r.Instance != nil && r.Instance.Stage.bad })
	s.bad = s.bad || failed || whole && !m.inputRules(i)
	i.When, i.Assert = m.when(), m.assert(i)
}

// inputRules checks rules over what i takes.
func (m *maker) inputRules(i *Instance) bool {
	v, ok := i.Runner.(stages.InputValidator)
	if !ok {
		return true
	}
	broken := stages.Broken(v.ValidateInputs())
	for _, err := range broken {
		d := m.tree.At(m.stage.blamed(err.Error()), "%s", err)
		if problem, is := errors.AsType[stages.Problem](err); is {
			d.Summary, d.Expected, d.Nearest = problem.Text, problem.Want, expr.Nearest(problem.Got, problem.Names)
		}
		m.some(mostAtOnePlace, m.stage.blamed(err.Error()), 0, func() { m.report(d) })
	}
	return len(broken) == 0
}

// fill resolves a parameter that takes artifacts.
func (m *maker) fill(i *Instance, in *input) error {
	f := &in.param.field
	inputs := room(&m.inputs, len(in.entries))[:0]
	from := len(i.Refs)
	for k := range in.entries {
		e := &in.entries[k]
		if e.stage == nil {
			inputs = append(inputs, stages.Input{Key: e.slot.key, Path: e.path})
			i.Refs = append(i.Refs, Ref{field: f})
			continue
		}
		producers, axes := m.producers(e.stage, f)
		if axes != 0 && !f.List() && e.stage.bad { // it may not be meant to depend on them
			return errInstance
		}
		if axes != 0 && !f.List() {
			d := m.tree.At(e.slot.node, "%s takes one artifact, and stage %s is gathered over %s here", f.Name, e.stage.Name, m.axesText(axes))
			d.Expected = f.TypeName()
			m.report(d)
			return errInstance
		}
		inputs, i.Refs = slices.Grow(inputs, len(producers)), slices.Grow(i.Refs, len(producers))
		for _, producer := range producers {
			output, err := m.output(producer, e, f)
			if err != nil {
				return err
			}
			coords := m.coordsOf(producer, axes)
			i.Refs = append(i.Refs, Ref{Instance: producer, Output: output, field: f})
			inputs = append(inputs, stages.Input{Key: e.slot.key, Coords: coords, Pooled: m.isPooled(i, producer, axes), Names: producer.Parts})
			if f.Each {
				i.Parts = append(i.Parts, partName(producer, coords))
			}
		}
	}
	if f.Name == m.stage.Type.OutAs && len(i.Refs) > from && i.Refs[from].Instance != nil {
		i.kind = i.Refs[from].Instance.outputKind(i.Refs[from].Output)
		m.candidates(i, i.Refs[from:])
	}
	m.stage.Type.SetInputs(i.Runner, *f, inputs)
	return nil
}

// producers are the instances of t that the instance at hand takes for parameter f, and the axes that they are gathered
// over.
func (m *maker) producers(t *Stage, f *stages.Field) ([]*Instance, axisSet) {
	pool := axisSet(0)
	if f.Pool != "" {
		pool = m.stage.pool
	}
	axes := t.over & (m.stage.gather | pool)
	if axes == 0 {
		return t.instances[t.layout.of[m.point] : t.layout.of[m.point]+1], 0
	}
	outer := m.layout(m.stage.over &^ pool)
	groups := m.within(outer, t.layout)[outer.of[m.point]]
	out := make([]*Instance, len(groups))
	for k, g := range groups {
		out[k] = t.instances[g]
	}
	return out, axes
}

// isPooled reports whether i takes a producer, gathered over axes, only because it pools: it is of another replicate.
func (m *maker) isPooled(i, producer *Instance, axes axisSet) bool {
	for _, a := range (axes &^ m.stage.gather).list() {
		of, own := producer.coordsOn(1<<a), i.coordsOn(1<<a)
		if of != nil && own != nil && of[0].Key != own[0].Key {
			return true
		}
	}
	return false
}

// coordsOf are the coordinates of an input on the axes that it is gathered over: gathered ones first, then pooled.
func (m *maker) coordsOf(producer *Instance, axes axisSet) []stages.Coord {
	if axes == 0 {
		return nil
	}
	if c := producer.coordsOn(axes); c != nil && (axes&m.stage.gather == 0 || axes&^m.stage.gather == 0) {
		return c
	}
	key := coordKey{producer, axes}
	if c, done := m.coords[key]; done {
		return c
	}
	var out []stages.Coord
	for _, part := range []axisSet{axes & m.stage.gather, axes &^ m.stage.gather} {
		for k, a := range producer.Stage.over.list() {
			if part.has(a) {
				out = append(out, producer.Coords[k])
			}
		}
	}
	m.coords[key] = out
	return out
}

// coordsOn are i's coordinates on these axes, where they stand side by side; else nil.
func (i *Instance) coordsOn(axes axisSet) []stages.Coord {
	over, above := i.Stage.over, axes&-axes-1
	if upTo := axisSet(1)<<(axes.last()+1) - 1; over&upTo&^above != axes {
		return nil
	}
	from := bits.OnesCount64(uint64(over & above))
	to := from + bits.OnesCount64(uint64(axes))
	return i.Coords[from:to:to]
}

// output names what e takes of an instance, and checks its kind.
func (m *maker) output(producer *Instance, e *entry, f *stages.Field) (string, error) {
	outputs := producer.variant.outputs
	if outputs == nil { // for a mistake
		return e.output, nil
	}
	at := slices.IndexFunc(outputs, func(o stages.Output) bool { return o.Name == e.output })
	if e.output == "" && len(outputs) == 1 {
		at = 0
	}
	if at < 0 {
		m.report(m.noOutput(producer, e))
		return "", errInstance
	}
	kind := outputs[at].Kind
	if kind == "" {
		kind = producer.kind
	}
	if kind != "" && !f.Takes(kind) {
		m.report(m.wrongKind(e.slot, *f, producer.Stage, kind))
		return "", errInstance
	}
	return outputs[at].Name, nil
}

// wrongKind is the mistake of an artifact that a parameter does not take.
func (p *program) wrongKind(sl *slot, f stages.Field, from *Stage, kind stages.Kind) Diagnostic {
	d := p.tree.At(sl.node, "%s takes %s, and stage %s gives %s", f.Name, f.TypeName(), from.Name, kind)
	d.Note = fmt.Sprintf("stage %s uses %s", from.Name, from.Type.Name)
	return d
}

func (m *maker) noOutput(producer *Instance, e *entry) Diagnostic {
	var names []string
	for _, o := range producer.variant.outputs {
		if o.Name != "" {
			names = append(names, o.Name)
		}
	}
	t := producer.Stage
	d := m.tree.At(e.slot.node, "stage %s has no output %q", t.Name, e.output)
	switch {
	case e.output == "":
		d.Summary = fmt.Sprintf("stage %s has several outputs", t.Name)
		d.Expected = fmt.Sprintf("stages.%s.%s", t.Name, names[0])
		d.Note = "its outputs are " + listNames(names)[len("one of "):]
	case len(names) == 0:
		d.Expected = "stages." + t.Name
		d.Note = "it has one output, without a name"
	default:
		d.Nearest, d.Expected = expr.Nearest(e.output, names), listNames(names)
	}
	return d
}

// outputKind is the kind of output name.
func (i *Instance) outputKind(name string) stages.Kind {
	if i.variant.outputs == nil {
		return ""
	}
	for _, o := range i.variant.outputs {
		if o.Name == name && o.Kind != "" {
			return o.Kind
		}
	}
	return i.kind
}

// candidates notes what a stage that chooses may choose.
func (m *maker) candidates(i *Instance, refs []Ref) {
	if !m.stage.chooses() {
		return
	}
	for _, r := range refs {
		values := map[string]any{}
		if r.Instance != nil { // no path
			for k, a := range r.Instance.Stage.over.list() {
				if m.stage.gather.has(a) {
					values[r.Instance.Coords[k].Axis] = r.Instance.value(k)
				}
			}
		}
		i.Candidates = append(i.Candidates, values)
	}
}
