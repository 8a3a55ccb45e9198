package specs

import (
	"fmt"
	"slices"
	"strings"

	"regft/specs/expr"

	"github.com/google/cel-go/cel"
	"gopkg.in/yaml.v3"
)

// A scope says what an expression may mention beside vars, seed and file().
type scope struct {
	what      string               // it is, in words: "a parameter"
	axes      int                  // how many of the axes, from the first
	above     bool                 // … those above the axis that it defines
	artifacts bool                 // stages.NAME is an artifact
	outcomes  bool                 // stages.NAME.metrics and .chosen
	own       *Stage               // metrics and chosen alone are those of this stage
	chosen    bool                 // … chosen too
	root      string               // or this variable stands alone …
	fields    []string             // … and has these fields, nil: any …
	types     map[string]*cel.Type // … of these types, nil: not known

	// Of CEL that a stage evaluates, when it is compiled for one:
	frame   *frame   // what is static has its values here
	judged  bool     // root is the metrics of scores, which are …
	parts   []string // … named after data where this is not nil, …
	metrics []string // … and have these names, nil: any
	whole   bool     // the text was put together: a place in it is none in the file
}

// resolver resolves the names of one expression, and notes what it mentions.
type resolver struct {
	*code
	scope scope
}

// silent is a mistake that has been reported where it was made.
var silent = &expr.Problem{}

// compile compiles text, which stands in node's value from character offset on. It is nil where there was a mistake.
func (p *program) compile(node *yaml.Node, offset int, text string, s scope) *code {
	if !p.countExpression(node) {
		return nil
	}
	c := &code{p: p, node: node, offset: offset}
	c.lookup = c.find
	r := &resolver{code: c, scope: s}
	before := len(p.comparisons)
	program, problems := p.env.Compile(text, r)
	if len(problems) > 0 && p.callsUnnamable(text) {
		problems = slices.DeleteFunc(problems, func(problem *expr.Problem) bool { return strings.HasPrefix(problem.Summary, noCEL) })
	}
	p.forgetComparisons(before, problems)
	for _, problem := range problems {
		switch {
		case problem == silent:
		case node.LineComment != "" && strings.HasPrefix(problem.Summary, noCEL):
			cut := *problem
			cut.Note = "YAML reads a # after a space as the start of a comment: quote the text"
			p.problem(node, offset, &cut)
		case s.whole:
			d := p.tree.At(node, "%s", problem.Summary)
			d.Expected, d.Nearest, d.Note = problem.Expected, problem.Nearest, "with what is put in, it reads: "+text
			p.alike(node, problem.Summary, "", d)
		default:
			p.problem(node, offset, problem)
		}
	}
	if program == nil {
		return nil
	}
	c.program = program
	if s.frame != nil {
		c.canonical, _ = p.env.Canonical(text, r) // it compiled
	}
	return c
}

// callsUnnamable reports whether text calls a stage or an axis by a name that cannot be one, which was reported where it is
// given.
func (p *program) callsUnnamable(text string) bool {
	bad := func(root, name string) bool { return !isName(name) && strings.Contains(text, root+"."+name) }
	return slices.ContainsFunc(p.spec.Stages, func(s *Stage) bool { return bad("stages", s.Name) }) ||
		slices.ContainsFunc(p.spec.Axes, func(a *Axis) bool { return bad("sweep", a.Name) })
}

// Resolve implements expr.Resolver.
func (r *resolver) Resolve(ref expr.Reference) (expr.Binding, *expr.Problem) {
	switch root := ref.Root; {
	case root == "vars":
		return r.variable(ref)
	case root == "sweep":
		return r.sweep(ref)
	case root == "seed":
		return r.fixed(ref, 0, int64(r.p.spec.Seed))
	case root == "changed":
		return r.changed(ref)
	case root == "stages":
		return r.stage(ref)
	case r.scope.own != nil && (root == "metrics" || root == "chosen" && r.scope.chosen):
		return r.outcome(ref, r.scope.own, ref.Root, 0)
	case r.scope.root == root && root != "":
		return r.rootVariable(ref)
	}
	return expr.Binding{}, r.unknown(ref)
}

