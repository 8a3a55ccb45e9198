package specs

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// maxAxes is how many axes a sweep may have: an axisSet holds so many.
const maxAxes = 64

// maxValues is how many values one axis may have.
const maxValues = 300_000

// readAxes reads sweep.axes, and with each axis what baseline and included points say of it.
func (p *program) readAxes(n *yaml.Node) {
	if !p.wantMapping(n, "axes", "{AXIS: [VALUE, …], …}") {
		return
	}
	if len(n.Content)/2 > maxAxes {
		p.errorAt(n.Content[2*maxAxes], "a sweep has at most %d axes", maxAxes)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		a := &Axis{Name: key.Value, Place: p.tree.Place(key), index: i / 2, node: n.Content[i+1], ids: map[string]int32{}, base: -2}
		p.spec.Axes = append(p.spec.Axes, a)
		if !p.checkName(key, "an axis") {
			a.bad = true
		}
	}
	for _, a := range p.spec.Axes {
		p.readAxis(a)
	}
}

func (p *program) readAxis(a *Axis) {
	node := a.node
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "replicates" {
		a.Replicates, node = true, node.Content[1]
		a.node = node
	}
	a.Computed = node.Kind == yaml.ScalarNode && strings.HasPrefix(node.Value, "${")
	if node.Kind == yaml.ScalarNode && !strings.Contains(node.Value, "${") {
		d := p.tree.At(node, "axis %s has no list of values", a.Name)
		d.Expected = axisForms
		p.report(d)
		a.bad = true
		return
	}
	a.template = p.template(node, scope{what: "the definition of an axis", axes: a.index, above: true})
	if a.template == nil {
		a.bad = true
		return
	}
	a.reads = a.template.axes
	a.known = a.reads == 0
	if p.misspeltForm(a) {
		a.bad = true
		return
	}
	if a.known {
		own, ok := p.axisValues(a, p.newFrame())
		a.own, a.bad = own, !ok
		if ok && len(own) == 0 {
			d := p.tree.At(node, "axis %s has no value", a.Name)
			d.Expected = "at least one value"
			p.report(d)
			a.bad = true
		}
	}
}

// misspeltForm reports a key that stands beside those of a range or of replicates, or is nearly the latter: all of them
// would be names of values.
func (p *program) misspeltForm(a *Axis) bool {
	if k := foreignForm(a.node); k != nil {
		d := p.tree.At(k, "the definition of axis %s has no key %q", a.Name, k.Value)
		d.Expected, d.Note = axisForms, "a range is from, to and step, both ends included; seeds that tables fold are replicates"
		p.sure(d)
		return true
	}
	names, known := keys(a.node), []string{"from", "to", "step"}
	in := func(k string) bool { return slices.Contains(known, k) }
	beside := len(slices.DeleteFunc(slices.Clone(names), func(k string) bool { return !in(k) })) > 1
	if !beside {
		known = []string{"replicates"}
		beside = slices.ContainsFunc(names, in)
	}
	for i, name := range names {
		nearest := expr.Nearest(name, known)
		nearly := len(names) == 1 && nearest != "" && a.node.Content[1].Kind == yaml.SequenceNode
		if beside && !in(name) || nearly {
			d := p.tree.At(a.node.Content[2*i], "the definition of axis %s has no key %q", a.Name, name)
			d.Expected, d.Nearest = axisForms, nearest
			p.sure(d)
			return true
		}
	}
	return false
}

// foreignForm is a key by which other programs give a range or a list of values: no names of values of one's own.
func foreignForm(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	bounds := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case len(n.Content) == 2 && value.Kind == yaml.SequenceNode && slices.Contains([]string{"values", "seeds", "grid", "choices", "list", "range", "choice"}, key.Value):
			return key
		case value.Kind == yaml.ScalarNode && slices.Contains([]string{"start", "stop", "end", "min", "max", "low", "high", "step", "num", "by"}, key.Value):
			bounds++
		}
	}
	if bounds < 2 || 2*bounds < len(n.Content) {
		return nil
	}
	return n.Content[0]
}

const axisForms = "a list, {from, to, step}, {NAME: VALUE, …}, {replicates: […]} or ${…} that gives one of these"

