package expr

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// The limits of one value: with them, and a limit of steps, no expression fills the memory.
const (
	MaxText   = 1 << 20 // bytes
	MaxValues = 500_000 // in lists and maps within each other, those that occur twice counted twice
)

// Size is how many values v holds, itself included, and how many bytes of text. It stops counting above MaxValues.
func Size(v any) (values, bytes int) {
	count(v, &values, &bytes)
	return values, bytes
}

func count(v any, values, bytes *int) {
	if *values++; *values > MaxValues {
		return
	}
	switch x := v.(type) {
	case string:
		*bytes += len(x)
	case []any:
		for _, e := range x {
			if count(e, values, bytes); *values > MaxValues {
				return
			}
		}
	case *Map:
		for k, e := range x.Values {
			*bytes += len(k)
			if count(e, values, bytes); *values > MaxValues {
				return
			}
		}
	}
}

var (
	errText   = fmt.Errorf("this text is longer than %d bytes", MaxText)
	errValues = fmt.Errorf("this holds more than %d values", MaxValues)
)

// growers are the functions that can make much of little, beside +, and how many bytes they would make.
var growers = map[string]func(args []ref.Val) (int, error){
	"replace": replaced, "join": joined, "format": formatted, "strings.quote": formatted,
}

func replaced(args []ref.Val) (int, error) {
	s, from, to := textOf(args[0]), textOf(args[1]), textOf(args[2])
	return len(s) + strings.Count(s, from)*max(0, len(to)-len(from)), nil
}

func joined(args []ref.Val) (int, error) {
	values, size, err := sizeOf(args[0])
	if err == nil && len(args) > 1 {
		size += values * len(textOf(args[1]))
	}
	return size, err
}

func formatted(args []ref.Val) (int, error) {
	sum := 0
	for _, a := range args {
		_, size, err := sizeOf(a)
		if err != nil {
			return 0, err
		}
		sum += 2 * size // as many digits in base 16
	}
	return sum, nil
}

func textOf(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}

func sizeOf(v ref.Val) (values, bytes int, err error) {
	x, err := FromCEL(v)
	if err != nil {
		return 0, 0, err
	}
	values, bytes = Size(x)
	return values, bytes, nil
}

// guards are the growers again, refusing what would be too long.
func guards(e *cel.Env) ([]cel.EnvOption, error) {
	var out []cel.EnvOption
	for name, bytes := range growers {
		function := e.Functions()[name]
		bindings, err := function.Bindings()
		if err != nil {
			return nil, fmt.Errorf("guarding %s: %w", name, err)
		}
		for _, o := range function.OverloadDecls() {
			for _, b := range bindings {
				if b.Operator != o.ID() {
					continue
				}
				guarded := cel.FunctionBinding(func(args ...ref.Val) ref.Val {
					if n, err := bytes(args); err != nil {
						return types.WrapErr(err)
					} else if n > MaxText {
						return types.WrapErr(errText)
					}
					switch {
					case b.Unary != nil:
						return b.Unary(args[0])
					case b.Binary != nil:
						return b.Binary(args[0], args[1])
					}
					return b.Function(args...)
				})
				make := cel.Overload
				if o.IsMemberFunction() {
					make = cel.MemberOverload
				}
				out = append(out, cel.Function(name, make(o.ID(), o.ArgTypes(), o.ResultType(), guarded)))
			}
		}
	}
	return out, nil
}

// steps counts what a call costs: a step, and one for every eight bytes of text that it makes.
type steps struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (steps) CallCost(function, _ string, _ []ref.Val, result ref.Val) *uint64 {
	if _, grows := growers[function]; !grows && function != operators.Add {
		return nil
	}
	cost := uint64(1 + len(textOf(result))/8)
	return &cost
}

// joinTexts is s + t.
func joinTexts(s, t types.String) ref.Val {
	if len(s)+len(t) > MaxText {
		return types.WrapErr(errText)
	}
	return s + t
}

// joinLists is l + m.
func joinLists(l, m traits.Lister) ref.Val {
	n, _ := l.Size().(types.Int)
	if k, _ := m.Size().(types.Int); n+k > MaxValues {
		return types.WrapErr(errValues)
	}
	return l.Add(m)
}
