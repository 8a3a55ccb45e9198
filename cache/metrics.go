package cache

import (
	"math"
	"reflect"
)

// JSON has no non-finite numbers; these strings stand for them in every record.
const (
	textNaN  = "NaN"
	textInf  = "Infinity"
	textNInf = "-Infinity"
)

// EncodeFloat gives x as a value that encoding/json can write: x itself, or one
// of the strings "NaN", "Infinity", "-Infinity".
func EncodeFloat(x float64) any {
	switch {
	case math.IsNaN(x):
		return textNaN
	case math.IsInf(x, 1):
		return textInf
	case math.IsInf(x, -1):
		return textNInf
	}
	return x
}

// DecodeFloat gives the number that v holds: any Go number, or one of the
// strings of EncodeFloat. ok is false for anything else.
func DecodeFloat(v any) (x float64, ok bool) {
	switch v {
	case textNaN:
		return math.NaN(), true
	case textInf:
		return math.Inf(1), true
	case textNInf:
		return math.Inf(-1), true
	}
	value := reflect.ValueOf(v)
	switch {
	case !value.IsValid():
		return 0, false
	case value.CanFloat():
		return value.Float(), true
	case value.CanInt():
		return float64(value.Int()), true
	case value.CanUint():
		return float64(value.Uint()), true
	}
	return 0, false
}

// EncodeMetrics copies metrics with every non-finite number, at any depth,
// replaced as EncodeFloat does.
func EncodeMetrics(metrics map[string]any) map[string]any {
	encoded, _ := encodeValue(reflect.ValueOf(metrics)).(map[string]any)
	return encoded
}

func encodeValue(v reflect.Value) any {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
		return nil
	case v.CanFloat():
		return EncodeFloat(v.Float())
	case v.Kind() == reflect.Slice && !v.IsNil():
		list := make([]any, v.Len())
		for i := range list {
			list[i] = encodeValue(v.Index(i))
		}
		return list
	case v.Kind() == reflect.Map && !v.IsNil() && v.Type().Key().Kind() == reflect.String:
		object := make(map[string]any, v.Len())
		for key, value := range v.Seq2() {
			object[key.String()] = encodeValue(value)
		}
		return object
	}
	return v.Interface()
}

// DecodeMetrics undoes EncodeMetrics in place, in JSON's own types, and returns
// its argument: the three strings become numbers again.
func DecodeMetrics(metrics map[string]any) map[string]any {
	decodeValue(metrics)
	return metrics
}

func decodeValue(v any) any {
	switch v := v.(type) {
	case string:
		if x, ok := DecodeFloat(v); ok {
			return x
		}
	case []any:
		for i := range v {
			v[i] = decodeValue(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = decodeValue(v[key])
		}
	}
	return v
}
