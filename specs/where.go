package specs

import (
	"context"
	"slices"

	"regft/specs/expr"
)

// Where compiles a condition on points, bare or as ${…}, and gives the needed instances that stand at a point where it
// holds and take nothing that does not. flag is what the text was given to: it names its place in diagnostics.
func (e *Expansion) Where(ctx context.Context, flag, text string) (func(*Instance) bool, Diagnostics) {
	x := e.made
	before := x.out
	x.out = nil
	defer func() { x.out = before }()
	holds := x.holding(ctx, flag, text)
	if err := ctx.Err(); err != nil {
		return nil, Diagnostics{{Severity: Error, File: x.spec.Path, Summary: "cancelled: " + err.Error()}}
	}
	out := x.out.Sorted()
	if out.HasErrors() {
		return nil, out
	}
	picked := make(map[*Instance]bool, len(e.Instances))
	for _, i := range e.Instances {
		picked[i] = holds(i) && !slices.ContainsFunc(i.Needs(), func(n *Instance) bool { return !picked[n] })
	}
	return func(i *Instance) bool { return picked[i] && i.Needed }, out
}

// Needs are the instances that i takes, and those whose results its when reads.
func (i *Instance) Needs() []*Instance {
	var out []*Instance
	for _, r := range i.Refs {
		if r.Instance != nil {
			out = append(out, r.Instance)
		}
	}
	if i.When != nil {
		out = append(out, i.When.Refs...)
	}
	return out
}

// holding compiles a condition on points and evaluates it. It tells of an instance whether it stands at a point where
// the condition holds; nil where there was a mistake.
func (x *expansion) holding(ctx context.Context, flag, text string) func(*Instance) bool {
	c := x.pointCondition(flag, text)
	if c == nil {
		return nil
	}
	mentioned := x.layout(c.axes)
	holds := make([]bool, len(mentioned.first))
	f := x.newFrame()
	for g, i := range mentioned.first {
		if ctx.Err() != nil {
			return nil
		}
		f.ids = x.ids[i]
		v, ok := c.eval(f)
		yes, isBool := v.(bool)
		if ok && !isBool {
			x.once(c.node, c.offset, func() { x.errorAt(c.node, "a condition gives true or false, this gives %s", expr.Format(v)) })
		}
		holds[g] = yes
	}
	if !slices.Contains(holds, true) && !x.out.HasErrors() {
		x.errorAt(c.node, "this holds at no point of the sweep")
	}
	return func(i *Instance) bool {
		groups := x.within(i.Stage.layout, mentioned)[i.group]
		return slices.ContainsFunc(groups, func(g int32) bool { return holds[g] })
	}
}

// pointCondition compiles a condition of the command line, and reports what its axes never are.
func (x *expansion) pointCondition(flag, text string) *code {
	comparisons, late := len(x.comparisons), len(x.late)
	n := x.tree.Argument(flag, text)
	whole, offset, s, ok := x.filled(n, x.pointScope())
	if !ok {
		return nil
	}
	c := x.condition(n, offset, whole, s)
	for _, made := range x.comparisons[comparisons:] {
		x.checkComparison(made)
	}
	x.checkFields(x.late[late:])
	return c
}
