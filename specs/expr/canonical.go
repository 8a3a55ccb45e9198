package expr

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/debug"
	"github.com/google/cel-go/common/types"
)

// Canonical is text, which compiles, in one form whatever its spaces: with the names that r binds, and values in place
// of those that it folds.
func (e *Env) Canonical(text string, r Resolver) (string, error) {
	tree, issues := e.base.Parse(text)
	if issues.Err() != nil {
		return "", fmt.Errorf("parsing %q: %w", text, issues.Err())
	}
	native := tree.NativeRep()
	res := e.resolution(native, text, r)
	res.fold = true
	res.walk(native.Expr())
	for _, call := range native.SourceInfo().MacroCalls() { // which is what is written for a macro
		res.macro(call)
	}
	out, err := cel.ExprToString(native.Expr(), native.SourceInfo())
	if err != nil {
		return debug.ToDebugString(native.Expr()), nil
	}
	return out, nil
}

// macro resolves the references in a macro as it was written: its first argument is a variable of its own.
func (r *resolution) macro(call ast.Expr) {
	c := call.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		r.walk(c.Target())
		if len(args) > 1 && args[0].Kind() == ast.IdentKind {
			r.bound = append(r.bound, args[0].AsIdent())
			defer func() { r.bound = r.bound[:len(r.bound)-1] }()
			args = args[1:]
		}
	}
	for _, a := range args {
		r.walk(a)
	}
}

// literal is v as a tree.
func (r *resolution) literal(v any) ast.Expr {
	switch x := v.(type) {
	case []any:
		var elements []ast.Expr
		for _, e := range x {
			elements = append(elements, r.literal(e))
		}
		return r.fac.NewList(r.id(), elements, nil)
	case *Map:
		var entries []ast.EntryExpr
		for _, k := range x.Keys {
			entries = append(entries, r.fac.NewMapEntry(r.id(), r.literal(k), r.literal(x.Values[k]), false))
		}
		return r.fac.NewMap(r.id(), entries)
	case Handle:
		return r.fac.NewIdent(r.id(), x.String())
	case nil:
		return r.fac.NewLiteral(r.id(), types.NullValue)
	}
	return r.fac.NewLiteral(r.id(), ToCEL(v))
}
