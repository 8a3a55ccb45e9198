package expr

import (
	"math"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// arithmetic are the operators that CEL's own library has for equal types only.
var arithmetic = []string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo}

// decimals is CEL's standard library with arithmetic over decimals: whole and other numbers mix, / divides, and
// results have 12 significant digits.
func decimals() []cel.EnvOption {
	subset := env.NewLibrarySubset()
	for _, op := range append([]string{"string"}, arithmetic...) {
		subset = subset.AddExcludedFunctions(env.NewFunction(op))
	}
	options := []cel.EnvOption{cel.StdLib(cel.StdLibSubset(subset)), text()}
	for _, op := range arithmetic {
		options = append(options, operator(op))
	}
	return options
}

func operator(op string) cel.EnvOption {
	number := func(a, b, result *cel.Type) cel.FunctionOpt {
		return cel.Overload(op+"_"+a.String()+"_"+b.String(), []*cel.Type{a, b}, result)
	}
	whole := cel.IntType
	if op == operators.Divide {
		whole = cel.DoubleType
	}
	options := []cel.FunctionOpt{
		number(cel.IntType, cel.IntType, whole),
		number(cel.IntType, cel.DoubleType, cel.DoubleType),
		number(cel.DoubleType, cel.IntType, cel.DoubleType),
		number(cel.DoubleType, cel.DoubleType, cel.DoubleType),
	}
	if op == operators.Add {
		list := cel.ListType(cel.TypeParamType("A"))
		options = append(options, number(cel.StringType, cel.StringType, cel.StringType),
			cel.Overload("add_lists", []*cel.Type{list, list}, list))
	}
	options = append(options, cel.SingletonBinaryBinding(func(a, b ref.Val) ref.Val { return apply(op, a, b) }))
	return cel.Function(op, options...)
}

func apply(op string, a, b ref.Val) ref.Val {
	i, aWhole := a.(types.Int)
	j, bWhole := b.(types.Int)
	if aWhole && bWhole {
		if v, exact := applyWhole(op, int64(i), int64(j)); exact {
			return v
		}
	}
	x, aNumber := toFloat(a)
	y, bNumber := toFloat(b)
	if !aNumber || !bNumber {
		return concat(op, a, b)
	}
	return applyFloat(op, x, y)
}

func toFloat(v ref.Val) (float64, bool) {
	switch x := v.(type) {
	case types.Int:
		return float64(x), true
	case types.Double:
		return float64(x), true
	case types.Uint:
		return float64(x), true
	}
	return 0, false
}

// applyWhole keeps whole numbers whole; where that overflows or does not come out even, they count as decimals.
func applyWhole(op string, i, j int64) (v ref.Val, exact bool) {
	if j == 0 && (op == operators.Divide || op == operators.Modulo) {
		return types.NewErr("division by zero"), true
	}
	const limit = 1 << 62
	x, y := float64(i), float64(j)
	switch {
	case op == operators.Modulo && j != -1:
		return types.Int(i % j), true
	case op == operators.Add && math.Abs(x+y) < limit:
		return types.Int(i + j), true
	case op == operators.Subtract && math.Abs(x-y) < limit:
		return types.Int(i - j), true
	case op == operators.Multiply && math.Abs(x*y) < limit:
		return types.Int(i * j), true
	}
	return nil, false
}

func applyFloat(op string, x, y float64) ref.Val {
	var z float64
	switch op {
	case operators.Add:
		z = x + y
	case operators.Subtract:
		z = x - y
	case operators.Multiply:
		z = x * y
	case operators.Divide:
		z = x / y
	default:
		z = math.Mod(x, y)
	}
	if y == 0 && (op == operators.Divide || op == operators.Modulo) {
		return types.NewErr("division by zero")
	}
	return types.Double(Round(z))
}

func concat(op string, a, b ref.Val) ref.Val {
	if op != operators.Add {
		return types.MaybeNoSuchOverloadErr(b)
	}
	s, aText := a.(types.String)
	t, bText := b.(types.String)
	if aText && bText {
		return joinTexts(s, t)
	}
	l, aList := a.(traits.Lister)
	m, bList := b.(traits.Lister)
	if aList && bList {
		return joinLists(l, m)
	}
	return types.NewErr("no such overload: %s + %s", a.Type().TypeName(), b.Type().TypeName())
}

// text is the function string: numbers become as short as they can be.
func text() cel.EnvOption {
	return cel.Function("string",
		cel.Overload("dyn_to_string", []*cel.Type{cel.DynType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				x, err := FromCEL(v)
				if err != nil {
					return types.WrapErr(err)
				}
				return types.String(Format(x))
			})))
}

// opName is how an operator is written.
func opName(function string) string {
	if name, ok := operators.FindReverse(function); ok && name != "" {
		return name
	}
	return strings.Trim(function, "_")
}
