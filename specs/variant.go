package specs

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"regft/cache"
	"regft/specs/expr"
	"regft/specs/source"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// A variant is a stage's parameters at one combination of the axes that they mention: what all its instances there share.
type variant struct {
	runner  stages.Runner
	outputs []stages.Output
	inputs  []input // parameters that take artifacts, in the order of the type's fields
	entries int     // of all inputs
	exprs   []goal
	bad     bool // then outputs are nil and …
	unnamed bool // … the names of metrics not known, where they may hang on what is wrong
}

// An input is a parameter that takes artifacts, and what it takes.
type input struct {
	param   *param
	entries []entry
}

// An entry is one artifact, or as many as it is gathered from; or a path.
type entry struct {
	slot   *slot
	stage  *Stage
	output string
	path   string
}

// A goal is a parameter that is CEL over what a stage knows while it runs.
type goal struct {
	param *param
	text  string
	code  *code // nil: text is compiled
	frame *frame
	made  map[string]stages.Expr // by the names of the metrics' parts
}

// A builder makes the mapping that a stage's parameters are decoded from.
type builder struct {
	*program
	of      *Stage
	frame   *frame
	partial bool // only what mentions no axis: there are no points
	origin  map[*yaml.Node]*yaml.Node
	skipped map[string]bool       // parameters that are given, though not known
	null    map[string]*yaml.Node // those that are left out for being null
	mapped  *yaml.Node            // what is decoded
	variant *variant
}

// variant evaluates and decodes the parameters of s at f.
func (p *program) variant(s *Stage, f *frame, partial bool) *variant {
	b := &builder{program: p, of: s, frame: f, partial: partial, origin: map[*yaml.Node]*yaml.Node{}, skipped: map[string]bool{}, null: map[string]*yaml.Node{}, variant: &variant{}}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	b.origin[n] = s.key
	for _, pr := range s.params {
		v, given, ok := b.param(pr)
		if !ok {
			b.skipped[pr.field.Name] = true
			b.variant.bad = true
		}
		if given && ok {
			n.Content = append(n.Content, pr.key, v)
		}
		if !given && ok {
			b.null[pr.field.Name] = pr.node
		}
	}
	b.decode(s, n)
	return b.variant
}

func (b *builder) decode(s *Stage, n *yaml.Node) {
	v := b.variant
	b.mapped = n
	runner, problems := s.Type.Decode(n, stages.Context{Dir: b.spec.Dir, Seed: b.spec.Seed, Decoded: b.decoded})
	var meant []string // parameters that misspelt ones were probably meant to be
	for _, problem := range problems {
		if problem.Got != "" && problem.Want == "" {
			meant = append(meant, expr.Nearest(problem.Got, problem.Names))
		}
	}
	incomplete, strange, missing := v.bad, 0, 0
	for _, problem := range problems {
		switch {
		case problem.Got != "" && problem.Want == "" && expr.Nearest(problem.Got, problem.Names) == "":
			strange++
		case problem.Node == n && problem.Param != "" && !slices.Contains(meant, problem.Param):
			missing++
		}
	}
	for _, problem := range problems {
		if required := problem.Node == n && problem.Param != ""; required && (slices.Contains(meant, problem.Param) || missing <= strange) {
			continue // an unknown parameter stands for it
		}
		if b.skipped[problem.Param] || incomplete && problem.Node == n && problem.Param == "" {
			continue // follows from what was reported
		}
		b.parameter(s, problem)
		v.bad = true
	}
	v.runner = runner
	if !v.bad {
		v.outputs = s.Type.Outputs(runner)
	} else {
		b.sketch(problems)
	}
	order := func(name string) int {
		return slices.IndexFunc(s.Type.Fields(), func(f stages.Field) bool { return f.Name == name })
	}
	slices.SortStableFunc(v.inputs, func(x, y input) int { return order(x.param.field.Name) - order(y.param.field.Name) })
}