// unknown is the mistake of a name that means nothing here.
func (r *resolver) unknown(ref expr.Reference) *expr.Problem {
	p := &expr.Problem{Span: ref.To(0), Summary: fmt.Sprintf("%s means nothing in %s", ref.Root, r.scope.what)}
	known := r.roots()
	p.Expected = "one of " + strings.Join(known, ", ")
	p.Nearest = expr.Nearest(ref.Root, known)
	switch {
	case foreignLiterals[ref.Root] != "":
		p.Nearest, p.Note = foreignLiterals[ref.Root], "CEL writes "+foreignLiterals[ref.Root]
	case r.p.axis(ref.Root) != nil:
		p.Nearest, p.Note = "sweep."+ref.Root, "axes are written sweep.AXIS"
	case r.p.stage(ref.Root) != nil && (r.scope.artifacts || r.scope.outcomes):
		p.Nearest, p.Note = "stages."+ref.Root, "stages are written stages.NAME"
	case ref.Root == "metrics" || ref.Root == "chosen":
		p.Note = "results are known only when a stage has run: in assert, maximize and tables, and as stages.NAME." + ref.Root + " in when"
	case r.scope.own != nil && ref.Root != "changed" || r.scope.root == "metrics":
		example := "metrics.NAME"
		if r.scope.own == nil || r.scope.own.nested() || r.scope.own.chooses() {
			example = "metrics.DATA.NAME"
		}
		p.Note = "a metric is written " + example
		if r.p.stage(ref.Root) != nil {
			p.Nearest = metricPath(append([]string{ref.Root}, named(ref, 0)...)...)
		}
	case ref.Root == "image":
		p.Note = "image stands where pictures are judged one by one"
	}
	return p
}

// foreignLiterals are how CEL writes constants of other languages.
var foreignLiterals = map[string]string{"True": "true", "False": "false", "None": "null", "nil": "null", "Null": "null", "TRUE": "true", "FALSE": "false"}

// roots are the names that may stand first.
func (r *resolver) roots() []string {
	out := []string{"vars", "seed", "file(…)"}
	if r.scope.axes > 0 {
		out = append(out, "sweep")
	}
	if r.scope.axes > 0 && r.p.baseline != 0 {
		out = append(out, "changed")
	}
	if r.scope.artifacts || r.scope.outcomes {
		out = append(out, "stages")
	}
	if r.scope.own != nil {
		out = append(out, "metrics")
	}
	if r.scope.chosen {
		out = append(out, "chosen")
	}
	if r.scope.root != "" {
		out = append(out, r.scope.root)
	}
	return out
}

// fixed binds the first used steps to a constant.
func (r *resolver) fixed(ref expr.Reference, used int, v any) (expr.Binding, *expr.Problem) {
	t := typeOf([]any{v})
	return r.bind(&variable{name: ref.Path(used), fixed: convert(v, t == cel.DoubleType)}, used, t)
}

func (r *resolver) bind(v *variable, used int, t *cel.Type) (expr.Binding, *expr.Problem) {
	b := expr.Binding{Used: used, Name: v.name, Type: t}
	if r.scope.frame != nil {
		v.fixed = v.value(r.scope.frame)
		b.Fold = true
		b.Value, _ = expr.FromCEL(v.fixed) // it came from a value
	}
	if !slices.ContainsFunc(r.vars, func(w *variable) bool { return w.name == v.name }) {
		r.vars = append(r.vars, v)
	}
	return b, nil
}

// typeOf is the type that all of vs have, dyn where there is none.
func typeOf(vs []any) *cel.Type {
	var t *cel.Type
	for _, v := range vs {
		u := cel.DynType
		switch v.(type) {
		case int64:
			u = cel.IntType
		case float64:
			u = cel.DoubleType
		case string:
			u = cel.StringType
		case bool:
			u = cel.BoolType
		}
		switch {
		case t == nil || t == u:
			t = u
		case (t == cel.IntType || t == cel.DoubleType) && (u == cel.IntType || u == cel.DoubleType):
			t = cel.DoubleType
		default:
			return cel.DynType
		}
	}
	if t == nil {
		return cel.DynType
	}
	return t
}

func (r *resolver) changed(ref expr.Reference) (expr.Binding, *expr.Problem) {
	switch {
	case r.scope.axes < len(r.p.spec.Axes) || r.scope.axes == 0:
		return expr.Binding{}, r.unknown(ref)
	case !r.p.hasBaseline:
		return expr.Binding{}, &expr.Problem{Span: ref.To(0), Summary: "changed needs a baseline", Expected: "sweep.baseline: {AXIS: KEY, …}",
			Note: "changed lists the axes on which a point differs from the baseline"}
	}
	r.axes |= r.p.baseline
	return r.bind(&variable{name: "changed", changed: true}, 0, cel.ListType(cel.StringType))
}