// axisValues are the ids of a's values at f.
func (p *program) axisValues(a *Axis, f *frame) (ids []int32, ok bool) {
	v, _, ok := a.template.value(f)
	if !ok || !a.template.fixed && !p.made(a.node, v) {
		return nil, false
	}
	if m, isMap := v.(*expr.Map); isMap && len(m.Keys) == 1 && m.Keys[0] == "replicates" {
		a.Replicates = true
		v = m.Values["replicates"]
	}
	add := func(i int, key string, v any, named bool) bool {
		id, problem := a.intern(key, v, named)
		if problem == "" && slices.Contains(ids, id) && len(ids) < 1000 {
			problem = fmt.Sprintf("axis %s has two values with the key %s", a.Name, key)
		}
		if e := a.element(i); problem != "" && e != a.node && p.faulty(e) { // such as an octal number, which equals another
			return false
		}
		if problem != "" {
			p.axisError(a, a.element(i), f, expected(problem), "%s", problem)
			return false
		}
		ids = append(ids, id)
		return true
	}
	switch x := v.(type) {
	case nil:
		return []int32{noValue}, true
	case []any:
		for i, e := range x {
			ok = add(i, keyOf(e), e, false) && ok
		}
	case *expr.Map:
		if isRange(x) {
			return p.rangeValues(a, x, f)
		}
		if k := strangeInRange(x); k != "" {
			p.axisError(a, a.node, f, "{from: NUMBER, to: NUMBER, step: NUMBER}", "the range of axis %s has no key %q", a.Name, k)
			return nil, false
		}
		for i, k := range x.Keys {
			if p.misspeltField(a, x, i) {
				return nil, false
			}
			ok = add(2*i, k, x.Values[k], true) && ok
		}
	default:
		p.axisError(a, a.node, f, axisForms, "axis %s is %s", a.Name, expr.Format(v))
		return nil, false
	}
	return ids, ok
}

// misspeltField reports a field that only the i-th of named values has, where it lacks one with nearly that name that
// others have: it would count as not given.
func (p *program) misspeltField(a *Axis, values *expr.Map, i int) bool {
	one, isMap := values.Values[values.Keys[i]].(*expr.Map)
	if !isMap {
		return false
	}
	others := map[string]bool{}
	for k, name := range values.Keys {
		if m, isMap := values.Values[name].(*expr.Map); isMap && k != i {
			for _, field := range m.Keys {
				others[field] = true
			}
		}
	}
	var lacks []string
	for field := range others {
		if _, has := one.Values[field]; !has {
			lacks = append(lacks, field)
		}
	}
	slices.Sort(lacks)
	for _, field := range one.Keys {
		nearest := expr.Nearest(field, lacks)
		if others[field] || nearest == "" || len(field) < 4 {
			continue
		}
		at := a.element(2*i + 1)
		if key := keyNode(at, field); key != nil {
			at = key
		}
		d := p.tree.At(at, "of the values of axis %s only %s has a field %q", a.Name, values.Keys[i], field)
		d.Nearest, d.Note = nearest, "other values have "+nearest+", and this one does not: it would count as not given"
		p.sure(d)
		return true
	}
	return false
}

// keyNode is the node of a mapping's key; nil where it has none.
func keyNode(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i]
		}
	}
	return nil
}

// axisError reports a mistake in the values that a has at f.
func (p *program) axisError(a *Axis, at *yaml.Node, f *frame, expected, format string, args ...any) {
	d := p.tree.At(at, format, args...)
	d.Expected = expected
	p.alike(at, format, f.describe(a.reads), d)
}

// expected is what would do in place of a value that intern refuses.
func expected(problem string) string {
	if strings.Contains(problem, "has a field") {
		return "another name for the field"
	}
	if strings.Contains(problem, "two values") {
		return "values with keys of their own: {NAME: VALUE, …} names them"
	}
	return ""
}

// element is the node of a's i-th value, as far as the definition lists them.
func (a *Axis) element(i int) *yaml.Node {
	if a.node.Kind != yaml.ScalarNode && i < len(a.node.Content) {
		return a.node.Content[i]
	}
	return a.node
}

// intern gives the id of the value with key, made if there is none. A problem is in words.
func (a *Axis) intern(key string, v any, named bool) (id int32, problem string) {
	if id, has := a.ids[key]; has {
		if !expr.Equal(a.values[id].val, v) {
			return 0, fmt.Sprintf("axis %s has two values with the key %s", a.Name, key)
		}
		return id, ""
	}
	if m, isMap := v.(*expr.Map); isMap {
		for _, reserved := range []string{"key", "value"} {
			if _, has := m.Values[reserved]; has {
				return 0, fmt.Sprintf("a value of axis %s has a field %q: sweep.%s.%s means something else", a.Name, reserved, a.Name, reserved)
			}
		}
	}
	if problem := unfit(v, "\t\n\r"); problem != "" {
		return 0, fmt.Sprintf("a value of axis %s %s", a.Name, problem)
	}
	if problem := unfit(key, ""); problem != "" && named {
		return 0, fmt.Sprintf("the name of a value of axis %s %s", a.Name, problem)
	}
	if len(a.values) >= maxValues {
		return 0, fmt.Sprintf("axis %s has more than %d values", a.Name, maxValues)
	}
	id = int32(len(a.values))
	value := &Value{Key: key, JSON: expr.Plain(v), val: v, named: named}
	if named {
		value.JSON = key
	}
	a.values = append(a.values, value)
	a.ids[key] = id
	if a.baseKey != "" && key == a.baseKey {
		a.base = id
	}
	return id, ""
}