// parameter reports a problem of decoding at the place that the parameter has in the spec.
func (b *builder) parameter(s *Stage, problem stages.Problem) {
	at := problem.Node
	if at == b.mapped && problem.Param == "" {
		at = s.blamed(problem.Text)
	}
	if from := cmp.Or(b.origin[at], b.origins[at]); from != nil {
		at = from
	}
	if left := b.null[problem.Param]; left != nil && problem.Node == b.mapped {
		d := b.tree.At(left, "%s", problem.Text)
		d.Note = "null counts as not given"
		b.alike(left, "null", b.pointOf(s.param(problem.Param)), d)
		return
	}
	d := b.tree.At(at, "%s", problem.Text)
	d.Expected = problem.Want
	if meant, note := source.Misread(problem.Node); meant != "" {
		d.Note = note
	} else if problem.Node.Tag == "!!timestamp" {
		d.Note = "YAML reads it as a date"
	}
	if problem.Names != nil {
		d.Nearest = expr.Nearest(problem.Got, problem.Names)
		if d.Expected == "" {
			d.Expected = listNames(problem.Names)
		}
	}
	if problem.Names != nil && problem.Got != "" && problem.Want == "" || problem.Node == b.mapped && problem.Param != "" {
		d.Note = "regft stages " + s.Type.Name + " lists the parameters"
	}
	switch given := s.param(strings.Split(problem.Param, ".")[0]); {
	case problem.Node == b.mapped:
		if !b.said[d] { // a rule may read differently at each point
			b.some(mostAtOnePlace, at, 0, func() { b.report(d) })
		}
	case b.tree.Part && problem.Node.Tag != "!!null":
		b.sure(d)
	default:
		b.alike(at, without(problem.Text, problem.Node.Value), b.pointOf(given), d)
	}
}

// pointOf says at which point a parameter has the value at hand, "" where it is the same at all.
func (b *builder) pointOf(pr *param) string {
	axes := axisSet(0)
	if pr != nil {
		pr.codes(func(c *code) { axes |= c.axes })
	}
	return b.frame.describe(axes)
}

// without is text less the value that it is about: what is wrong, in which each point may have its own value.
func without(text, value string) string {
	if value == "" {
		return text
	}
	words := strings.Fields(strings.ReplaceAll(text, strconv.Quote(value), "…"))
	for i, w := range words {
		if w == value {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}

// blamed is where a broken rule is shown: at the parameter that its text begins with, else at the stage.
func (s *Stage) blamed(text string) *yaml.Node {
	name := text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz0123456789_"))]
	if pr := s.param(name); pr != nil {
		return pr.node
	}
	return s.key
}

// param is the parameter that s gives under that name, nil where it gives none.
func (s *Stage) param(name string) *param {
	for _, pr := range s.params {
		if pr.key.Value == name {
			return pr
		}
	}
	return nil
}

// ParamPlace is where s gives a parameter: its own place where it gives none of that name, of seed that of the spec's.
func (s *Stage) ParamPlace(name string) Place {
	if pr := s.param(name); pr != nil {
		return s.expansion.tree.Place(pr.node)
	}
	if name == "seed" && s.expansion.seed != nil {
		return s.expansion.tree.Place(s.expansion.seed)
	}
	return s.Place
}

// mostAtOnePlace is how many different mistakes are told of one parameter.
const mostAtOnePlace = 5

// param is the node of one parameter. ok is false where it is given and not known.
func (b *builder) param(pr *param) (n *yaml.Node, given, ok bool) {
	switch {
	case pr.bad && pr.plain == nil && pr.cel == nil && pr.field.Kinds == nil && pr.field.Type == nil:
		return pr.node, true, true // unknown: Decode says so
	case pr.bad:
		return nil, true, false
	case pr.plain != nil:
		if b.unknown(pr.plain.axes) {
			return nil, true, false
		}
		return b.node(pr.plain)
	case pr.cel != nil:
		return b.cel(pr)
	}
	return b.artifacts(pr)
}

// unknown reports whether an expression over axes cannot be evaluated, for want of points.
func (b *builder) unknown(axes axisSet) bool { return b.partial && axes != 0 }

// node is t evaluated, as a node that remembers where it comes from.
func (b *builder) node(t *template) (n *yaml.Node, given, ok bool) {
	switch {
	case t.fixed:
		return b.constant(t.node), true, true
	case t.same != nil:
		return t.same, true, true
	case t.axes == 0:
		return b.shared(t)
	}
	return b.fresh(t)
}

// constant is n, which is the same at all points: what it is decoded to is shared.
func (b *builder) constant(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.SequenceNode && b.decoded[n] == nil {
		b.decoded[n] = &reflect.Value{}
	}
	return n
}

// shared evaluates t, which mentions no axis, for all points.
func (b *builder) shared(t *template) (n *yaml.Node, given, ok bool) {
	origin := b.origin
	b.origin = b.origins
	n, given, ok = b.fresh(t)
	b.origin = origin
	if given && ok {
		t.same = b.constant(n)
	}
	return n, given, ok
}

// fresh is t evaluated at the point at hand.
func (b *builder) fresh(t *template) (n *yaml.Node, given, ok bool) {
	switch {
	case b.madeBytes > maxMade: // reported
		return nil, true, false
	case t.node.Kind == yaml.SequenceNode:
		return b.list(t)
	case t.node.Kind == yaml.MappingNode:
		return b.mapping(t)
	}
	v, given, ok := t.value(b.frame)
	if !ok || !given {
		return nil, given, ok
	}
	if h, isArtifact := v.(expr.Handle); isArtifact {
		b.errorAt(t.node, "%s is an artifact, and this parameter takes none", h)
		return nil, true, false
	}
	if !b.made(t.node, v) {
		return nil, true, false
	}
	return b.fromValue(v, t.node), true, true
}

func (b *builder) list(t *template) (*yaml.Node, bool, bool) {
	out, all := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}, true
	b.origin[out] = t.node
	for _, k := range t.kids {
		n, given, ok := b.node(k)
		all = all && ok
		if given && ok {
			out.Content = append(out.Content, n)
		}
	}
	return out, true, all
}

func (b *builder) mapping(t *template) (*yaml.Node, bool, bool) {
	out, all := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, true
	b.origin[out] = t.node
	for i, k := range t.kids {
		n, given, ok := b.node(k)
		all = all && ok
		if given && ok {
			out.Content = append(out.Content, t.node.Content[2*i], n)
		}
	}
	return out, true, all
}

// fromValue writes v as a node that comes from at.
func (b *builder) fromValue(v any, at *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: expr.Format(v)}
	switch x := v.(type) {
	case nil:
		n.Tag = "!!null"
	case bool:
		n.Tag = "!!bool"
	case int64:
		n.Tag = "!!int"
	case float64:
		n.Tag = "!!float"
		if math.IsInf(x, 0) || math.IsNaN(x) {
			n.Value = map[bool]string{true: ".inf", false: "-.inf"}[x > 0]
		}
		if math.IsNaN(x) {
			n.Value = ".nan"
		}
	case []any:
		*n = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, e := range x {
			n.Content = append(n.Content, b.fromValue(e, at))
		}
	case *expr.Map:
		*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, k := range x.Keys {
			if x.Values[k] != nil { // null counts as not given
				n.Content = append(n.Content, b.fromValue(k, at), b.fromValue(x.Values[k], at))
			}
		}
	default:
		n.Tag = "!!str"
	}
	b.origin[n] = at
	return n
}

