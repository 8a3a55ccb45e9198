package specs

import (
	"fmt"
	"slices"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// A choice is one value given for an axis, in baseline or an included point.
type choice struct {
	axis *Axis
	node *yaml.Node
	val  any
}

// choices reads {AXIS: VALUE, …}.
func (p *program) choices(n *yaml.Node, what string) (out []choice, ok bool) {
	if !p.wantMapping(n, what, "{AXIS: KEY, …}") {
		return nil, false
	}
	ok = true
	for i := 0; i+1 < len(n.Content); i += 2 {
		a := p.axis(n.Content[i].Value)
		if a == nil {
			p.noAxis(n.Content[i])
			ok = false
			continue
		}
		t := p.template(n.Content[i+1], scope{what: what})
		if t == nil {
			ok = false
			continue
		}
		v, _, good := t.value(p.newFrame())
		ok = ok && good && !a.bad
		out = append(out, choice{a, n.Content[i+1], v})
	}
	return out, ok
}

// noAxis reports a name that is no axis.
func (p *program) noAxis(n *yaml.Node) {
	d := p.tree.At(n, "there is no axis %q", n.Value)
	if n.Kind != yaml.ScalarNode {
		d.Summary = "an axis is given by its name"
	}
	d.Nearest = expr.Nearest(n.Value, p.axisNames())
	if names := p.axisNames(); len(names) > 0 {
		d.Expected = listNames(names)
	}
	p.misnamed(d)
}

// readBaseline reads sweep.baseline.
func (p *program) readBaseline(n *yaml.Node) {
	p.hasBaseline = true
	choices, ok := p.choices(n, "the baseline")
	p.baselineBad = !ok
	for _, c := range choices {
		if c.axis.bad {
			continue
		}
		p.baseline |= setOf(c.axis.index)
		if !c.axis.known {
			c.axis.baseKey = keyOf(c.val)
			continue
		}
		id, found := c.axis.ids[keyOf(c.val)]
		if !found {
			p.noValueOf(c)
			p.baselineBad = true
			continue
		}
		c.axis.base = id
	}
}

// noValueOf reports a value that an axis does not have.
func (p *program) noValueOf(c choice) {
	d := p.tree.At(c.node, "axis %s has no value %s", c.axis.Name, keyOf(c.val))
	d.Nearest = expr.Nearest(keyOf(c.val), c.axis.keys())
	d.Expected = listNames(c.axis.keys())
	p.report(d)
}

// readIncluded reads sweep.include: points beside the product.
func (p *program) readIncluded(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		d := p.tree.At(n, "include is a list of points")
		d.Expected = "[{AXIS: KEY, …}, …]"
		p.report(d)
		return
	}
	for _, item := range n.Content {
		choices, ok := p.choices(item, "an included point")
		for _, c := range choices {
			if c.axis.known && !c.axis.bad {
				_, found := p.pick(c)
				ok = ok && found
			}
		}
		if ok {
			p.included = append(p.included, choices)
		}
	}
}

// pick is the id of the value that c chooses, a new one where the axis is a plain list.
func (p *program) pick(c choice) (id int32, ok bool) {
	key := keyOf(c.val)
	if id, has := c.axis.ids[key]; has {
		return id, true
	}
	_, isMap := c.val.(*expr.Map)
	if c.axis.named() && !isMap {
		p.noValueOf(c)
		return 0, false
	}
	id, problem := c.axis.intern(key, c.val, false)
	if problem != "" {
		p.errorAt(c.node, "%s", problem)
		return 0, false
	}
	return id, true
}

// A comparison of an axis with constants, checked when its values are known.
type comparison struct {
	node      *yaml.Node
	offset    int
	ref       expr.Reference
	constants []expr.Constant
	axis      *Axis
	path      []string
	key       bool
	chosen    bool // what a stage chose of the axis
	held      bool // whether the elements are the constants
}

// Compare implements expr.Resolver.
func (r *resolver) Compare(ref expr.Reference, constants []expr.Constant, held bool) []*expr.Problem {
	if r.scope.frame != nil {
		return nil
	}
	if ref.Root == "changed" {
		return r.compareChanged(constants)
	}
	c := comparison{node: r.node, offset: r.offset, ref: ref, constants: constants, held: held}
	axis := 0 // the step that names it
	switch {
	case len(ref.Segs) == 0 || ref.Segs[len(ref.Segs)-1].Dynamic:
		return nil
	case ref.Root == "stages" && len(ref.Segs) > 2 && ref.Segs[1].Name == "chosen":
		c.chosen, axis = true, 2
	case ref.Root == "chosen" && r.scope.own != nil:
		c.chosen = true
	case ref.Root != "sweep" || r.scope.axes == 0:
		return nil
	}
	if c.axis = r.p.axis(ref.Segs[axis].Name); c.axis == nil || c.axis.bad {
		return nil
	}
	c.path = named(ref, axis+1)
	if len(c.path) > 0 && !c.chosen && (c.path[0] == "key" || c.path[0] == "value") {
		c.key, c.path = c.path[0] == "key", c.path[1:]
	}
	r.p.comparisons = append(r.p.comparisons, c)
	return nil
}

