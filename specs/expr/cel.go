package expr

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// ArtifactType is CEL's type of a Handle.
var ArtifactType = cel.OpaqueType("artifact")

// ToCEL is v as a value of CEL.
func ToCEL(v any) ref.Val { return adapter{}.NativeToValue(v) }

// adapter turns the package's values into CEL's.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch x := v.(type) {
	case nil:
		return types.NullValue
	case []any:
		return listValue{types.NewDynamicList(a, x), x}
	case *Map:
		return mapValue{types.NewStringInterfaceMap(a, x.Values), x}
	case Handle:
		return handleValue{x}
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// listValue is a list of CEL that was one of ours, and is again.
type listValue struct {
	traits.Lister
	list []any
}

// Value implements ref.Val.
func (v listValue) Value() any { return v.list }

// mapValue is a map of CEL that is iterated in the order of its keys.
type mapValue struct {
	traits.Mapper
	m *Map
}

// Iterator implements traits.Iterable.
func (v mapValue) Iterator() traits.Iterator { return &keyIterator{keys: v.m.Keys} }

// Value implements ref.Val.
func (v mapValue) Value() any { return v.m }

type keyIterator struct {
	ref.Val
	keys []string
	next int
}

// HasNext implements traits.Iterator.
func (i *keyIterator) HasNext() ref.Val { return types.Bool(i.next < len(i.keys)) }

// Next implements traits.Iterator.
func (i *keyIterator) Next() ref.Val {
	i.next++
	return types.String(i.keys[i.next-1])
}

// handleValue is an artifact: it can be compared, put in a list, and nothing else.
type handleValue struct{ h Handle }

// ConvertToNative implements ref.Val.
func (v handleValue) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s is an artifact, not a value", v.h)
}

// ConvertToType implements ref.Val.
func (v handleValue) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("%s is an artifact, not a value", v.h)
}

// Equal implements ref.Val.
func (v handleValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(handleValue)
	return types.Bool(ok && o.h == v.h)
}

// Type implements ref.Val.
func (v handleValue) Type() ref.Type { return ArtifactType }

// Value implements ref.Val.
func (v handleValue) Value() any { return v.h }

// FromCEL is v as a value of the package. One with more than MaxValues values is an error.
func FromCEL(v ref.Val) (any, error) {
	left := MaxValues
	return fromCEL(v, &left)
}

func fromCEL(v ref.Val, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errValues
	}
	switch x := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(x), nil
	case types.Int:
		return int64(x), nil
	case types.Uint:
		return Number(float64(x)), nil
	case types.Double:
		return Number(float64(x)), nil
	case types.String:
		return string(x), nil
	case handleValue:
		return x.h, nil
	case mapValue:
		return x.m, nil
	case listValue:
		return x.list, nil
	case *types.Err:
		return nil, x
	case traits.Mapper:
		return fromMapper(x, left)
	case traits.Lister:
		return fromLister(x, left)
	}
	return nil, fmt.Errorf("a %s is no value of a spec", v.Type().TypeName())
}

func fromLister(l traits.Lister, left *int) (any, error) {
	out := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		e, err := fromCEL(it.Next(), left)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// fromMapper orders a map that an expression made by its keys.
func fromMapper(m traits.Mapper, left *int) (any, error) {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		k, err := fromCEL(key, left)
		if err != nil {
			return nil, err
		}
		e, err := fromCEL(m.Get(key), left)
		if err != nil {
			return nil, err
		}
		out[Format(k)] = e
	}
	return FromPlain(out), nil
}
