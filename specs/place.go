package specs

import (
	"slices"
	"strings"
)

// ParamPlace is that of i's stage.
func (i *Instance) ParamPlace(name string) Place { return i.Stage.ParamPlace(name) }

// An Origin is something that the value of a parameter is put together from: vars.NAME, sweep.AXIS, or a file that file()
// reads, which has no place.
type Origin struct {
	Name  string
	Place Place
}

// Origins are what i's parameter name is put together from, beside the text at its place: those that vars, axes and files
// are made of, too.
func (i *Instance) Origins(name string) []Origin {
	p, pr := i.Stage.expansion, i.Stage.param(name)
	if pr == nil {
		return nil
	}
	var out []Origin
	var trace func(*code)
	add := func(o Origin, made *template) {
		if slices.Contains(out, o) {
			return
		}
		out = append(out, o)
		if made != nil {
			made.codes(trace)
		}
	}
	trace = func(c *code) {
		for file := range p.files {
			if strings.Contains(c.program.Text, file) {
				add(Origin{Name: "file " + file}, nil)
			}
		}
		for _, v := range c.vars {
			if given := p.varValues[v.given]; given != nil {
				add(Origin{v.name, p.tree.Place(v.given)}, given.template)
			}
			if strings.HasPrefix(v.name, "sweep") {
				a := p.spec.Axes[v.axis]
				add(Origin{"sweep." + a.Name, p.valuePlace(a, i)}, a.template)
			}
		}
	}
	pr.codes(trace)
	return out
}

// valuePlace is where the value that i has for a is written, or a itself where it is computed.
func (p *program) valuePlace(a *Axis, i *Instance) Place {
	for _, c := range i.Coords {
		if c.Axis != a.Name || a.Computed {
			continue
		}
		for k, id := range a.own {
			if a.values[id].Key == c.Key {
				return p.tree.Place(a.element(k))
			}
		}
	}
	return a.Place
}

// Variant is the same for instances of a stage that have the same parameters, their artifacts aside; nil where that is
// not known.
func (i *Instance) Variant() any {
	if i.variant == nil || len(i.variant.exprs) > 0 {
		return nil
	}
	return i.variant
}
