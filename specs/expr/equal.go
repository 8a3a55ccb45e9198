package expr

import (
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// An equality is ==, != or in, between values of a size that is looked at first: a list whose elements are one list, and
// so on, is made in few steps, and compared in more than anyone waits for.
type equality struct {
	interpreter.InterpretableCall
}

// boundEqualities is a decorator of programs.
func boundEqualities(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	c, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	switch c.Function() {
	case operators.Equals, operators.NotEquals, operators.In:
		return equality{c}, nil
	}
	return i, nil
}

// Eval implements interpreter.Interpretable.
func (e equality) Eval(a interpreter.Activation) ref.Val { return e.Exec(interpreter.AsFrame(a)) }

// Exec implements interpreter.InterpretableV2.
func (e equality) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	var sides [2]ref.Val
	for k, arg := range e.Args() {
		v := arg.Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		if _, large := v.(traits.Sizer); large {
			if _, _, err := sizeOf(v); err != nil {
				return types.WrapErr(err)
			}
		}
		sides[k] = v
	}
	switch e.Function() {
	case operators.Equals:
		return types.Equal(sides[0], sides[1])
	case operators.NotEquals:
		return types.Bool(types.Equal(sides[0], sides[1]) != types.True)
	}
	if in, ok := sides[1].(traits.Container); ok {
		return in.Contains(sides[0])
	}
	return types.MaybeNoSuchOverloadErr(sides[1])
}
