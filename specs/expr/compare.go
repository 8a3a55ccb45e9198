package expr

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// comparison tells the resolver of a reference that is compared with constants.
func (r *resolution) comparison(e ast.Expr) {
	c := e.AsCall()
	if r.fold {
		return
	}
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals:
		r.compare(c.Args()[0], c.Args()[1])
		r.compare(c.Args()[1], c.Args()[0])
	case operators.In:
		r.compare(c.Args()[0], c.Args()[1])
		if c.Args()[0].Kind() == ast.LiteralKind {
			r.compareWith(r.chain(c.Args()[1]), r.constants(c.Args()[0]), true)
		}
	}
}

func (r *resolution) compare(left, right ast.Expr) {
	constants := r.constants(right)
	if left.Kind() == ast.IdentKind {
		if i := slices.Index(r.bound, left.AsIdent()); i >= 0 && r.over[i].Root != "" && constants != nil {
			r.problems = append(r.problems, r.resolver.Compare(r.over[i], constants, true)...)
		}
	}
	r.compareWith(r.chain(left), constants, false)
}

func (r *resolution) compareWith(nodes []ast.Expr, constants []Constant, held bool) {
	if nodes != nil && constants != nil {
		r.problems = append(r.problems, r.resolver.Compare(r.describe(nodes), constants, held)...)
	}
}

// constants are the literals that e is or lists; nil where it is anything else.
func (r *resolution) constants(e ast.Expr) []Constant {
	elements := []ast.Expr{e}
	if e.Kind() == ast.ListKind {
		elements = e.AsList().Elements()
	}
	var out []Constant
	for _, x := range elements {
		if x.Kind() != ast.LiteralKind {
			return nil
		}
		v, err := FromCEL(x.AsLiteral())
		if err != nil {
			return nil
		}
		out = append(out, Constant{Value: v, Span: r.literalSpan(x, v)})
	}
	return out
}

// literalSpan is the text of a literal: quoted where it is a text.
func (r *resolution) literalSpan(e ast.Expr, v any) Span {
	s := r.span(e)
	length := len([]rune(Format(v)))
	if _, text := v.(string); text {
		length += 2
	}
	s.End = min(s.Start+length, len(r.text))
	return s
}

// minusName sees a.b-c where a name with a - was meant, which reads as a difference.
func (r *resolution) minusName(e ast.Expr) bool {
	c := e.AsCall()
	if c.FunctionName() != operators.Subtract {
		return false
	}
	if first := c.Args()[0]; first.Kind() == ast.CallKind && r.minusName(first) { // a.b-c-d
		return true
	}
	left := r.chain(c.Args()[0])
	if len(left) < 2 || left[len(left)-1].Kind() != ast.SelectKind {
		return false
	}
	ref := r.describe(left)
	last := ref.Segs[len(ref.Segs)-1]
	end := nameEnd(r.text, ref.End)
	if end == ref.End || ref.Root == "metrics" {
		return false
	}
	joined := ref
	joined.Segs = append(append([]Segment{}, ref.Segs[:len(ref.Segs)-1]...), Segment{Name: string(r.text[last.Start:end]), Span: Span{last.Start, end}})
	joined.End = end
	if r.resolves(ref) || !r.partOfName(c.Args()[1], joined) {
		return false
	}
	r.fail(&Problem{Span: joined.Span, Summary: string(r.text[joined.Start:joined.End]) + " reads as a difference",
		Expected: joined.Path(len(joined.Segs)), Note: "a name with a - in it is written in brackets and quotes"})
	return true
}

// partOfName reports whether e, which stands after a -, belongs to the name that joined ends with: it means nothing by
// itself, or joined does mean something.
func (r *resolution) partOfName(e ast.Expr, joined Reference) bool {
	if tail := r.chain(e); tail != nil {
		return !r.resolves(r.describe(tail))
	}
	return r.resolves(joined)
}

func (r *resolution) resolves(ref Reference) bool {
	_, problem := r.resolver.Resolve(ref)
	return problem == nil
}

// nameEnd is where a name ends whose part before character at is followed by a - and more: at where nothing follows.
func nameEnd(text []rune, at int) int {
	end := at
	for end+1 < len(text) && text[end] == '-' && IsName("x"+string(text[end+1])) && text[end+1] != '-' {
		end++
		for end < len(text) && IsName("x"+string(text[end])) && text[end] != '-' {
			end++
		}
	}
	return end
}