// placeholder stands for what is filled in after decoding.
func (b *builder) placeholder(at *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: at.Value}
	b.origin[n] = at
	return n
}

// artifacts evaluates a parameter that takes artifacts.
func (b *builder) artifacts(pr *param) (n *yaml.Node, given, ok bool) {
	in := input{param: pr}
	for _, sl := range pr.slots {
		entries, good := b.slot(pr, sl)
		if !good {
			return nil, true, false
		}
		in.entries = append(in.entries, entries...)
	}
	if len(in.entries) == 0 && !pr.list && !pr.field.Map {
		return nil, false, true
	}
	if len(in.entries) == 0 && pr.field.Required {
		d := b.tree.At(pr.node, "%s has no artifact", pr.field.Name)
		d.Expected = pr.field.TypeName()
		b.report(d)
		return nil, true, false
	}
	if len(in.entries) > 1 && !pr.field.List() {
		d := b.tree.At(pr.node, "%s takes one artifact, this gives %d", pr.field.Name, len(in.entries))
		b.report(d)
		return nil, true, false
	}
	b.variant.inputs = append(b.variant.inputs, in)
	b.variant.entries += len(in.entries)
	return b.placeholder(pr.node), true, true
}

func (b *builder) slot(pr *param, sl *slot) ([]entry, bool) {
	if sl.path != nil {
		if b.unknown(sl.path.axes) {
			return nil, false
		}
		v, given, ok := sl.path.value(b.frame)
		if !ok || !given {
			return nil, ok
		}
		text, isText := v.(string)
		switch {
		case !isText:
			d := b.tree.At(sl.node, "%s takes %s, this is %s", pr.field.Name, kindWords(pr.field), expr.Format(v))
			d.Note = "a path that YAML reads as something else is quoted"
			b.report(d)
			return nil, false
		case text == "":
			b.errorAt(sl.node, "%s: an empty path", pr.field.Name)
			return nil, false
		}
		return b.path(sl, text), true
	}
	if b.unknown(sl.code.axes) {
		return nil, false
	}
	v, ok := sl.code.eval(b.frame)
	if !ok {
		return nil, false
	}
	values, isList := v.([]any)
	if !isList {
		values = []any{v}
	}
	var out []entry
	for _, v := range values {
		switch x := v.(type) {
		case nil:
			continue
		case expr.Handle:
			out = append(out, entry{slot: sl, stage: b.stage(x.Stage), output: x.Output})
			continue
		case string:
			if pr.field.Path {
				out = append(out, b.path(sl, x)...)
				continue
			}
		}
		d := b.tree.At(sl.node, "%s takes %s, this gives %s", pr.field.Name, pr.field.TypeName(), quoted(v))
		d.Expected = "stages.NAME"
		b.report(d)
		return nil, false
	}
	return out, true
}

