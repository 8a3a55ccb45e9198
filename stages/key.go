package stages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// ParamLines are the lines of r's key that its parameters give, in the order of the fields' declaration: those that
// differ from their defaults, then the seed if one is drawn, then the type's own. Artifacts and what is read of the
// user's files are the engine's to add. With partial they are the lines of the key of partial work.
func (t Type) ParamLines(r Runner, partial bool) []string {
	var lines []string
	v, defaults := reflect.ValueOf(r).Elem(), t.defaultTexts()
	for k, f := range t.fields() {
		if !f.InKey || f.Kinds != nil || f.Type == pathType || f.Type == listType || partial && !f.Partial {
			continue
		}
		fv := v.FieldByIndex(f.index)
		if f.Type == seedType {
			if d, ok := r.(Drawer); !ok || d.Draws() {
				lines = append(lines, fmt.Sprintf("seed %d", fv.Uint()))
			}
			continue
		}
		if text := canonical(fv, f); text != defaults[k] {
			lines = append(lines, "param "+f.Name+" "+text)
		}
	}
	if k, ok := r.(Keyer); ok {
		lines = append(lines, k.KeyLines()...)
	}
	return lines
}

// canonicalDefaults are the defaults of t's fields, as they would stand in a key.
func (t Type) canonicalDefaults() []string {
	v, texts := reflect.ValueOf(t.new()).Elem(), make([]string, len(t.fields()))
	(&decoder{}).defaults(v, t.fields())
	for k, f := range t.fields() {
		texts[k] = canonical(v.FieldByIndex(f.index), f)
	}
	return texts
}

// Params are the parameters of r by name, as plain values: for records and for people.
func (t Type) Params(r Runner) map[string]any {
	out := map[string]any{}
	v := reflect.ValueOf(r).Elem()
	for _, f := range t.fields() {
		fv := v.FieldByIndex(f.index)
		if f.Kinds != nil || fv.Kind() == reflect.Slice && fv.IsNil() || fv.Kind() == reflect.Pointer && fv.IsNil() && f.Null == "" {
			continue
		}
		if l, ok := fv.Interface().(ListOrFile); ok && l.IsZero() || f.Type == pathType && fv.String() == "" {
			continue
		}
		out[f.Name] = plain(fv, f.Sub)
	}
	return out
}

// canonical is v as canonical JSON (RFC 8785), whatever way it was written in the spec.
func canonical(v reflect.Value, f Field) string {
	return CanonicalJSON(plain(v, f.Sub))
}

// A keyValuer is a parameter of several forms, or an element of one: this is what it is in a key.
type keyValuer interface{ KeyValue() any }

func plain(v reflect.Value, sub []Field) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem(), sub)
	}
	switch x := v.Interface().(type) {
	case Expr:
		return x.Text
	case ListOrFile:
		if x.File != "" {
			return string(x.File)
		}
		return x.List
	case keyValuer:
		return x.KeyValue()
	}
	if sub == nil {
		return v.Interface()
	}
	m := map[string]any{}
	for _, f := range sub {
		m[f.Name] = plain(v.FieldByIndex(f.index), f.Sub)
	}
	return m
}

// CanonicalJSON is v in the form of RFC 8785: sorted keys, no spaces, shortest numbers. Values that JSON lacks
// (NaN, infinities) are the texts NaN, Infinity and -Infinity.
func CanonicalJSON(v any) string {
	var b strings.Builder
	writeCanonical(&b, reflect.ValueOf(v))
	return b.String()
}

func writeCanonical(b *strings.Builder, v reflect.Value) {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		v = v.Elem()
	}
	if v.IsValid() && v.CanInterface() {
		if k, ok := v.Interface().(keyValuer); ok {
			writeCanonical(b, reflect.ValueOf(k.KeyValue()))
			return
		}
	}
	switch {
	case !v.IsValid():
		b.WriteString("null")
	case v.CanFloat():
		writeFloat(b, v.Float())
	case v.CanInt():
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case v.CanUint():
		b.WriteString(strconv.FormatUint(v.Uint(), 10))
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		writeList(b, v)
	case v.Kind() == reflect.Map:
		writeMap(b, v)
	case v.Kind() == reflect.Struct:
		writeStruct(b, v)
	default:
		writeScalar(b, v)
	}
}

func writeFloat(b *strings.Builder, x float64) {
	switch {
	case math.IsNaN(x):
		b.WriteString(`"NaN"`)
	case math.IsInf(x, 0):
		b.WriteString(map[bool]string{true: `"Infinity"`, false: `"-Infinity"`}[x > 0])
	default:
		enc, _ := json.Marshal(x) // ES6's form of a number, as the RFC wants
		b.Write(enc)
	}
}

func writeList(b *strings.Builder, v reflect.Value) {
	b.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		writeCanonical(b, v.Index(i))
	}
	b.WriteByte(']')
}

// escaped says that JSON may not hold r as it is.
func escaped(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }

// lineSeparators undoes the escapes of encoding/json that RFC 8785 does not have; escaped backslashes stay.
var lineSeparators = strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029")

func writeScalar(b *strings.Builder, v reflect.Value) {
	if v.Kind() == reflect.String && !strings.ContainsFunc(v.String(), escaped) {
		b.WriteString(`"` + v.String() + `"`)
		return
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v.Interface()) // booleans and texts always encode
	b.WriteString(lineSeparators.Replace(strings.TrimSuffix(buf.String(), "\n")))
}