// sweep binds sweep.A, sweep.A.key, sweep.A.value and the fields of values.
func (r *resolver) sweep(ref expr.Reference) (expr.Binding, *expr.Problem) {
	if len(ref.Segs) == 0 || ref.Segs[0].Dynamic {
		return expr.Binding{}, &expr.Problem{Span: ref.To(min(1, len(ref.Segs))), Summary: "sweep must be followed by the name of an axis", Expected: "sweep.AXIS or sweep[\"AXIS\"]",
			Note: "which axes an expression mentions decides what depends on what, so it is read off the text"}
	}
	a := r.p.axis(ref.Segs[0].Name)
	switch {
	case r.scope.axes == 0 && !r.scope.above && lookup(r.p.tree.Root, "sweep") != nil:
		note := "it is the same for all points"
		if r.scope.what == putIn {
			note = "${} puts in what is the same at all points: sweep." + ref.Segs[0].Name + " stands in a condition without ${}"
		}
		return expr.Binding{}, &expr.Problem{Span: ref.To(1), Summary: "axes mean nothing in " + r.scope.what, Note: note}
	case a == nil:
		return expr.Binding{}, r.noAxis(ref.Segs[0].Span, ref.Segs[0].Name)
	case a.index >= r.scope.axes:
		return expr.Binding{}, &expr.Problem{Span: ref.To(1), Summary: fmt.Sprintf("axis %s does not stand above this one", a.Name), Note: "an axis is computed from the axes above it"}
	}
	r.axes |= setOf(a.index)
	return r.axisPart(ref, a)
}

func (r *resolver) noAxis(at expr.Span, name string) *expr.Problem {
	names := r.p.axisNames()
	p := &expr.Problem{Span: at, Summary: fmt.Sprintf("there is no axis %q", name), Nearest: expr.Nearest(name, names), Unknown: true}
	if len(names) == 0 {
		p.Note = "the spec has no sweep.axes"
	} else {
		p.Expected = listNames(names)
	}
	return p
}

// listNames is "one of a, b, c", shortened.
func listNames(names []string) string {
	const most = 20
	names = distinct(names)
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(", … and %d more", len(names)-most)
		names = names[:most]
	}
	return "one of " + strings.Join(names, ", ") + more
}