// unfit is what keeps v from being a value, or a name, in words: a control character other than those allowed, or a number that
// is not finite. "" where nothing does.
func unfit(v any, allowed string) string {
	switch x := v.(type) {
	case string:
		odd := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) }
		if i := strings.IndexFunc(x, odd); i >= 0 {
			r, _ := utf8.DecodeRuneInString(x[i:])
			return fmt.Sprintf("has a control character in it, %U", r)
		}
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprintf("is %s, which is no finite number", expr.Format(x))
		}
	case []any:
		for _, e := range x {
			if problem := unfit(e, allowed); problem != "" {
				return problem
			}
		}
	case *expr.Map:
		for _, k := range x.Keys {
			if problem := cmp.Or(unfit(k, ""), unfit(x.Values[k], allowed)); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// keyOf is the key of a value without a name.
func keyOf(v any) string {
	m, isMap := v.(*expr.Map)
	if !isMap {
		return expr.Format(v)
	}
	var parts []string
	for _, k := range m.Keys {
		parts = append(parts, k+"="+expr.Format(m.Values[k]))
	}
	return strings.Join(parts, ",")
}

// isRange reports whether m means a range: it has from and to or step, and nothing else.
func isRange(m *expr.Map) bool {
	n := 0
	for _, k := range m.Keys {
		if k != "from" && k != "to" && k != "step" {
			return false
		}
		n++
	}
	return n >= 2
}

// strangeInRange is the key by which a computed map with two of a range's three is none.
func strangeInRange(m *expr.Map) string {
	in := func(k string) bool { return k == "from" || k == "to" || k == "step" }
	if len(slices.DeleteFunc(slices.Clone(m.Keys), func(k string) bool { return !in(k) })) < 2 {
		return ""
	}
	return m.Keys[slices.IndexFunc(m.Keys, func(k string) bool { return !in(k) })]
}

// rangeValues are the decimals of a range, both ends included.
func (p *program) rangeValues(a *Axis, m *expr.Map, f *frame) (ids []int32, ok bool) {
	fail := func(format string, args ...any) ([]int32, bool) {
		p.axisError(a, a.node, f, "{from: NUMBER, to: NUMBER, step: NUMBER}", format, args...)
		return nil, false
	}
	var from, to, step big.Rat
	for name, r := range map[string]*big.Rat{"from": &from, "to": &to, "step": &step} {
		v, has := m.Values[name]
		if !has {
			return fail("the range of axis %s lacks %s", a.Name, name)
		}
		if _, isText := v.(string); isText || v == nil {
			return fail("%s of axis %s is %s, not a number", name, a.Name, expr.Format(v))
		}
		if _, isNumber := r.SetString(expr.Format(v)); !isNumber {
			return fail("%s of axis %s is %s, not a number", name, a.Name, expr.Format(v))
		}
	}
	if step.Sign() == 0 {
		return fail("the step of axis %s is zero", a.Name)
	}
	count := new(big.Rat).Quo(new(big.Rat).Sub(&to, &from), &step)
	if count.Sign() < 0 {
		return fail("axis %s never gets from %s to %s by steps of %s", a.Name, decimal(&from), decimal(&to), decimal(&step))
	}
	if !count.IsInt() {
		whole := new(big.Rat).SetInt(new(big.Int).Quo(count.Num(), count.Denom()))
		last := new(big.Rat).Add(&from, whole.Mul(whole, &step))
		return fail("axis %s does not reach %s by steps of %s: it would end at %s", a.Name, decimal(&to), decimal(&step), decimal(last))
	}
	if count.Cmp(big.NewRat(maxValues, 1)) > 0 {
		return fail("axis %s has more than %d values", a.Name, maxValues)
	}
	for i := range count.Num().Int64() + 1 {
		x := new(big.Rat).Add(&from, new(big.Rat).Mul(big.NewRat(i, 1), &step))
		nearest, _ := x.Float64()
		v := expr.Number(expr.Round(nearest))
		id, problem := a.intern(keyOf(v), v, false)
		if problem != "" {
			return fail("%s", problem)
		}
		ids = append(ids, id)
	}
	return ids, true
}

func decimal(r *big.Rat) string {
	f, _ := r.Float64()
	return expr.Format(expr.Number(expr.Round(f)))
}

// axis finds an axis by name.
func (p *program) axis(name string) *Axis {
	for _, a := range p.spec.Axes {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func (p *program) axisNames() []string {
	var out []string
	for _, a := range p.spec.Axes {
		out = append(out, a.Name)
	}
	return out
}

func (a *Axis) keys() []string {
	var out []string
	for _, v := range a.values {
		out = append(out, v.Key)
	}
	return out
}

// named reports whether values of a have names of their own.
func (a *Axis) named() bool {
	return slices.ContainsFunc(a.values, func(v *Value) bool { return v.named })
}
