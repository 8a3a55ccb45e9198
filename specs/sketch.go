package specs

import (
	"reflect"
	"slices"
	"strings"

	"regft/specs/expr"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// Stages with mistakes are sketched: what does not hang on the mistake is made as ever, and checked. What may hang on it
// is not known, and nothing is said of it.

// meant is the parameter that name was probably meant to be, "" for none.
func (s *Stage) meant(name string) string {
	var names []string
	for _, f := range s.Type.Fields() {
		names = append(names, f.Name)
	}
	return expr.Nearest(name, names)
}

// ready reports whether what s takes has instances or sketches. Stages of a cycle have not.
func (x *expansion) ready(s *Stage) bool {
	return (s.Type.Name == "" || s.with != nil) && !slices.ContainsFunc(s.inputs, func(t *Stage) bool { return !t.made })
}

// pretend puts one point at which no axis has a value in place of those that there are not, for a mistake, so that stages
// are sketched: what mentions an axis counts as not known.
func (x *expansion) pretend() {
	x.ids = [][]int32{x.newFrame().ids}
	x.layouts, x.pairs = map[axisSet]*layout{}, map[[2]axisSet][][]int32{}
	for _, s := range x.spec.Stages {
		s.bad = true
	}
}

// checkHeadings reports metrics in tables and studies that their stages' results do not have.
func (x *expansion) checkHeadings() {
	for _, t := range x.spec.Tables {
		x.checkValues(t.stage, t.Values)
	}
	for _, s := range x.spec.Studies {
		x.checkValues(s.stage, s.Values)
	}
}

// blank sketches a stage whose type is not known: nothing is known of its instances.
func (x *expansion) blank(s *Stage) {
	s.bad, s.layout, s.expansion = true, x.layout(s.over), x
	x.describe(s.layout)
	unknown := &variant{bad: true, unnamed: true}
	for g := range s.layout.first {
		s.instances = append(s.instances, &Instance{Stage: s, Coords: s.layout.coords[g], variant: unknown, group: int32(g), unnamed: true})
	}
	s.made = true
}

// hidden reports whether a mistake in what i takes may hide by which names its metrics are read: those of data, or of
// scores.
func (m *maker) hidden(i *Instance, failed bool) bool {
	if !m.stage.nested() && !m.stage.chooses() {
		return false
	}
	gathers := m.stage.gather|m.stage.pool != 0
	return failed || len(m.stage.Gather) < items(lookup(m.stage.node, "gather")) || slices.ContainsFunc(i.Refs, func(r Ref) bool {
		return r.Instance != nil && (r.scores(m.stage) && r.Instance.unnamed || gathers && r.field.Each && r.Instance.Stage.bad)
	})
}

// items is how many entries n gives, where it is a list or one of its entries.
func items(n *yaml.Node) int {
	switch {
	case n == nil || n.Tag == "!!null":
		return 0
	case n.Kind == yaml.SequenceNode:
		return len(n.Content)
	}
	return 1
}

// mostSketched is how many variants of a stage are sketched; of more nothing is known.
const mostSketched = 100

// sketch says what is known of the variant in spite of the problems: outputs and metrics that are the same whatever the
// parameters at fault are.
func (b *builder) sketch(problems []stages.Problem) {
	v, t := b.variant, b.of.Type
	faults, found := b.faults(problems)
	b.of.sketched++
	if !found || b.of.sketched > mostSketched {
		v.unnamed = true
		return
	}
	outputs, metrics := t.Outputs(v.runner), b.of.metricNames(v.runner)
	for _, f := range faults {
		v.unnamed = v.unnamed || f.Each || b.of.chooses() && f.Takes(stages.Scores)
		for _, r := range b.otherwise(f) {
			if !slices.Equal(outputs, t.Outputs(r)) {
				outputs = nil
			}
			v.unnamed = v.unnamed || !reflect.DeepEqual(metrics, b.of.metricNames(r))
		}
	}
	v.outputs = outputs
}

// metricNames are the names of the metrics of r, a Runner of s; nil means any.
func (s *Stage) metricNames(r stages.Runner) []string {
	if m, ok := r.(stages.Measurer); ok {
		return m.MetricNames()
	}
	if s.chooses() {
		return nil // those of its scores
	}
	return []string{}
}

// faults are the parameters that the problems, and mistakes reported before, are in. found is false where one may be in
// any, or in one whose values are too many to try.
func (b *builder) faults(problems []stages.Problem) (faults []stages.Field, found bool) {
	names := []string{}
	for name := range b.skipped {
		names = append(names, name)
	}
	for _, p := range problems {
		name, _, _ := strings.Cut(p.Param, ".")
		if _, known := b.of.Type.Field(name); !known {
			name = b.of.meant(name)
		}
		names = append(names, name)
	}
	for _, name := range names {
		f, known := b.of.Type.Field(name)
		if !known || f.Kinds == nil && !scalars(f) {
			return nil, false
		}
		faults = append(faults, f)
	}
	return faults, true
}

// scalars reports whether the values of f are single numbers, texts or truths.
func scalars(f stages.Field) bool {
	t := f.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return slices.Contains([]reflect.Kind{reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64, reflect.String}, t.Kind())
}

// otherwise are runners as b's, but for other values of f: none, those that it lists, or some of each kind.
func (b *builder) otherwise(f stages.Field) []stages.Runner {
	values := []any{true, false, int64(0), int64(1), int64(2), 0.5, "x"}
	for _, text := range f.Enum {
		values = append(values, text)
	}
	rest := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(b.mapped.Content); i += 2 {
		if b.mapped.Content[i].Value != f.Name {
			rest.Content = append(rest.Content, b.mapped.Content[i:i+2]...)
		}
	}
	decode := func(more ...*yaml.Node) stages.Runner {
		n := *rest
		n.Content = slices.Concat(n.Content, more)
		r, _ := b.of.Type.Decode(&n, stages.Context{Dir: b.spec.Dir, Seed: b.spec.Seed})
		return r
	}
	out := []stages.Runner{decode()}
	for _, v := range values {
		out = append(out, decode(b.fromValue(f.Name, b.mapped), b.fromValue(v, b.mapped)))
	}
	return out
}
