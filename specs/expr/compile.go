package expr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// The limits of one expression.
const (
	maxText  = 16 << 10 // characters
	maxDepth = 100
	maxCost  = 20_000_000 // steps of macros

	maxGrowers = 8 // calls of what makes text or lists, without counting steps
)

// An Env compiles expressions. It is not for several goroutines at once.
type Env struct {
	base     *cel.Env
	extended map[string]*cel.Env // by the variables declared
}

// Functions are what expressions may call beside CEL's own.
type Functions struct {
	File    func(path string) (any, error)    // file("…"): the parsed content
	Stage   func(args ...any) (Handle, error) // stages[E], stages[E].OUTPUT
	Outcome func(args ...any) (any, error)    // stages[E].metrics.…
}

// The functions that Binding.Call may name: Functions.Stage and Functions.Outcome.
const (
	StageCall   = "@stage"
	OutcomeCall = "@outcome"
)

// maxSteps is how many steps a reference that OutcomeCall stands for may have.
const maxSteps = 6

// NewEnv is an Env with functions f.
func NewEnv(f Functions) (*Env, error) {
	stage := func(args ...any) (any, error) { return f.Stage(args...) }
	options := append(decimals(), ext.Strings(), ext.Math(),
		cel.CustomTypeAdapter(adapter{}), cel.CrossTypeNumericComparisons(true), cel.EnableMacroCallTracking(),
		cel.ParserRecursionLimit(maxDepth), cel.ParserExpressionSizeLimit(maxText),
		cel.Function("file", cel.Overload("file_string", []*cel.Type{cel.StringType}, cel.DynType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return call(f.File, v) }))),
		cel.Function(StageCall,
			cel.Overload("stage_name", []*cel.Type{cel.DynType}, ArtifactType, cel.FunctionBinding(variadic(stage))),
			cel.Overload("stage_output", []*cel.Type{cel.DynType, cel.StringType}, ArtifactType, cel.FunctionBinding(variadic(stage)))))
	var outcomes []cel.FunctionOpt
	for n := 2; n <= maxSteps; n++ {
		outcomes = append(outcomes, cel.Overload(fmt.Sprint("outcome_", n), slices.Repeat([]*cel.Type{cel.DynType}, n), cel.DynType,
			cel.FunctionBinding(variadic(func(args ...any) (any, error) { return f.Outcome(args...) }))))
	}
	options = append(options, cel.Function(OutcomeCall, outcomes...))
	base, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("setting up CEL: %w", err)
	}
	guarded, err := guards(base)
	if err == nil {
		base, err = base.Extend(guarded...)
	}
	if err != nil {
		return nil, fmt.Errorf("setting up CEL: %w", err)
	}
	return &Env{base, map[string]*cel.Env{}}, nil
}

