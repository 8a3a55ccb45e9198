package stages

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode/utf16"
)

func writeMap(b *strings.Builder, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return compareUTF16(x.String(), y.String()) })
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		writeScalar(b, k)
		b.WriteByte(':')
		writeCanonical(b, v.MapIndex(k))
	}
	b.WriteByte('}')
}

// writeStruct writes a struct as the mapping that its yaml tags say.
func writeStruct(b *strings.Builder, v reflect.Value) {
	m := map[string]any{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			m[name] = v.FieldByIndex(f.Index).Interface()
		}
	}
	writeMap(b, reflect.ValueOf(m))
}

// compareUTF16 orders as RFC 8785 does, by UTF-16 code units.
func compareUTF16(x, y string) int {
	return slices.CompareFunc(utf16.Encode([]rune(x)), utf16.Encode([]rune(y)), cmp.Compare[uint16])
}
