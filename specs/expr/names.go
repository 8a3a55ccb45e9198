package expr

import (
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A Span is a part of an expression's text, in characters.
type Span struct{ Start, End int }

// A Problem is a mistake in an expression.
type Problem struct {
	Span
	Summary, Expected, Nearest, Note string

	Unknown bool // a name that nothing has: the same mistake wherever the name stands
}

// Error is the mistake in one line.
func (p *Problem) Error() string { return p.Summary }

// A Reference is a chain of names, a.b["c"][E], that starts at a variable.
type Reference struct {
	Root     string
	Segs     []Segment
	Presence bool // in has(…): what is not there is no mistake
	Span
}

// A Segment is one step of a Reference.
type Segment struct {
	Name    string // "" where it is computed
	Dynamic bool
	Literal any // where the step is a literal that is no text
	Span
}

// Path is the reference as people write it, up to n steps.
func (r Reference) Path(n int) string {
	text := r.Root
	for _, s := range r.Segs[:min(n, len(r.Segs))] {
		switch {
		case s.Dynamic:
			text += "[…]"
		case IsName(s.Name) && !strings.Contains(s.Name, "-"):
			text += "." + s.Name
		default:
			text += "[" + quote(s.Name) + "]"
		}
	}
	return text
}

func quote(s string) string {
	var b strings.Builder
	writeJSON(&b, s)
	return b.String()
}

// To is the part of the text from the reference's start to its n-th step.
func (r Reference) To(n int) Span {
	if n == 0 {
		return Span{r.Start, r.Start + len([]rune(r.Root))}
	}
	return Span{r.Start, r.Segs[n-1].End}
}

// IsName reports whether s may name a stage, an axis or a variable: [A-Za-z_][A-Za-z0-9_-]*.
func IsName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// A Binding says what a reference stands for.
type Binding struct {
	Used  int       // how many steps it takes in
	Name  string    // of the variable that takes their place, with its type …
	Type  *cel.Type // …
	Call  string    // … or the function of the steps that does
	Fold  bool      // Value stands there in the canonical form
	Value any
}

// A Resolver knows the names that an expression may use.
type Resolver interface {
	// Resolve says what r stands for.
	Resolve(r Reference) (Binding, *Problem)
	// Compare is told that r is compared with constants; held: that its elements are.
	Compare(r Reference, constants []Constant, held bool) []*Problem
}

// A Constant is a literal in an expression.
type Constant struct {
	Value any
	Span
}

// resolution rewrites a tree so that every reference becomes a variable.
type resolution struct {
	tree      *ast.AST
	text      []rune
	fac       ast.ExprFactory
	resolver  Resolver
	bound     []string    // variables of the macros around …
	over      []Reference // … and what those of a list are elements of; no Root: no reference
	vars      map[string]*cel.Type
	problems  []*Problem
	nextID    int64
	functions func(name string) bool // which functions CEL has
	pairs     []pair                 // operands that are compared
	fold      bool                   // for the canonical form: nothing but names changes
}

// A pair is the operands of a comparison.
type pair struct {
	left, right ast.Expr
	in          bool // whether right has left is asked
}

func (r *resolution) id() int64 { r.nextID++; return r.nextID }

func (r *resolution) fail(p *Problem) { r.problems = append(r.problems, p) }

// walk resolves the references in e, and lets the operands of comparisons and the branches of ?: have any type.
func (r *resolution) walk(e ast.Expr) {
	if nodes := r.chain(e); nodes != nil {
		r.reference(nodes)
		return
	}
	switch e.Kind() {
	case ast.CallKind:
		r.call(e)
	case ast.SelectKind:
		r.walk(e.AsSelect().Operand())
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			r.walk(x)
		}
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			r.walk(x.AsMapEntry().Key())
			r.walk(x.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		r.comprehension(e.AsComprehension())
	case ast.StructKind:
		r.fail(&Problem{Span: r.span(e), Summary: e.AsStruct().TypeName() + "{…} is no value of a spec", Expected: "a map: {\"name\": value}"})
	}
}

func (r *resolution) call(e ast.Expr) {
	c := e.AsCall()
	if c.IsMemberFunction() && !r.namespaced(c) {
		r.walk(c.Target())
	}
	r.comparison(e)
	if r.minusName(e) {
		return
	}
	for _, arg := range c.Args() {
		r.walk(arg)
	}
	if r.fold {
		return
	}
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals, operators.In:
		r.pairs = append(r.pairs, pair{r.anyType(c.Args()[0]), r.anyType(c.Args()[1]), c.FunctionName() == operators.In})
	case operators.Conditional:
		r.anyType(c.Args()[1])
		r.anyType(c.Args()[2])
	}
}

// namespaced tells whether c calls a function whose name has a dot, such as math.ceil.
func (r *resolution) namespaced(c ast.CallExpr) bool {
	space := c.Target()
	return space.Kind() == ast.IdentKind && !slices.Contains(r.bound, space.AsIdent()) &&
		r.functions(space.AsIdent()+"."+c.FunctionName())
}

// anyType wraps e in dyn(), in place, and gives the operand inside.
func (r *resolution) anyType(e ast.Expr) ast.Expr {
	inner := r.fac.NewUnspecifiedExpr(r.id())
	inner.SetKindCase(e)
	if at, ok := r.tree.SourceInfo().GetOffsetRange(e.ID()); ok {
		r.tree.SourceInfo().SetOffsetRange(inner.ID(), at)
	}
	e.SetKindCase(r.fac.NewCall(0, "dyn", inner))
	return inner
}

