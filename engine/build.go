package engine

import (
	"maps"
	"slices"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// builder turns instances into nodes.
type builder struct {
	*Plan
	sources  map[*specs.Instance]*sources
	byRecipe map[identity]*Node
	fields   map[[2]string]*stages.Field // by type and parameter
	each     map[string]bool             // stage types with an each:"node" parameter
}

// identity tells nodes apart. A list with members that a condition may leave out is shared only among instances that
// name the same members: which are left is decided by the members, not by their nodes.
type identity struct {
	recipe  cache.RecipeID
	members string
}

// build makes the nodes of all instances, producers first.
func (b *builder) build(instances []*specs.Instance) {
	for _, si := range instances {
		i := &instance{Instance: si}
		b.instances[si] = i
		b.order = append(b.order, i)
		inputs := b.connect(i)
		i.whenever = i.When == nil && !slices.ContainsFunc(inputs, func(in input) bool { return in.member != nil && !in.member.whenever })
		i.sure = i.whenever || i.When == nil && sureMembers(inputs)
		if !b.addCopy(i, inputs) {
			b.addNodes(i, inputs)
		}
	}
	for _, n := range b.Nodes {
		n.takes, n.producers = producersOf(n)
		for _, p := range n.takes {
			p.takers = append(p.takers, n)
		}
		for _, p := range n.producers {
			p.consumers = append(p.consumers, n)
			n.level = max(n.level, p.level+1)
		}
	}
}

// connect finds the instances that i reads, and gives its inputs.
func (b *builder) connect(i *instance) []input {
	bound := i.Stage.Type.Inputs(i.Runner)
	inputs := make([]input, len(bound))
	for j, x := range bound {
		in := input{field: b.field(i.Stage.Type, x.Field.Name), key: x.Key, coords: x.Coords}
		if ref := i.Refs[j]; ref.Instance != nil {
			in.member, in.from, in.output = b.instances[ref.Instance], b.instances[ref.Instance], ref.Output
			if parent := in.from.copyOf; parent != nil {
				in.from, in.output = parent, in.from.copyOutput
			}
		}
		inputs[j] = in
	}
	label(inputs)
	for _, c := range []*specs.Condition{i.When, i.Assert} {
		if c != nil {
			for _, ref := range c.Refs {
				i.conditions = append(i.conditions, b.instances[ref])
			}
		}
	}
	return inputs
}

// sureMembers says that conditions leave something of each of the inputs: all that is not gathered, and of the lists
// a member all of whose counterparts are sure too.
func sureMembers(inputs []input) bool {
	lists, sure := map[string]bool{}, map[string]bool{}
	for _, in := range inputs {
		switch {
		case in.member == nil:
		case !in.gathered():
			if !in.member.sure {
				return false
			}
		default:
			lists[in.field.Name] = true
			sure[in.field.Name] = sure[in.field.Name] || surelyKept(inputs, in)
		}
	}
	return !slices.ContainsFunc(slices.Collect(maps.Keys(lists)), func(name string) bool { return !sure[name] })
}

func surelyKept(inputs []input, x input) bool {
	return !slices.ContainsFunc(inputs, func(y input) bool {
		return y.gathered() && y.member != nil && !y.member.sure && (y.member == x.member || shareAxis(x.coords, y.coords) && stages.Agree(x.coords, y.coords))
	})
}

// field is the one Field of a parameter, shared by all inputs that it takes.
func (b *builder) field(t stages.Type, name string) *stages.Field {
	key := [2]string{t.Name, name}
	if b.fields[key] == nil {
		f, _ := t.Field(name)
		b.fields[key] = &f
	}
	return b.fields[key]
}

// addCopy makes i a copy if its output would equal one of its inputs. A copy takes only that one.
func (b *builder) addCopy(i *instance, inputs []input) bool {
	c, ok := i.Runner.(stages.Copier)
	if !ok || c.CopyOf() == "" {
		return false
	}
	for _, in := range inputs {
		if in.field.Name == c.CopyOf() && in.from != nil {
			i.copyOf, i.copyOutput = in.from, in.output
			in.from.copies = append(in.from.copies, i)
			for _, pt := range in.from.parts {
				i.parts = append(i.parts, part{node: pt.node, inputs: []input{in}})
			}
			return true
		}
	}
	return false
}

// addNodes gives i its nodes, those that are there already or new ones.
func (b *builder) addNodes(i *instance, inputs []input) {
	t := i.Stage.Type
	if i.split = b.splits(t); !i.split {
		b.addNode(i, i.Runner, inputs)
		return
	}
	var each, others []int
	for j, in := range inputs {
		if in.field.Each {
			each = append(each, j)
		} else {
			others = append(others, j)
		}
	}
	bound := t.Inputs(i.Runner)
	for _, e := range each {
		runner := i.Runner
		if len(each) > 1 {
			runner = t.Clone(runner)
			t.SetInputs(runner, *inputs[e].field, []stages.Input{*bound[e].Input})
		}
		b.addNode(i, runner, partInputs(inputs, append(slices.Clone(others), e)))
	}
}

func (b *builder) splits(t stages.Type) bool {
	s, known := b.each[t.Name]
	if !known {
		s = slices.ContainsFunc(t.Fields(), func(f stages.Field) bool { return f.Each })
		b.each[t.Name] = s
	}
	return s
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

func (b *builder) addNode(i *instance, r stages.Runner, inputs []input) {
	n := &Node{Type: i.Stage.Type, runner: r, inputs: inputs, own: ownLines(i.Stage.Type, r), sources: b.sources[i.Instance]}
	u := use{i, len(i.parts)}
	n.users = []use{u}
	n.Recipe = cache.NewRecipeID(n.recipeText())
	id := identity{n.Recipe, conditionalMembers(inputs)}
	if same := b.byRecipe[id]; same != nil {
		same.users = append(same.users, u)
		i.parts = append(i.parts, part{node: same, inputs: inputs})
		return
	}
	n.Index = len(b.Nodes)
	b.Nodes = append(b.Nodes, n)
	b.byRecipe[id] = n
	i.parts = append(i.parts, part{node: n, inputs: inputs})
}

// conditionalMembers names the members of gathered lists that a condition may leave out.
func conditionalMembers(inputs []input) string {
	var text string
	for _, in := range inputs {
		if in.gathered() && in.member != nil && !in.member.whenever {
			text += in.member.Address() + "\n"
		}
	}
	return text
}

// producersOf are the nodes whose content n takes, and those that must end before n can be decided, each once.
func producersOf(n *Node) (takes, all []*Node) {
	seen := map[*Node]bool{n: true}
	add := func(i *instance) {
		for _, pt := range i.parts {
			if !seen[pt.node] {
				seen[pt.node] = true
				all = append(all, pt.node)
			}
		}
	}
	for _, in := range n.inputs {
		if in.from != nil {
			add(in.from)
		}
	}
	takes = all[:len(all):len(all)]
	for _, in := range n.inputs {
		if in.member != in.from { // a copy has no node that waits for its conditions
			for _, c := range in.member.conditions {
				add(c)
			}
		}
	}
	for _, u := range n.users {
		for _, c := range u.conditions {
			add(c)
		}
	}
	return takes, all
}
