package engine

import (
	"runtime"
	"slices"
	"sync"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// builder turns instances into nodes.
type builder struct {
	*Plan
	sources  map[*specs.Instance]*sources
	byRecipe map[cache.RecipeID]*Node
	each     map[string]bool // stage types with an each:"node" parameter
	drafters []*drafter      // one for each core
	parts    slab[part]
	users    slab[use]
}

// blockSize is how many instances are drafted before they become nodes.
const blockSize = 2048

// build makes the nodes of all instances, producers first. Those of one stage take nothing of each other, so they are
// drafted side by side.
func (b *builder) build(instances []*specs.Instance) {
	made := make([]instance, len(instances))
	b.order = make([]*instance, len(instances))
	for k, si := range instances {
		made[k].Instance = si
		b.order[k] = &made[k]
	}
	for range runtime.GOMAXPROCS(0) {
		b.drafters = append(b.drafters, &drafter{builder: b})
	}
	for rest := b.order; len(rest) > 0; {
		n := 1
		for n < min(len(rest), blockSize) && rest[n].Stage == rest[0].Stage {
			n++
		}
		b.splits(rest[0].Stage.Type)
		for k, d := range b.drafts(rest[:n]) {
			b.settleDraft(rest[k], d)
		}
		rest = rest[n:]
	}
	b.join()
}

// drafts makes the drafts of instances of one stage.
func (b *builder) drafts(of []*instance) []draft {
	out := make([]draft, len(of))
	share := (len(of) + len(b.drafters) - 1) / len(b.drafters)
	if len(of) < 64 { // not worth a goroutine
		share = len(of)
	}
	var group sync.WaitGroup
	for k, d := range b.drafters {
		from, to := min(k*share, len(of)), min((k+1)*share, len(of))
		draftAll := func() {
			for j := from; j < to; j++ {
				out[j] = d.draft(of[j])
			}
		}
		if k == len(b.drafters)-1 || share == len(of) {
			draftAll()
			break
		}
		group.Go(draftAll)
	}
	group.Wait()
	return out
}

// settleDraft makes i a copy if its output would equal one of its inputs. A copy takes only that one. Else i gets its
// nodes, those that are there already or new ones.
func (b *builder) settleDraft(i *instance, d draft) {
	if d.copies != nil {
		i.copyOf, i.copyOutput = d.copies.from, d.copies.output
		i.copyOf.copies = append(i.copyOf.copies, i)
		i.parts = b.parts.take(len(i.copyOf.parts))
		for k, pt := range i.copyOf.parts {
			i.parts[k] = part{node: pt.node, inputs: []input{*d.copies}}
		}
		return
	}
	i.parts = b.parts.take(1 + len(d.more))
	b.addNode(i, 0, d.first)
	for k, n := range d.more {
		b.addNode(i, 1+k, n)
	}
}

// addNode makes the node of part p of i. Nodes are told apart by their recipes. A list with members that a condition
// may leave out is shared only among instances that name the same members: which are left is decided by the members,
// not by their nodes.
func (b *builder) addNode(i *instance, p int, d draftNode) {
	u := use{i, p}
	first := b.byRecipe[d.recipe]
	n := first
	for n != nil && n.members != d.members {
		n = n.alike
	}
	if n == nil {
		n = &Node{Type: &i.Stage.Type, Recipe: d.recipe, Index: len(b.Nodes), runner: d.runner, inputs: d.inputs, own: d.own, members: d.members, alike: first, sources: b.sources[i.Instance]}
		n.users = b.users.take(1)[:0]
		b.Nodes = append(b.Nodes, n)
		b.byRecipe[d.recipe] = n
	}
	n.users = append(n.users, u)
	i.parts[p] = part{node: n, inputs: d.inputs}
}

// join connects the nodes with their producers and consumers.
func (b *builder) join() {
	l := &linker{marks: make([]int, len(b.Nodes)), judged: map[*instance]bool{}}
	takers, consumers := make([]int, len(b.Nodes)), make([]int, len(b.Nodes))
	for _, n := range b.Nodes {
		n.takes, n.producers = l.producersOf(n)
		for _, p := range n.takes {
			takers[p.Index]++
		}
		for _, p := range n.producers {
			consumers[p.Index]++
			n.level = max(n.level, p.level+1)
		}
	}
	for k, n := range b.Nodes {
		n.takers = l.room.take(takers[k])[:0]
		n.consumers = n.takers
		if consumers[k] > takers[k] {
			n.consumers = l.room.take(consumers[k])[:0]
		}
	}
	for _, n := range b.Nodes {
		for _, p := range n.takes {
			p.takers = append(p.takers, n)
		}
		for _, p := range n.producers {
			p.consumers = append(p.consumers, n)
		}
	}
}

// linker finds the producers of nodes.
type linker struct {
	marks  []int              // by Node.Index: 1 + the index of the last consumer that counted it
	judged map[*instance]bool // whose conditions are in found
	found  []*Node
	room   slab[*Node]
}

// producersOf are the nodes whose content n takes, and those that must end before n can be decided, each once.
func (l *linker) producersOf(n *Node) (takes, all []*Node) {
	l.found = l.found[:0]
	if len(l.judged) > 0 {
		l.judged = map[*instance]bool{}
	}
	l.marks[n.Index] = n.Index + 1
	for k := range n.inputs {
		if from := n.inputs[k].from; from != nil {
			l.add(n, from)
		}
	}
	taken := len(l.found)
	for k := range n.inputs {
		if member := n.inputs[k].member; member != nil { // a copy has no node, and a shared node may not wait for its conditions
			l.addConditions(n, member)
		}
	}
	for _, u := range n.users {
		for _, c := range u.conditions {
			if !has(c, n) { // that is known once n has run, which it does for c if c wants it
				l.add(n, c)
				l.addConditions(n, c)
			}
		}
	}
	all = l.room.take(len(l.found))
	copy(all, l.found)
	return all[:taken:taken], all
}

// addConditions adds what i's fate depends on beside its own nodes.
func (l *linker) addConditions(n *Node, i *instance) {
	if len(i.conditions) == 0 || l.judged[i] {
		return
	}
	l.judged[i] = true
	for _, c := range i.conditions {
		l.add(n, c)
		l.addConditions(n, c)
	}
}

// has says that n is a node of i.
func has(i *instance, n *Node) bool {
	return slices.ContainsFunc(i.parts, func(pt part) bool { return pt.node == n })
}

func (l *linker) add(n *Node, i *instance) {
	for k := range i.parts {
		if p := i.parts[k].node; l.marks[p.Index] != n.Index+1 {
			l.marks[p.Index] = n.Index + 1
			l.found = append(l.found, p)
		}
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

// A slab hands out slices of one array after the other: many small allocations become one.
type slab[T any] struct{ left []T }

// take gives n elements, none for nothing.
func (s *slab[T]) take(n int) []T {
	if n == 0 {
		return nil
	}
	if n > len(s.left) {
		s.left = make([]T, max(n, 512))
	}
	out := s.left[:n:n]
	s.left = s.left[n:]
	return out
}