func (r *resolution) comprehension(c ast.ComprehensionExpr) {
	r.walk(c.IterRange())
	r.walk(c.AccuInit())
	outer := len(r.bound)
	var over Reference
	if nodes := r.chain(c.IterRange()); nodes != nil && c.IterVar2() == "" {
		over = r.describe(nodes)
	}
	r.bound = append(r.bound, c.IterVar(), c.IterVar2(), c.AccuVar())
	r.over = append(r.over, over, Reference{}, Reference{})
	r.walk(c.LoopCondition())
	r.walk(c.LoopStep())
	r.walk(c.Result())
	r.bound, r.over = r.bound[:outer], r.over[:outer]
}

// chain is e as the nodes from its root variable outwards, nil where e is no reference.
func (r *resolution) chain(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.IdentKind:
		for _, b := range r.bound {
			if b == e.AsIdent() {
				return nil
			}
		}
		return []ast.Expr{e}
	case ast.SelectKind:
		if nodes := r.chain(e.AsSelect().Operand()); nodes != nil {
			return append(nodes, e)
		}
	case ast.CallKind:
		if c := e.AsCall(); c.FunctionName() == operators.Index {
			if nodes := r.chain(c.Args()[0]); nodes != nil {
				return append(nodes, e)
			}
		}
	}
	return nil
}

// describe gives the reference that nodes are.
func (r *resolution) describe(nodes []ast.Expr) Reference {
	root := nodes[0]
	ref := Reference{Root: root.AsIdent(), Span: r.span(root)}
	ref.End = ref.Start + len([]rune(ref.Root))
	end := ref.End
	for _, n := range nodes[1:] {
		s := r.segment(n, end)
		end = s.End
		ref.Segs = append(ref.Segs, s)
	}
	ref.End = end
	return ref
}

// segment describes a step whose text starts at or after character from.
func (r *resolution) segment(n ast.Expr, from int) Segment {
	if n.Kind() == ast.SelectKind {
		name := n.AsSelect().FieldName()
		start := from + max(0, strings.Index(string(r.text[min(from, len(r.text)):]), name))
		return Segment{Name: name, Span: Span{start, start + len([]rune(name))}}
	}
	index := n.AsCall().Args()[1]
	s := Segment{Dynamic: true, Span: r.span(index)}
	if index.Kind() == ast.LiteralKind {
		if name, ok := index.AsLiteral().(types.String); ok {
			s.Name, s.Dynamic = string(name), false
		} else {
			s.Literal, _ = FromCEL(index.AsLiteral())
		}
	}
	return s
}

// reference resolves the chain of nodes, and puts what it stands for in their place.
func (r *resolution) reference(nodes []ast.Expr) {
	ref := r.describe(nodes)
	last := nodes[len(nodes)-1]
	ref.Presence = last.Kind() == ast.SelectKind && last.AsSelect().IsTestOnly()
	for _, n := range nodes[1:] {
		if n.Kind() == ast.CallKind {
			r.walk(n.AsCall().Args()[1])
		}
	}
	b, problem := r.resolver.Resolve(ref)
	if problem != nil {
		r.fail(problem)
		return
	}
	at := nodes[b.Used]
	presence := at.Kind() == ast.SelectKind && at.AsSelect().IsTestOnly()
	var stand ast.Expr
	switch {
	case b.Call != "":
		stand = r.callOf(b.Call, nodes[1:b.Used+1])
	case b.Fold && r.fold:
		stand = r.literal(b.Value)
	default:
		r.vars[b.Name] = b.Type
		stand = r.fac.NewIdent(r.id(), b.Name)
	}
	if presence { // has(a.b)
		null := r.fac.NewLiteral(r.id(), types.NullValue)
		stand = r.fac.NewCall(r.id(), operators.NotEquals, r.fac.NewCall(r.id(), "dyn", stand), null)
	}
	at.SetKindCase(stand)
}

// callOf calls a function with the steps of a reference.
func (r *resolution) callOf(function string, steps []ast.Expr) ast.Expr {
	var args []ast.Expr
	for _, n := range steps {
		if n.Kind() == ast.CallKind {
			args = append(args, n.AsCall().Args()[1])
			continue
		}
		args = append(args, r.fac.NewLiteral(r.id(), types.String(n.AsSelect().FieldName())))
	}
	return r.fac.NewCall(r.id(), function, args...)
}

// span is where e stands in the text.
func (r *resolution) span(e ast.Expr) Span {
	at, ok := r.tree.SourceInfo().GetOffsetRange(e.ID())
	if !ok {
		return Span{0, len(r.text)}
	}
	return widen(r.text, Span{int(at.Start), max(int(at.Stop), int(at.Start)+1)})
}

// widen is all of a call or an index, of which CEL gives the bracket.
func widen(text []rune, s Span) Span {
	if s.Start >= len(text) || text[s.Start] != '(' && text[s.Start] != '[' {
		return s
	}
	open := text[s.Start]
	end, depth := s.Start, 0
	for ; end < len(text); end++ {
		if strings.ContainsRune("([{", text[end]) {
			depth++
		}
		if strings.ContainsRune(")]}", text[end]) {
			if depth--; depth == 0 {
				break
			}
		}
	}
	s.End = min(end+1, len(text))
	for open == '(' && s.Start > 0 && IsName("x"+string(text[s.Start-1])) && text[s.Start-1] != '-' {
		s.Start--
	}
	return s
}