// distinct is names, each once, in their order.
func distinct(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// named is the steps of ref from the n-th on, as far as they are names.
func named(ref expr.Reference, n int) []string {
	var out []string
	for _, s := range ref.Segs[n:] {
		if s.Dynamic {
			break
		}
		out = append(out, s.Name)
	}
	return out
}

func (r *resolver) axisPart(ref expr.Reference, a *Axis) (expr.Binding, *expr.Problem) {
	path := named(ref, 1)
	if len(path) > 0 && path[0] == "key" {
		return r.bind(&variable{name: ref.Path(2), axis: a.index, key: true}, 2, cel.StringType)
	}
	used := 1 + len(path)
	if len(path) > 0 && path[0] == "value" {
		path = path[1:]
	}
	v := &variable{name: ref.Path(used), axis: a.index, path: path}
	if !a.known || a.bad {
		if len(path) > 0 {
			r.p.late = append(r.p.late, lateField{r.node, r.offset, ref, a, path, 0})
		}
		return r.bind(v, used, cel.DynType)
	}
	values, problem := r.p.fieldValues(ref, a, path)
	if problem != nil {
		return expr.Binding{}, problem
	}
	t := typeOf(values)
	v.float = t == cel.DoubleType
	return r.bind(v, used, t)
}

// fieldValues is what path leads to in each value of a. A field that none of them has is a mistake.
func (p *program) fieldValues(ref expr.Reference, a *Axis, path []string) ([]any, *expr.Problem) {
	var values []any
	deepest := 0
	for _, v := range a.values {
		out, has := dig(v.val, path)
		values = append(values, out)
		if has {
			deepest = len(path)
		}
		for n := len(path) - 1; n > deepest; n-- {
			if _, has := dig(v.val, path[:n]); has {
				deepest = n
			}
		}
	}
	if ref.Presence && (deepest == len(path) || len(a.values) == 0) {
		return []any{nil}, nil
	}
	if deepest == len(path) || len(a.values) == 0 {
		return values, nil
	}
	at := ref.Segs[len(ref.Segs[:1+len(named(ref, 1))])-len(path)+deepest]
	problem := &expr.Problem{Span: at.Span, Summary: fmt.Sprintf("no value of axis %s has a field %s", a.Name, strings.Join(path[:deepest+1], ".")), Unknown: true}
	fields := a.fieldNames(path[:deepest])
	near := fields
	if deepest == 0 {
		near = append(slices.Clone(fields), "key", "value")
	}
	problem.Nearest, problem.Expected = expr.Nearest(at.Name, near), listNames(fields)
	if len(fields) == 0 {
		problem.Note = fmt.Sprintf("its values have no fields: sweep.%s is the value, sweep.%s.key its name", a.Name, a.Name)
	}
	return nil, problem
}

// fieldNames are the fields that values of a have below path.
func (a *Axis) fieldNames(path []string) []string {
	var out []string
	for _, v := range a.values {
		at, _ := dig(v.val, path)
		if m, ok := at.(*expr.Map); ok {
			for _, k := range m.Keys {
				if !slices.Contains(out, k) {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// A lateField is a field of an axis whose values are known only when the points are.
type lateField struct {
	node   *yaml.Node
	offset int
	ref    expr.Reference
	axis   *Axis
	path   []string
	chosen int // of chosen.AXIS.FIELD: the step that names the axis; 0: of sweep.AXIS.FIELD
}

// rootVariable binds image.x and metrics.x, which a stage gives while it runs.
func (r *resolver) rootVariable(ref expr.Reference) (expr.Binding, *expr.Problem) {
	path := named(ref, 0)
	if r.scope.judged {
		return r.scoreMetric(ref, path)
	}
	if len(path) > 0 && r.scope.fields != nil && !slices.Contains(r.scope.fields, path[0]) {
		return expr.Binding{}, noMember(ref, 0, ref.Root, r.scope.fields)
	}
	t := cel.DynType
	if is := r.scope.types; len(path) == 1 && is[path[0]] != nil {
		t = is[path[0]]
	}
	return r.result(ref.Root, ref.Path(len(path)), path, len(path), t)
}

// result binds the first used steps to what path leads to in a variable of the stage.
func (r *resolver) result(kind, name string, path []string, used int, t *cel.Type) (expr.Binding, *expr.Problem) {
	return r.resultSaid(kind, name, name, path, used, t)
}

// resultSaid is result of a variable that is not called as people write it.
func (r *resolver) resultSaid(kind, name, said string, path []string, used int, t *cel.Type) (expr.Binding, *expr.Problem) {
	r.outcomes = append(r.outcomes, &outcomeName{name: name, said: said, kind: kind, path: path})
	return expr.Binding{Used: used, Name: name, Type: t}, nil
}

// metricsType is that of all metrics of a result.
var metricsType = cel.MapType(cel.StringType, cel.DoubleType)

// metricPath is metrics.A.B as people write it.
func metricPath(names ...string) string {
	ref := expr.Reference{Root: "metrics"}
	for _, name := range names {
		ref.Segs = append(ref.Segs, expr.Segment{Name: name})
	}
	return ref.Path(len(names))
}

// scoreMetric binds metrics.NAME.top1, by the position of NAME, or metrics.images where metrics have no names.
func (r *resolver) scoreMetric(ref expr.Reference, path []string) (expr.Binding, *expr.Problem) {
	position, metric := "0", 0
	name := "metrics"
	if r.scope.parts != nil {
		if len(path) == 0 {
			var parts []string
			for _, name := range r.scope.parts {
				parts = append(parts, metricPath(append([]string{name}, r.scope.metrics[:min(1, len(r.scope.metrics))]...)...))
			}
			return expr.Binding{}, &expr.Problem{Span: ref.Span, Summary: "metrics must be followed by the name of the data", Expected: listNames(parts)}
		}
		i := slices.Index(r.scope.parts, path[0])
		if i < 0 {
			p := noMember(ref, 0, "metrics", r.scope.parts)
			p.Note = "metrics are named after the data that they were measured on"
			return expr.Binding{}, p
		}
		position, metric = fmt.Sprint(i), 1
		name = fmt.Sprintf("metrics[%d]", i)
	}
	if len(path) > metric && r.scope.metrics != nil && !slices.Contains(r.scope.metrics, path[metric]) {
		return expr.Binding{}, noMember(ref, metric, ref.Path(metric), r.scope.metrics)
	}
	t := metricsType
	switch {
	case len(path) > metric+1:
		whole := ref.Path(metric + 1)
		return expr.Binding{}, &expr.Problem{Span: ref.Span, Summary: whole + " is a number, and has no parts", Expected: whole}
	case len(path) > metric:
		name += "." + path[metric]
		t = cel.DoubleType
	}
	return r.resultSaid("metrics", name, ref.Path(len(path)), append([]string{position}, path[metric:]...), len(path), t)
}

// noMember is the mistake of a name that what does not have.
func noMember(ref expr.Reference, step int, what string, names []string) *expr.Problem {
	got := ref.Segs[step].Name
	return &expr.Problem{Span: ref.Segs[step].Span, Summary: fmt.Sprintf("%s has no %q", what, got), Nearest: expr.Nearest(got, names), Expected: listNames(names)}
}
