package stages

import (
	"reflect"
	"slices"
)

// A ParamPath is a path that a parameter names.
type ParamPath struct{ Param, Path string }

// ParamPaths lists the files and folders that r's parameters name.
func (t Type) ParamPaths(r Runner) []ParamPath {
	var out []ParamPath
	v := reflect.ValueOf(r).Elem()
	for _, f := range t.Fields() {
		switch p := v.FieldByIndex(f.index).Interface().(type) {
		case Path:
			out = append(out, ParamPath{f.Name, string(p)})
		case ListOrFile:
			out = append(out, ParamPath{f.Name, string(p.File)})
		}
	}
	for _, in := range t.Inputs(r) {
		out = append(out, ParamPath{in.Field.Name, in.Path})
	}
	return slices.DeleteFunc(out, func(p ParamPath) bool { return p.Path == "" })
}
