// Package expr is CEL as specs use it: numbers are decimals, maps keep their order, and names are resolved by whoever
// asks, so that a wrong one is an error with its place and the nearest right one.
//
// Values in Go are nil, bool, int64, float64 (never a whole number below 2^53: that is an int64), string, []any, *Map
// and Handle.
package expr

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Map is a mapping that keeps the order of its keys.
type Map struct {
	Keys   []string
	Values map[string]any
}

// NewMap is an empty map.
func NewMap() *Map { return &Map{Values: map[string]any{}} }

// Set gives key the value v. A new key goes to the end.
func (m *Map) Set(key string, v any) {
	if _, has := m.Values[key]; !has {
		m.Keys = append(m.Keys, key)
	}
	m.Values[key] = v
}

// Plain is v with maps as map[string]any, as encoding/json and yaml know them.
func Plain(v any) any {
	switch x := v.(type) {
	case *Map:
		out := make(map[string]any, len(x.Keys))
		for k, e := range x.Values {
			out[k] = Plain(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = Plain(e)
		}
		return out
	}
	return v
}

// FromPlain is v with maps as *Map, ordered by key, and whole numbers as int64.
func FromPlain(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := NewMap()
		for k := range x {
			out.Keys = append(out.Keys, k)
		}
		slices.Sort(out.Keys)
		for k, e := range x {
			out.Values[k] = FromPlain(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = FromPlain(e)
		}
		return out
	case int:
		return int64(x)
	case float64:
		return Number(x)
	}
	return v
}

// Number is x as int64 where it is a whole number that float64 holds exactly.
func Number(x float64) any {
	if x == math.Trunc(x) && math.Abs(x) <= 1<<53 {
		return int64(x)
	}
	return x
}

// powers are 10^0 to 10^22, which float64 holds exactly.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// Round is x at 12 significant digits: the float64 nearest to the decimal. Where x scaled to 12 digits before the point
// is not near a half, it is that whole number by a power of ten, both exact; else it takes the way through text.
func Round(x float64) float64 {
	size := math.Abs(x)
	if x == math.Trunc(x) && size < 1e12 {
		return x
	}
	if size < 1e-10 || !(size < 1e11) { // NaN too
		return roundText(x)
	}
	digits := int(math.Floor(math.Log10(size))) + 1 // before the point
	scale := powers[12-digits]
	scaled := x * scale
	whole := math.Round(scaled)
	if math.Abs(math.Abs(scaled-whole)-0.5) < 1e-3 || math.Abs(scaled) < 1e11 || math.Abs(scaled) >= 1e12 {
		return roundText(x)
	}
	return whole / scale
}

func roundText(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	if err != nil {
		return x
	}
	return y
}

// Format is v as it stands in a longer text: numbers as short as they can be, lists and maps as JSON.
func Format(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return formatFloat(x)
	case Handle:
		return x.String()
	}
	var b strings.Builder
	writeJSON(&b, v)
	return b.String()
}

// formatFloat is the shortest text that gives x back, in the form of RFC 8785.
func formatFloat(x float64) string {
	text, err := json.Marshal(x)
	if err != nil { // not finite
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return string(text)
}

func writeJSON(b *strings.Builder, v any) {
	switch x := v.(type) {
	case string:
		quoted, _ := json.Marshal(x) // texts always encode
		b.Write(quoted)
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, e)
		}
		b.WriteByte(']')
	case *Map:
		b.WriteByte('{')
		for i, k := range x.Keys {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, k)
			b.WriteByte(':')
			writeJSON(b, x.Values[k])
		}
		b.WriteByte('}')
	default:
		b.WriteString(Format(v))
	}
}

// Equal reports whether a and b are one value; the order of maps does not count.
func Equal(a, b any) bool {
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, Equal)
	case *Map:
		y, ok := b.(*Map)
		if !ok || len(x.Keys) != len(y.Keys) {
			return false
		}
		for k, v := range x.Values {
			if w, has := y.Values[k]; !has || !Equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// A Handle is an artifact in an expression: the output of a stage.
type Handle struct{ Stage, Output string }

func (h Handle) String() string {
	if h.Output == "" {
		return "stages." + h.Stage
	}
	return "stages." + h.Stage + "." + h.Output
}
