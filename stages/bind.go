package stages

import (
	"fmt"
	"reflect"
	"slices"
)

// A Bound is one artifact parameter of a Runner.
type Bound struct {
	Field *Field // shared by all Runners of the type
	Index int    // in the parameter's list
	*Input
}

// Inputs lists the artifacts of r in the order of the parameters. They point into r.
func (t Type) Inputs(r Runner) []Bound {
	var out []Bound
	v, fields := reflect.ValueOf(r).Elem(), t.fields()
	for k := range fields {
		f := &fields[k]
		if f.Kinds == nil {
			continue
		}
		switch p := v.FieldByIndex(f.index).Addr().Interface().(type) {
		case *Input:
			out = append(out, Bound{f, 0, p})
		case **Input:
			if *p != nil {
				out = append(out, Bound{f, 0, *p})
			}
		case *[]Input:
			out = slices.Grow(out, len(*p))
			for i := range *p {
				out = append(out, Bound{f, i, &(*p)[i]})
			}
		}
	}
	return out
}

// SetInputs fills artifact parameter f of r.
func (t Type) SetInputs(r Runner, f Field, in []Input) {
	switch p := reflect.ValueOf(r).Elem().FieldByIndex(f.index).Addr().Interface().(type) {
	case *Input:
		*p = in[0]
	case **Input:
		*p = &in[0]
	case *[]Input:
		*p = in
	}
}

// ExprSetter is a parameter that may be CEL or something else.
type ExprSetter interface{ SetExpr(Expr) }

// SetExpr fills CEL parameter f of r.
func (t Type) SetExpr(r Runner, f Field, e Expr) {
	v := reflect.ValueOf(r).Elem().FieldByIndex(f.index)
	if v.Kind() == reflect.Pointer { // a new one: clones of r share the old
		v.Set(reflect.New(v.Type().Elem()))
	}
	if v.Kind() != reflect.Pointer {
		v = v.Addr()
	}
	switch p := v.Interface().(type) {
	case *Expr:
		*p = e
	case ExprSetter:
		p.SetExpr(e)
	default:
		panic(fmt.Sprintf("stages: %s.%s has cel: and is no Expr", t.Name, f.Name))
	}
}

// Clone is a copy of r whose inputs can be filled without touching r.
func (t Type) Clone(r Runner) Runner {
	out := reflect.New(reflect.TypeOf(r).Elem())
	out.Elem().Set(reflect.ValueOf(r).Elem())
	fields := t.fields()
	for k := range fields {
		f := &fields[k]
		if f.Kinds == nil {
			continue
		}
		switch p := out.Elem().FieldByIndex(f.index).Addr().Interface().(type) {
		case **Input:
			if *p != nil {
				in := **p
				*p = &in
			}
		case *[]Input:
			*p = slices.Clone(*p)
		}
	}
	return out.Interface().(Runner)
}

// Agree reports whether a and b have the same value on every axis that both have.
func Agree(a, b []Coord) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Axis == y.Axis && x.Key != y.Key {
				return false
			}
		}
	}
	return true
}
