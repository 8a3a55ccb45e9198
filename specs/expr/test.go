package expr

import (
	"math"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A Test is a condition on numbers and texts, as a tree of functions: some thirty times faster than CEL's own evaluation,
// for conditions that are judged millions of times.
type Test struct {
	Numbers, Texts []string // the variables, in the order of the slots
	holds          func(*Slots) bool
}

// Slots are the values of a Test's variables.
type Slots struct {
	Numbers []float64
	Texts   []string
	unsure  bool
}

// Test is p as a Test, nil where p holds more than that.
func (p *Program) Test() *Test {
	b := &tester{vars: p.Vars, test: &Test{}}
	b.test.holds = b.truth(p.tree.Expr())
	if b.test.holds == nil {
		return nil
	}
	return b.test
}

// Holds evaluates t. It is not sure where p may have an error, or where numbers are too large to be exact.
func (t *Test) Holds(s *Slots) (holds, sure bool) {
	s.unsure = false
	holds = t.holds(s)
	return holds, !s.unsure
}

type tester struct {
	vars map[string]*cel.Type
	test *Test
}

// plainArgs are the arguments of a call, without dyn().
func plainArgs(e ast.Expr) (function string, args []ast.Expr) {
	c := e.AsCall()
	for _, a := range c.Args() {
		if a.Kind() == ast.CallKind && a.AsCall().FunctionName() == "dyn" {
			a = a.AsCall().Args()[0]
		}
		args = append(args, a)
	}
	return c.FunctionName(), args
}

// truth is a condition; nil is none that a Test can hold.
func (b *tester) truth(e ast.Expr) func(*Slots) bool {
	if e.Kind() == ast.LiteralKind {
		v, isBool := e.AsLiteral().(types.Bool)
		if !isBool {
			return nil
		}
		return func(*Slots) bool { return bool(v) }
	}
	if e.Kind() != ast.CallKind {
		return nil
	}
	switch function, args := plainArgs(e); function {
	case operators.LogicalNot:
		if x := b.truth(args[0]); x != nil {
			return func(s *Slots) bool { return !x(s) }
		}
	case operators.LogicalAnd, operators.LogicalOr:
		return b.both(function, args)
	case operators.In:
		return b.in(args)
	default:
		if len(args) == 2 {
			return b.comparison(function, args)
		}
	}
	return nil
}

func (b *tester) both(function string, args []ast.Expr) func(*Slots) bool {
	x, y := b.truth(args[0]), b.truth(args[1])
	switch {
	case x == nil || y == nil:
		return nil
	case function == operators.LogicalAnd:
		return func(s *Slots) bool { return x(s) && y(s) }
	}
	return func(s *Slots) bool { return x(s) || y(s) }
}

func (b *tester) comparison(function string, args []ast.Expr) func(*Slots) bool {
	if x, y := b.text(args[0]), b.text(args[1]); x != nil && y != nil {
		switch function {
		case operators.Equals:
			return func(s *Slots) bool { return x(s) == y(s) }
		case operators.NotEquals:
			return func(s *Slots) bool { return x(s) != y(s) }
		}
		return nil
	}
	x, y := b.number(args[0]), b.number(args[1])
	if x == nil || y == nil {
		return nil
	}
	switch function {
	case operators.Equals:
		return func(s *Slots) bool { return x(s) == y(s) }
	case operators.NotEquals:
		return func(s *Slots) bool { return x(s) != y(s) }
	case operators.Less:
		return func(s *Slots) bool { return x(s) < y(s) }
	case operators.LessEquals:
		return func(s *Slots) bool { return x(s) <= y(s) }
	case operators.Greater:
		return func(s *Slots) bool { return x(s) > y(s) }
	case operators.GreaterEquals:
		return func(s *Slots) bool { return x(s) >= y(s) }
	}
	return nil
}

// in is membership in a list of literals.
func (b *tester) in(args []ast.Expr) func(*Slots) bool {
	if args[1].Kind() != ast.ListKind {
		return nil
	}
	var numbers []float64
	var texts []string
	for _, e := range args[1].AsList().Elements() {
		if e.Kind() != ast.LiteralKind {
			return nil
		}
		if x, isNumber := toFloat(e.AsLiteral()); isNumber {
			numbers = append(numbers, x)
		} else if t, isText := e.AsLiteral().(types.String); isText {
			texts = append(texts, string(t))
		} else {
			return nil
		}
	}
	if x := b.number(args[0]); x != nil {
		return func(s *Slots) bool { return slices.Contains(numbers, x(s)) }
	}
	if x := b.text(args[0]); x != nil {
		return func(s *Slots) bool { return slices.Contains(texts, x(s)) }
	}
	return nil
}

func (b *tester) text(e ast.Expr) func(*Slots) string {
	switch e.Kind() {
	case ast.LiteralKind:
		if t, isText := e.AsLiteral().(types.String); isText {
			return func(*Slots) string { return string(t) }
		}
	case ast.IdentKind:
		if b.vars[e.AsIdent()] == cel.StringType {
			i := slot(&b.test.Texts, e.AsIdent())
			return func(s *Slots) string { return s.Texts[i] }
		}
	}
	return nil
}

func slot(names *[]string, name string) int {
	if i := slices.Index(*names, name); i >= 0 {
		return i
	}
	*names = append(*names, name)
	return len(*names) - 1
}

func (b *tester) number(e ast.Expr) func(*Slots) float64 {
	switch e.Kind() {
	case ast.LiteralKind:
		if x, isNumber := toFloat(e.AsLiteral()); isNumber {
			return func(*Slots) float64 { return x }
		}
	case ast.IdentKind:
		if t := b.vars[e.AsIdent()]; t == cel.IntType || t == cel.DoubleType {
			i := slot(&b.test.Numbers, e.AsIdent())
			return func(s *Slots) float64 { return s.Numbers[i] }
		}
	case ast.CallKind:
		function, args := plainArgs(e)
		if function == operators.Negate {
			if x := b.number(args[0]); x != nil {
				return func(s *Slots) float64 { return -x(s) }
			}
		}
		if len(args) == 2 {
			return b.arithmetic(function, args)
		}
	}
	return nil
}

func (b *tester) arithmetic(function string, args []ast.Expr) func(*Slots) float64 {
	x, y := b.number(args[0]), b.number(args[1])
	if x == nil || y == nil {
		return nil
	}
	switch function {
	case operators.Add:
		return func(s *Slots) float64 { return s.round(x(s) + y(s)) }
	case operators.Subtract:
		return func(s *Slots) float64 { return s.round(x(s) - y(s)) }
	case operators.Multiply:
		return func(s *Slots) float64 { return s.round(x(s) * y(s)) }
	case operators.Divide:
		return func(s *Slots) float64 { return s.round(x(s) / y(s)) }
	case operators.Modulo:
		return func(s *Slots) float64 { return s.round(math.Mod(x(s), y(s))) }
	}
	return nil
}

// round is the result of an operation. What is not finite is an error in CEL, and large whole numbers are exact there.
func (s *Slots) round(x float64) float64 {
	if !(math.Abs(x) < 1e12) {
		s.unsure = true
		return x
	}
	return Round(x)
}
