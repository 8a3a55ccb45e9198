package engine

import (
	"slices"
	"strconv"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// A draft is an instance's nodes before it is known which of them are new.
type draft struct {
	copies *input // of what the instance is a copy: it has no nodes of its own
	first  draftNode
	more   []draftNode // of an each:"node" parameter
}

type draftNode struct {
	runner  stages.Runner
	inputs  []input
	own     []string
	members string
	recipe  cache.RecipeID
}

// A drafter makes drafts. Several work side by side, each with its own room.
type drafter struct {
	*builder
	inputs slab[input]
	text   lineSorter
	labels map[labelKey]string
	own    map[any][]string // by Instance.Variant: lines of instances of the stage at hand …
	ownOf  string           // … whose name this is
}

// draft connects i with the instances that it reads, and makes its draft. The instances that it takes have their nodes.
func (d *drafter) draft(i *instance) draft {
	bound := i.Stage.Type.Inputs(i.Runner)
	inputs := d.connect(i, bound)
	i.whenever = i.When == nil && !slices.ContainsFunc(inputs, func(in input) bool { return in.member != nil && !in.member.whenever })
	if in := copied(i, inputs); in != nil {
		return draft{copies: in}
	}
	if i.split = d.each[i.Stage.Type.Name]; !i.split {
		return draft{first: d.node(i, i.Runner, inputs)}
	}
	return d.split(i, bound, inputs)
}

// connect gives i's inputs, and finds the instances that its conditions read.
func (d *drafter) connect(i *instance, bound []stages.Bound) []input {
	inputs := d.inputs.take(len(bound))
	for j, x := range bound {
		in := input{field: x.Field, key: x.Key, coords: x.Coords}
		if ref := &i.Refs[j]; ref.Instance != nil {
			in.member, in.output = d.order[ref.Instance.Index], ref.Output
			in.from = in.member
			if parent := in.from.copyOf; parent != nil {
				in.from, in.output = parent, in.from.copyOutput
			}
		}
		inputs[j] = in
	}
	d.label(inputs)
	for _, c := range [2]*specs.Condition{i.When, i.Assert} {
		if c != nil {
			for _, ref := range c.Refs {
				i.conditions = append(i.conditions, d.order[ref.Index])
			}
		}
	}
	return inputs
}

// copied is the input that i's output would equal, nil where there is none.
func copied(i *instance, inputs []input) *input {
	c, ok := i.Runner.(stages.Copier)
	if !ok || c.CopyOf() == "" {
		return nil
	}
	k := slices.IndexFunc(inputs, func(in input) bool { return in.field.Name == c.CopyOf() && in.from != nil })
	if k < 0 {
		return nil
	}
	return &inputs[k]
}

// split makes a node for each artifact of the each:"node" parameters.
func (d *drafter) split(i *instance, bound []stages.Bound, inputs []input) draft {
	var each, others []int
	for j, in := range inputs {
		if in.field.Each {
			each = append(each, j)
		} else {
			others = append(others, j)
		}
	}
	var nodes []draftNode
	for _, e := range each {
		runner := i.Runner
		if len(each) > 1 {
			runner = i.Stage.Type.Clone(runner)
			i.Stage.Type.SetInputs(runner, *inputs[e].field, []stages.Input{*bound[e].Input})
		}
		nodes = append(nodes, d.node(i, runner, partInputs(inputs, append(slices.Clone(others), e))))
	}
	return draft{first: nodes[0], more: nodes[1:]}
}

// partInputs are the inputs of a node that is one part of an instance, in the order of the parameters. A part's list
// has one element, so its label is the list's first.
func partInputs(all []input, which []int) []input {
	slices.Sort(which)
	out := make([]input, len(which))
	for k, j := range which {
		out[k] = all[j]
		if out[k].field.Each {
			out[k].label = out[k].field.Name + "[0]"
		}
	}
	return out
}

func (d *drafter) node(i *instance, r stages.Runner, inputs []input) draftNode {
	n := draftNode{runner: r, inputs: inputs, own: d.ownLines(i, r), members: conditionalMembers(inputs)}
	n.recipe = d.recipe(n.own, inputs, i)
	return n
}

// ownLines are those of r, which instances with equal parameters share unless artifacts give lines too.
func (d *drafter) ownLines(i *instance, r stages.Runner) []string {
	v := i.Variant()
	if _, keyed := r.(stages.Keyer); keyed || v == nil {
		return ownLines(&i.Stage.Type, r)
	}
	if d.ownOf != i.Stage.Name {
		d.own, d.ownOf = map[any][]string{}, i.Stage.Name
	}
	lines, known := d.own[v]
	if !known {
		lines = ownLines(&i.Stage.Type, r)
		d.own[v] = lines
	}
	return lines
}

// conditionalMembers names the members of gathered lists that a condition may leave out.
func conditionalMembers(inputs []input) string {
	var text string
	for k := range inputs {
		if in := &inputs[k]; in.gathered() && in.member != nil && !in.member.whenever {
			text += in.member.Address() + "\n"
		}
	}
	return text
}

// labelKey is an element of a list.
type labelKey struct {
	list  string
	index int
}

// label is label for a drafter's inputs; elements of equal lists share their labels.
func (d *drafter) label(inputs []input) {
	label(inputs, func(list string, index int) string {
		text, known := d.labels[labelKey{list, index}]
		if !known {
			if d.labels == nil {
				d.labels = map[labelKey]string{}
			}
			text = elementLabel(list, index)
			d.labels[labelKey{list, index}] = text
		}
		return text
	})
}

// recipe is that of a node of i: the digest of its key's text with each input's content replaced by its producer's
// recipe. A node whose files are missing is told apart by their paths.
func (d *drafter) recipe(own []string, inputs []input, i *instance) cache.RecipeID {
	t := &d.text
	for _, l := range own {
		t.line(l)
	}
	for k := range inputs {
		in := &inputs[k]
		if in.from == nil {
			continue
		}
		for p := range in.from.parts {
			t.lines = append(append(t.lines, "input "...), in.label...)
			if len(in.from.parts) > 1 {
				t.lines = strconv.AppendInt(append(t.lines, '.'), int64(p), 10)
			}
			t.lines = in.from.parts[p].node.Recipe.Append(append(t.lines, ' '))
			if in.output != "" {
				t.lines = append(append(t.lines, ' '), in.output...)
			}
			t.end()
		}
	}
	if s := d.sources[i.Instance]; s != nil {
		for _, l := range s.lines {
			t.line(l)
		}
		if s.missing != "" {
			t.line("missing " + sourceKey(i.Instance))
		}
	}
	return cache.NewRecipeID(t.sorted())
}
