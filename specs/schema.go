package specs

import (
	"bytes"
	"encoding/json"
	"fmt"

	"regft/stages"
)

// object is a JSON Schema, or a part of one.
type object = map[string]any

// Schema is the JSON Schema (draft 7) of the language with all registered stage types, for editors.
func Schema() []byte {
	ref := func(name string) object { return object{"$ref": "#/definitions/" + name} }
	nullable := func(name string) object { return object{"anyOf": []any{ref(name), object{"type": "null"}}} }
	of := func(name string) object { return object{"additionalProperties": ref(name)} }
	properties := object{
		"version": object{"enum": []any{1, "1"}, "description": "of the spec language"},
		"name":    object{"type": "string", "description": "of the experiment: the folder of its runs; the file's name when left out"},
		"seed":    object{"type": "integer", "minimum": 0, "description": "of all random numbers that have no seed of their own; 0 when left out"},
		"include": object{"anyOf": []any{ref("included"), list(ref("included"))}, "description": "files merged in order under this one: later wins, lists replace, null removes"},
		"vars":    object{"type": "object", "propertyNames": ref("name"), "description": "constants: ${vars.NAME}"},
		"sweep":   sweepSchema(ref),
		"stages":  object{"type": "object", "propertyNames": ref("name"), "additionalProperties": nullable("stage"), "description": "what to do"},
		"tables":  object{"type": "object", "additionalProperties": nullable("table"), "description": "how results are arranged"},
		"ablate":  object{"type": "object", "additionalProperties": nullable("study"), "description": "which points are compared"},
	}
	schema := object{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "regft experiment spec",
		"type": "object", "properties": properties, "additionalProperties": false,
		"if":          object{"not": object{"required": []string{"include"}}}, // an included file may have what lacks here, and what null removes
		"then":        object{"properties": object{"stages": of("wholeStage"), "tables": of("table"), "ablate": of("study")}},
		"definitions": definitions(ref),
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	_ = enc.Encode(schema) // maps of plain values always encode
	return out.Bytes()
}

func list(items object) object { return object{"type": "array", "items": items} }

func definitions(ref func(string) object) object {
	axes := object{"anyOf": []any{ref("name"), list(ref("name"))}}
	headings := object{"anyOf": []any{ref("cel"), object{"type": "object", "additionalProperties": ref("cel")}}}
	stage, whole := stageSchemas(ref)
	out := object{
		"name":       object{"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
		"cel":        object{"type": []string{"string", "boolean", "number"}},
		"expression": object{"type": "string", "pattern": `\$\{`},
		"included":   object{"anyOf": []any{object{"type": "string"}, closed(object{"optional": object{"type": "string"}}, "optional")}},
		"stage":      stage,
		"wholeStage": whole,
		"table": closed(object{
			"of": ref("name"), "rows": axes, "columns": axes, "where": ref("cel"), "value": headings, "bold": object{"enum": []string{"max", "min"}},
			"average": object{"type": "object", "additionalProperties": ref("cel")},
		}, "of", "value"),
		"study": closed(object{
			"of": ref("name"), "around": object{"const": "baseline"}, "vary": object{"enum": []string{VaryOne, VaryPairs, LeaveOneOut}},
			"compare": axes, "paired_by": axes, "where": ref("cel"), "value": headings,
		}, "of"),
	}
	for _, name := range stages.Names() {
		t, _ := stages.Lookup(name)
		out["with_"+name] = t.Schema()
	}
	return out
}

// closed is a mapping with these keys and no others.
func closed(properties object, required ...string) object {
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func sweepSchema(ref func(string) object) object {
	number := object{"anyOf": []any{object{"type": "number"}, ref("expression")}}
	span := closed(object{"from": number, "to": number, "step": number}, "from", "to", "step")
	values := []any{object{"type": "array", "minItems": 1}, span, ref("expression")}
	named := object{"type": "object", "not": object{"anyOf": []any{object{"required": []string{"from", "to"}}, object{"required": []string{"replicates"}}}}}
	axis := object{"anyOf": append(values, closed(object{"replicates": object{"anyOf": values}}, "replicates"), named)}
	points := object{"type": "object", "propertyNames": ref("name")}
	return closed(object{
		"axes":     object{"type": "object", "propertyNames": ref("name"), "additionalProperties": axis, "description": "what is varied"},
		"where":    object{"type": []string{"string", "boolean", "null"}, "description": "CEL: the points that are kept"},
		"exclude":  object{"anyOf": []any{ref("cel"), list(ref("cel"))}, "description": "CEL: the points that are not"},
		"include":  object{"type": "array", "items": points, "description": "points beside the product"},
		"baseline": object{"type": "object", "propertyNames": ref("name"), "description": "where axes stand that a table does not name"},
		"limit":    object{"type": "integer", "minimum": 1, "maximum": mostPoints, "description": fmt.Sprintf("how many points there may be; %d when left out", usualPoints)},
	})
}

// stageSchemas are the schema of a stage that an included file may complete, and what a whole one has besides.
func stageSchemas(ref func(string) object) (stage, whole object) {
	var with, required []any
	for _, name := range stages.Names() {
		t, _ := stages.Lookup(name)
		uses := object{"properties": object{"uses": object{"const": name}}, "required": []string{"uses"}}
		with = append(with, object{"if": uses, "then": object{"properties": object{"with": ref("with_" + name)}}})
		if len(t.Required()) > 0 {
			required = append(required, object{"if": uses, "then": object{"required": []string{"with"}, "properties": object{"with": object{"required": t.Required()}}}})
		}
	}
	axes := object{"anyOf": []any{ref("name"), list(ref("name"))}}
	size := object{"type": []string{"integer", "string"}}
	stage = closed(object{
		"uses":      object{"enum": stages.Names(), "description": "the stage type"},
		"with":      object{"type": "object", "description": "its parameters"},
		"gather":    axes,
		"when":      object{"type": []string{"string", "boolean"}, "description": "CEL over axes and finished results: whether it runs"},
		"assert":    object{"type": []string{"string", "boolean"}, "description": "CEL over its metrics: false fails it"},
		"resources": closed(object{"cores": size, "memory": size, "gpus": size}),
		"timeout":   object{"type": []string{"string", "number"}, "description": "90s, 30m, 2h; or seconds"},
		"retry":     object{"anyOf": []any{object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": `\$\{|failure`}}, "description": "how many further attempts; or CEL over failure.error and failure.attempt: whether there is one"},
	})
	stage["allOf"] = with
	whole = object{"required": []string{"uses"}, "allOf": required}
	return stage, whole
}