func call(f func(string) (any, error), v ref.Val) ref.Val {
	out, err := f(string(v.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return ToCEL(out)
}

func variadic(f func(args ...any) (any, error)) func(args ...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		var in []any
		for _, a := range args {
			v, err := FromCEL(a)
			if err != nil {
				return types.WrapErr(err)
			}
			in = append(in, v)
		}
		out, err := f(in...)
		if err != nil {
			return types.WrapErr(err)
		}
		return ToCEL(out)
	}
}

// A Program is a compiled expression.
type Program struct {
	Text    string
	Type    *cel.Type // of its value
	Vars    map[string]*cel.Type
	program cel.Program
	tree    *ast.AST // checked
}

// Compile parses text, resolves its names by r and checks its types.
func (e *Env) Compile(text string, r Resolver) (*Program, []*Problem) {
	tree, issues := e.base.Parse(text)
	if issues.Err() != nil {
		return nil, syntaxProblems(text, issues)
	}
	if p := hidden(text); p != nil {
		return nil, []*Problem{p}
	}
	res, problems := e.resolve(tree, text, r)
	if problems != nil {
		return nil, problems
	}
	return e.finish(tree, res)
}

func (e *Env) resolve(tree *cel.Ast, text string, r Resolver) (*resolution, []*Problem) {
	native := tree.NativeRep()
	res := e.resolution(native, text, r)
	res.walk(native.Expr())
	return res, res.problems
}

func (e *Env) resolution(tree *ast.AST, text string, r Resolver) *resolution {
	return &resolution{tree: tree, text: []rune(text), fac: ast.NewExprFactory(), resolver: r, functions: e.base.HasFunction,
		vars: map[string]*cel.Type{}, nextID: ast.MaxID(tree)}
}

// finish checks a resolved tree and plans its evaluation.
func (e *Env) finish(tree *cel.Ast, res *resolution) (*Program, []*Problem) {
	env, err := e.declare(res.vars)
	if err != nil {
		return nil, []*Problem{{Span: Span{0, len(res.text)}, Summary: err.Error()}}
	}
	checked, issues := env.Check(tree)
	if issues.Err() != nil {
		return nil, typeProblems(e, res, issues)
	}
	if problems := res.mismatches(checked.NativeRep()); problems != nil {
		return nil, problems
	}
	var options []cel.ProgramOption
	if len(tree.NativeRep().SourceInfo().MacroCalls()) > 0 || grows(checked.NativeRep()) { // only macros repeat
		options = append(options, cel.CostTracking(steps{}), cel.CostLimit(maxCost), cel.CustomDecoratorV2(boundEqualities))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, []*Problem{{Span: Span{0, len(res.text)}, Summary: err.Error()}}
	}
	return &Program{Text: string(res.text), Type: checked.OutputType(), Vars: res.vars, program: program, tree: checked.NativeRep()}, nil
}

// declare is an environment with variables; expressions that mention the same ones share it.
func (e *Env) declare(vars map[string]*cel.Type) (*cel.Env, error) {
	var options []cel.EnvOption
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&key, "%q %s\n", name, vars[name])
		options = append(options, cel.Variable(name, vars[name]))
	}
	if env, done := e.extended[key.String()]; done {
		return env, nil
	}
	env, err := e.base.Extend(options...)
	if err == nil {
		e.extended[key.String()] = env
	}
	return env, err
}

// grows reports whether a tree calls what makes much of little more than a few times.
func grows(tree *ast.AST) bool {
	calls := ast.MatchDescendants(ast.NavigateAST(tree), func(e ast.NavigableExpr) bool {
		if e.Kind() != ast.CallKind {
			return false
		}
		name := e.AsCall().FunctionName()
		_, grows := growers[name]
		return grows || name == operators.Add
	})
	return len(calls) > maxGrowers
}

// scope gives a program its variables while it is evaluated.
type scope struct{ lookup func(name string) ref.Val }

// ResolveName implements cel.Activation.
func (s *scope) ResolveName(name string) (any, bool) {
	v := s.lookup(name)
	return v, v != nil
}

// Parent implements cel.Activation.
func (s *scope) Parent() cel.Activation { return nil }

var scopes = sync.Pool{New: func() any { return new(scope) }}

// Eval evaluates the program; lookup gives the values of its Vars. An error is a *Problem.
func (p *Program) Eval(lookup func(name string) ref.Val) (any, error) {
	v, err := p.EvalCEL(lookup)
	if err != nil {
		return nil, err
	}
	out, err := FromCEL(v)
	if err != nil {
		return nil, p.problem(err)
	}
	return out, nil
}

// EvalCEL is Eval with CEL's own value as the result.
func (p *Program) EvalCEL(lookup func(name string) ref.Val) (ref.Val, error) {
	s := scopes.Get().(*scope)
	s.lookup = lookup
	v, _, err := p.program.Eval(s)
	scopes.Put(s)
	if err != nil {
		return nil, p.problem(err)
	}
	return v, nil
}

// problem is an error of evaluation, with its place where CEL says it.
func (p *Program) problem(err error) *Problem {
	out := &Problem{Span: Span{0, len([]rune(p.Text))}, Summary: explain(err)}
	var failed *types.Err
	if errors.As(err, &failed) {
		if at, ok := p.tree.SourceInfo().GetOffsetRange(failed.NodeID()); ok {
			text := []rune(p.Text)
			out.Span = widen(text, Span{int(at.Start), max(int(at.Stop), int(at.Start)+1)})
			if out.End <= len(text) && strings.Contains(err.Error(), "no such overload") {
				out.Summary = string(text[out.Start:out.End]) + " does not go with the values here"
			}
		}
	}
	return out
}
