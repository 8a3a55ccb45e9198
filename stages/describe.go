package stages

import (
	"fmt"
	"reflect"
	"strconv"
)

// TypeName is the type of a parameter in words.
func (f Field) TypeName() string {
	switch {
	case f.Kinds != nil:
		return f.artifactName()
	case f.Type == pathType:
		return "a path"
	case f.Type == listType:
		return "a list of texts, or a file with one a line"
	case f.Enum != nil && f.Type.Kind() != reflect.Slice:
		return "text"
	}
	return typeName(f.Type)
}

func (f Field) artifactName() string {
	name := ""
	for i, k := range f.Kinds {
		if i > 0 {
			name += " or "
		}
		name += string(k)
	}
	switch {
	case f.Map:
		return "a mapping of names to artifacts (" + name + ")"
	case f.List():
		return "one artifact or a list (" + name + ")"
	}
	return "an artifact (" + name + ")"
}

func typeName(t reflect.Type) string {
	t = deref(t)
	if d, ok := reflect.Zero(t).Interface().(interface{ TypeName() string }); ok {
		return d.TypeName()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of " + plural(t.Elem())
	case reflect.Struct, reflect.Map:
		return "a mapping"
	}
	return "text"
}

func plural(t reflect.Type) string {
	switch deref(t).Kind() {
	case reflect.Int, reflect.Int64:
		return "integers"
	case reflect.Float64:
		return "numbers"
	case reflect.String:
		return "texts"
	}
	return "mappings"
}

// Range is the interval of allowed values.
func (f Field) Range() string {
	end := func(p *float64, none string) string {
		if p == nil {
			return none
		}
		return strconv.FormatFloat(*p, 'g', -1, 64)
	}
	return fmt.Sprintf("[%s, %s]", end(f.Min, "-∞"), end(f.Max, "∞"))
}