// compareChanged reports names that changed never has.
func (r *resolver) compareChanged(constants []expr.Constant) []*expr.Problem {
	if !r.p.hasBaseline || r.p.baselineBad || r.scope.axes < len(r.p.spec.Axes) {
		return nil // reported
	}
	var out []*expr.Problem
	var based []string
	for _, i := range r.p.baseline.list() {
		based = append(based, r.p.spec.Axes[i].Name)
	}
	for _, k := range constants {
		name, isText := k.Value.(string)
		switch a := r.p.axis(name); {
		case !isText || a != nil && (a.bad || r.p.baseline.has(a.index)):
		case a != nil:
			out = append(out, &expr.Problem{Span: k.Span, Summary: fmt.Sprintf("changed never has %q: sweep.baseline gives that axis no value", name), Expected: listNames(based)})
		default:
			problem := r.noAxis(k.Span, name)
			problem.Nearest, problem.Expected = expr.Nearest(name, based), listNames(based)
			out = append(out, problem)
		}
	}
	return out
}

// forgetComparisons drops those since the first that are part of what is wrong with an expression anyway.
func (p *program) forgetComparisons(first int, problems []*expr.Problem) {
	if len(problems) == 0 {
		return
	}
	told := func(c comparison) bool {
		return slices.ContainsFunc(c.constants, func(k expr.Constant) bool {
			return slices.ContainsFunc(problems, func(problem *expr.Problem) bool {
				return problem != silent && problem.Start <= k.Start && k.End <= problem.End
			})
		})
	}
	p.comparisons = slices.Concat(p.comparisons[:first], slices.DeleteFunc(p.comparisons[first:], told))
}

// checkComparisons reports comparisons with constants that no value has; with warnings only where the values follow
// from something that may change.
func (p *program) checkComparisons(known bool) {
	for _, c := range p.comparisons {
		if c.axis.known == known {
			p.checkComparison(c)
		}
	}
}

func (p *program) checkComparison(c comparison) {
	if !slices.ContainsFunc(c.axis.values, func(v *Value) bool { _, has := c.of(v); return has }) {
		return // no value has such a field, which is reported
	}
	for _, k := range c.constants {
		if k.Value != nil && !c.axis.bad && !c.holds(k.Value) {
			p.report(p.noConstant(c, k))
			p.blamed[c.node] = true
		}
	}
}

// of is what c's reference is where the axis has value v.
func (c comparison) of(v *Value) (at any, has bool) {
	switch {
	case c.key:
		return v.Key, true
	case c.chosen && v.named:
		return v.Key, len(c.path) == 0
	}
	return dig(v.val, c.path)
}

// holds reports whether some value of the axis equals v, or has such an element.
func (c comparison) holds(v any) bool {
	for _, value := range c.axis.values {
		at, has := c.of(value)
		if has && !c.held && expr.Equal(at, v) || c.held && slices.ContainsFunc(elements(at), func(e any) bool { return expr.Equal(e, v) }) {
			return true
		}
	}
	return false
}

// elements are those of a list, or the keys of a map.
func elements(v any) []any {
	switch x := v.(type) {
	case []any:
		return x
	case *expr.Map:
		var out []any
		for _, k := range x.Keys {
			out = append(out, k)
		}
		return out
	}
	return nil
}

func (p *program) noConstant(c comparison, k expr.Constant) Diagnostic {
	name := c.ref.Path(len(c.ref.Segs))
	verb := "is never"
	if c.held {
		verb = "never has"
	}
	d := p.tree.Within(c.node, c.offset+k.Start, c.offset+k.End, "%s %s %s", name, verb, quoted(k.Value))
	text, isText := k.Value.(string)
	_, isKey := c.axis.ids[text]
	switch {
	case isText && len(c.path) == 0 && !c.key && !c.chosen && !c.held && c.axis.named():
		d.Note = fmt.Sprintf("sweep.%s is the value; its name is sweep.%s.key", c.axis.Name, c.axis.Name)
		d.Expected = fmt.Sprintf("sweep.%s.key compared with %s", c.axis.Name, listNames(c.axis.keys()))
		if isKey {
			d.Expected = fmt.Sprintf("sweep.%s.key == %q", c.axis.Name, text)
		}
		d.Nearest = expr.Nearest(text, c.axis.keys())
	default:
		d.Nearest = expr.Nearest(expr.Format(k.Value), c.values())
		d.Expected = listNames(c.values())
	}
	if c.axis.Computed || !c.axis.known || p.tree.Touched("sweep", "axes", c.axis.Name) {
		d.Severity = Warning
	}
	return d
}

// values are what c's reference may be, as text.
func (c comparison) values() []string {
	var out []string
	seen := map[string]bool{}
	for _, v := range c.axis.values {
		at, _ := c.of(v)
		texts := []any{at}
		if c.held {
			texts = elements(at)
		}
		for _, x := range texts {
			if text := expr.Format(x); !seen[text] {
				seen[text] = true
				out = append(out, text)
			}
		}
	}
	return out
}

func quoted(v any) string {
	if s, isText := v.(string); isText {
		return fmt.Sprintf("%q", s)
	}
	return expr.Format(v)
}
