package stages

import "reflect"

// Paths lists the files and folders that the parameters and inputs of r name.
func (t Type) Paths(r Runner) []string {
	return appendPaths(nil, reflect.ValueOf(r).Elem())
}

func appendPaths(paths []string, v reflect.Value) []string {
	add := func(p string) {
		if p != "" {
			paths = append(paths, p)
		}
	}
	switch {
	case !v.IsValid():
	case v.Type() == pathType:
		add(v.String())
	case v.Type() == listType:
		add(v.FieldByName("File").String())
	case v.Type() == inputType:
		add(v.FieldByName("Path").String())
	case v.Kind() == reflect.Pointer:
		return appendPaths(paths, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				paths = appendPaths(paths, v.Field(i))
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			paths = appendPaths(paths, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		for _, e := range v.Seq2() {
			paths = appendPaths(paths, e)
		}
	}
	return paths
}