func (b *builder) path(sl *slot, path string) []entry {
	if !filepath.IsAbs(path) {
		path = filepath.Join(b.spec.Dir, path)
	}
	return []entry{{slot: sl, path: filepath.Clean(path)}}
}

// cel evaluates what is static in a parameter that is CEL by nature.
func (b *builder) cel(pr *param) (n *yaml.Node, given, ok bool) {
	c := pr.cel
	if c.text != nil {
		if b.unknown(c.text.axes) {
			return nil, true, false
		}
		text, ok := c.text.text(b.frame)
		if ok {
			b.goal(pr, text, nil)
		}
		return b.placeholder(pr.node), true, ok
	}
	if b.unknown(c.code.axes) {
		return nil, true, false
	}
	if len(c.code.outcomes) > 0 || len(c.code.vars) == 0 {
		b.goal(pr, c.code.program.Text, c.code)
		return b.placeholder(pr.node), true, true
	}
	v, ok := c.code.eval(b.frame)
	if !ok || v == nil {
		return nil, false, ok
	}
	switch x := v.(type) {
	case string: // a value that is itself CEL
		b.goal(pr, x, nil)
	case *expr.Map, []any:
		return b.fromValue(v, pr.node), true, true
	default:
		b.goal(pr, expr.Format(v), nil)
	}
	return b.placeholder(pr.node), true, true
}

func (b *builder) goal(pr *param, text string, c *code) {
	f := *b.frame
	f.ids = slices.Clone(f.ids)
	b.variant.exprs = append(b.variant.exprs, goal{pr, text, c, &f, map[string]stages.Expr{}})
}

// expr compiles g for a stage whose scores have parts of these names; nil: its metrics have no names.
func (p *program) expr(g *goal, parts, metrics []string) (stages.Expr, bool) {
	memo := strconv.Quote(fmtNames(parts)) + fmtNames(metrics)
	if e, done := g.made[memo]; done {
		return e, e.Eval != nil
	}
	sc := p.celScope(g.param.field)
	sc.frame, sc.parts, sc.metrics, sc.judged = g.frame, parts, metrics, sc.root == "metrics"
	offset := 0
	if g.code != nil {
		offset = g.code.offset
	} else {
		sc.whole = true
	}
	c := p.compile(g.param.node, offset, g.text, sc)
	if c == nil || sc.judged && !p.wantGoal(g, c, sc) || sc.root == "image" && !p.wantBool(c) {
		g.made[memo] = stages.Expr{}
		return stages.Expr{}, false
	}
	e := stages.Expr{Text: c.canonical, Eval: func(vars map[string]any) (any, error) {
		v, err := c.evalWith(nil, func(n *outcomeName) (any, error) { return read(vars[n.kind], n.path, n.said) })
		if _, isNumber := cache.DecodeFloat(expr.Plain(v)); err == nil && sc.judged && !isNumber {
			err = fmt.Errorf("%s gives %s, not a number", c.program.Text, quoted(v))
		}
		if err != nil && sc.judged {
			return nil, fmt.Errorf("%s: %s: %w", p.tree.Place(c.node), g.param.field.Name, err)
		}
		return v, err
	}}
	g.made[memo] = e
	return e, true
}

// wantGoal reports CEL by which nothing can be chosen: one that gives no number, or reads no metric.
func (p *program) wantGoal(g *goal, c *code, sc scope) bool {
	word := expr.TypeWord(c.program.Type)
	numeric := word == "a number" || word == "a value"
	if numeric && len(c.outcomes) > 0 {
		return true
	}
	name := g.param.field.Name
	d := p.tree.Within(c.node, c.offset, c.offset+len([]rune(c.program.Text)), "%s gives %s, not a number", name, word)
	if sc.whole {
		d = p.tree.At(c.node, "%s gives %s, not a number", name, word)
		d.Note = "with what is put in, it reads: " + g.text
	}
	if numeric {
		d.Summary = name + " reads no metric: all candidates would be alike"
	}
	d.Expected = "a number made of metrics, such as " + exampleMetric(sc, c)
	p.alike(g.param.node, d.Summary, "", d)
	return false
}

// exampleMetric is a metric that the scope has, of the data that c mentions where it mentions any.
func exampleMetric(sc scope, c *code) string {
	var path []string
	if len(sc.parts) > 0 {
		part := 0
		if len(c.outcomes) > 0 {
			part, _ = strconv.Atoi(c.outcomes[0].path[0]) // as scoreMetric put it
		}
		path = append(path, sc.parts[part])
	}
	name := "NAME"
	if len(sc.metrics) > 0 {
		name = sc.metrics[0]
	}
	return metricPath(append(path, name)...)
}

func fmtNames(names []string) string {
	out := ""
	for _, n := range names {
		out += strconv.Quote(n)
	}
	return out
}
