package stages

import (
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// Schema is the JSON Schema of t's parameters: what may stand in with:. Every value may be an expression instead.
func (t Type) Schema() map[string]any {
	s := mappingSchema(t.fields())
	s["description"] = t.Doc
	return s
}

// Required lists the parameters that have no default.
func (t Type) Required() []string {
	out := []string{}
	for _, f := range t.fields() {
		if f.Required {
			out = append(out, f.Name)
		}
	}
	return out
}

func mappingSchema(fields []Field) map[string]any {
	properties := map[string]any{}
	for _, f := range fields {
		properties[f.Name] = f.schema()
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// expression is a text that holds ${…}.
var expression = map[string]any{"type": "string", "pattern": `\$\{`}

func (f Field) schema() map[string]any {
	forms := f.forms()
	if f.Null != "" {
		forms = append(forms, map[string]any{"type": "null"})
	}
	s := map[string]any{"description": f.description()}
	if len(forms) == 1 {
		for k, v := range forms[0] {
			s[k] = v
		}
	} else {
		s["anyOf"] = forms
	}
	var value any
	if f.HasDefault && yaml.Unmarshal([]byte(f.Default), &value) == nil {
		s["default"] = value
	}
	return s
}

func (f Field) description() string {
	text := f.Doc
	if f.Unit != "" {
		text += " (" + f.Unit + ")"
	}
	if f.Null != "" {
		text += "; null " + f.Null
	}
	return text
}

// forms are the schemas of the ways in which the parameter may be written.
func (f Field) forms() []map[string]any {
	text := map[string]any{"type": "string"}
	texts := map[string]any{"type": "array", "items": text}
	switch {
	case f.Map:
		return []map[string]any{{"type": "object", "additionalProperties": text}}
	case f.Kinds != nil && f.List():
		return []map[string]any{text, texts}
	case f.Kinds != nil, f.Type == pathType:
		return []map[string]any{text}
	case f.Type == listType:
		return []map[string]any{text, {"type": "array", "items": scalarSchema}}
	case f.CEL != "" && deref(f.Type) == exprType:
		return []map[string]any{{"type": []string{"string", "boolean", "number"}}}
	case f.CEL != "":
		return []map[string]any{{"type": []string{"string", "boolean", "number", "object"}}}
	case f.Sub != nil:
		return []map[string]any{mappingSchema(f.Sub), expression}
	}
	return f.plainForms()
}

// scalarSchema is any single value: a parameter that is text takes them all.
var scalarSchema = map[string]any{"type": []string{"string", "number", "boolean"}}

func (f Field) plainForms() []map[string]any {
	t := deref(f.Type)
	switch {
	case f.Enum != nil && t.Kind() == reflect.Slice:
		return []map[string]any{{"type": "array", "items": map[string]any{"anyOf": []any{map[string]any{"enum": f.choices()}, expression}}}, expression}
	case f.Enum != nil:
		return []map[string]any{{"enum": f.Enum}, expression}
	case reflect.PointerTo(t).Implements(nodeType):
		return []map[string]any{{}}
	}
	s := typeSchema(t)
	if f.Min != nil {
		s["minimum"] = *f.Min
	}
	if f.Max != nil {
		s["maximum"] = *f.Max
	}
	if t.Kind() == reflect.String {
		return []map[string]any{s}
	}
	return []map[string]any{s, expression}
}

func typeSchema(t reflect.Type) map[string]any {
	t = deref(t)
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0.0}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": slices.Clone(scalarSchema["type"].([]string))}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": map[string]any{"anyOf": []any{typeSchema(t.Elem()), expression}}}
	case reflect.Map:
		return map[string]any{"type": "object"}
	}
	return map[string]any{}
}
