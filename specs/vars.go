package specs

import (
	"fmt"
	"strings"

	"regft/specs/expr"

	"github.com/google/cel-go/cel"
	"gopkg.in/yaml.v3"
)

// varValue is the value of a node of vars, evaluated when it is first needed.
type varValue struct {
	template *template // nil where there is a mistake in it
	value    any
	ok       bool
	busy     bool
}

// variable binds vars.a.b.
func (r *resolver) variable(ref expr.Reference) (expr.Binding, *expr.Problem) {
	p := r.p
	if given := lookup(p.tree.Root, "vars"); given != nil && given.Kind == yaml.ScalarNode && given.Tag != "!!null" {
		return expr.Binding{}, silent // vars is no mapping, which is reported
	}
	node, at := p.vars, 0
	for at < len(ref.Segs) && !ref.Segs[at].Dynamic && node.Kind == yaml.MappingNode {
		next := lookup(node, ref.Segs[at].Name)
		if next == nil {
			if ref.Presence && at == len(ref.Segs)-1 {
				return r.fixed(ref, len(ref.Segs), nil)
			}
			return expr.Binding{}, noVar(ref, at, keys(node))
		}
		node, at = next, at+1
	}
	v, problem := p.varNode(node, ref, at)
	if problem != nil {
		return expr.Binding{}, problem
	}
	for at < len(ref.Segs) && !ref.Segs[at].Dynamic {
		m, isMap := v.(*expr.Map)
		if !isMap {
			break
		}
		next, has := m.Values[ref.Segs[at].Name]
		if !has && (!ref.Presence || at < len(ref.Segs)-1) {
			return expr.Binding{}, noVar(ref, at, m.Keys)
		}
		v, at = next, at+1
	}
	t := typeOf([]any{v})
	return r.bind(&variable{name: ref.Path(at), fixed: convert(v, t == cel.DoubleType), given: node}, at, t)
}

func noVar(ref expr.Reference, at int, names []string) *expr.Problem {
	name := ref.Segs[at].Name
	p := &expr.Problem{Span: ref.Segs[at].Span, Summary: fmt.Sprintf("%s has no %q", ref.Path(at), name), Nearest: expr.Nearest(name, names), Unknown: true}
	if len(names) > 0 {
		p.Expected = listNames(names)
	} else {
		p.Note = "the spec has no vars"
	}
	return p
}

// varNode evaluates a node of vars.
func (p *program) varNode(n *yaml.Node, ref expr.Reference, used int) (any, *expr.Problem) {
	if v, seen := p.varValues[n]; seen {
		if v.busy {
			p.varPath = append(p.varPath, ref.Path(used))
			return nil, &expr.Problem{Span: ref.To(used), Summary: "vars need each other: " + strings.Join(p.varPath, " → ")}
		}
		if !v.ok {
			return nil, silent
		}
		return v.value, nil
	}
	v := &varValue{busy: true}
	p.varValues[n] = v
	p.varPath = append(p.varPath, ref.Path(used))
	t := p.template(n, scope{what: "vars"})
	v.template = t
	if t != nil {
		v.value, _, v.ok = t.value(p.newFrame())
		v.ok = v.ok && p.made(n, v.value)
	}
	p.varPath = p.varPath[:max(0, len(p.varPath)-1)]
	v.busy = false
	if !v.ok {
		return nil, silent
	}
	return v.value, nil
}

// checkVars evaluates every variable, so that each mistake in them is reported.
func (p *program) checkVars() {
	if p.vars.Kind != yaml.MappingNode {
		d := p.tree.At(p.vars, "vars is a mapping of names to values")
		d.Expected = "{NAME: VALUE, …}"
		p.report(d)
		p.vars = &yaml.Node{Kind: yaml.MappingNode}
		return
	}
	for i := 0; i+1 < len(p.vars.Content); i += 2 {
		key := p.vars.Content[i]
		p.checkName(key, "a variable")
		p.varPath = nil
		ref := expr.Reference{Root: "vars", Segs: []expr.Segment{{Name: key.Value}}}
		_, _ = p.varNode(p.vars.Content[i+1], ref, 1) // what is wrong was reported
	}
}
