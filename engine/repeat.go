package engine

import (
	"maps"
	"slices"
	"strings"
)

// markRepeats marks what runs unless it turns out to be what another node is: below a select whose choice is open, nodes
// that are alike but for what it chooses come to have one key when they take the same candidate.
func (p *Plan) markRepeats() {
	r := &repeats{may: map[*Node][]*Node{}, shapes: map[string][][]string{}, seen: map[string]map[*Node]*Node{}}
	for _, n := range p.Nodes {
		r.note(n)
	}
	if len(r.may) == 0 {
		return
	}
	for _, n := range p.Nodes {
		if n.State == Hit {
			r.add(n)
		}
	}
	for _, n := range p.Nodes {
		if !n.willRun() {
			continue
		}
		if like := r.alike(n); len(like) > 0 {
			r.may[n] = append(r.may[n], like...)
			if n.State == Work && n.Reason != forcedReason && n.Reason != goneReason {
				n.State, n.Reason = Maybe, sameReason
			}
		}
		r.add(n)
	}
}

// repeats finds nodes that may come out as others.
type repeats struct {
	may    map[*Node][]*Node          // of a node whose content is open: the nodes whose content it may come to have
	shapes map[string][][]string      // by stage type: the labels of inputs that are open, as nodes have them together
	seen   map[string]map[*Node]*Node // by all that is not open, and what the first open input may be: nodes that are there, or run before
}

// note notes a node whose content a choice below it, or its own, leaves open.
func (r *repeats) note(n *Node) {
	if !n.willRun() {
		return
	}
	if n.Type.OutAs != "" {
		r.may[n] = []*Node{}
		for k := range n.inputs {
			if in := &n.inputs[k]; in.field.Name == n.Type.OutAs && in.from != nil {
				for _, pt := range in.from.parts {
					r.may[n] = append(append(r.may[n], pt.node), r.may[pt.node]...)
				}
			}
		}
		return
	}
	if labels := r.openLabels(n); labels != nil {
		r.may[n] = []*Node{}
		if !slices.ContainsFunc(r.shapes[n.Type.Name], func(s []string) bool { return slices.Equal(s, labels) }) {
			r.shapes[n.Type.Name] = append(r.shapes[n.Type.Name], labels)
		}
	}
}

// openLabels are those of n's inputs whose content is open.
func (r *repeats) openLabels(n *Node) []string {
	var labels []string
	for k := range n.inputs {
		if len(r.producersOf(n, k)) > 0 {
			labels = append(labels, n.inputs[k].label)
		}
	}
	return labels
}

// producersOf are the open nodes that give input k of n.
func (r *repeats) producersOf(n *Node, k int) []*Node {
	var out []*Node
	if from := n.inputs[k].from; from != nil {
		for _, pt := range from.parts {
			if _, open := r.may[pt.node]; open {
				out = append(out, pt.node)
			}
		}
	}
	return out
}

// add lets later nodes be compared with n. Of nodes that may have the same content, the first stands for all.
func (r *repeats) add(n *Node) {
	for _, labels := range r.shapes[n.Type.Name] {
		key, ok := rest(n, labels)
		if !ok {
			continue
		}
		if r.seen[key] == nil {
			r.seen[key] = map[*Node]*Node{}
		}
		for _, c := range r.contents(n, labels[0]) {
			if r.seen[key][c] == nil {
				r.seen[key][c] = n
			}
		}
	}
}

// alike are nodes seen so far that n may come to have the key of.
func (r *repeats) alike(n *Node) []*Node {
	labels := r.openLabels(n)
	if labels == nil || n.Type.OutAs != "" {
		return nil
	}
	key, _ := rest(n, labels)
	var out []*Node
	for _, c := range r.contents(n, labels[0]) {
		other := r.seen[key][c]
		if other != nil && !slices.Contains(out, other) && !slices.ContainsFunc(labels[1:], func(l string) bool { return !r.meet(n, other, l) }) {
			out = append(out, other)
		}
	}
	return out
}

// meet says that the inputs of that label may come to have the same content.
func (r *repeats) meet(a, b *Node, label string) bool {
	contents := map[*Node]bool{}
	for _, c := range r.contents(a, label) {
		contents[c] = true
	}
	return slices.ContainsFunc(r.contents(b, label), func(c *Node) bool { return contents[c] })
}

// contents are the nodes whose content an input of n may have.
func (r *repeats) contents(n *Node, label string) []*Node {
	var out []*Node
	for k := range n.inputs {
		if in := &n.inputs[k]; in.label == label && in.from != nil {
			for _, pt := range in.from.parts {
				out = append(append(out, pt.node), r.may[pt.node]...)
			}
		}
	}
	return out
}

// rest is all that makes n's key but for inputs of these labels; not ok where n does not have them.
func rest(n *Node, labels []string) (key string, ok bool) {
	have := map[string]bool{}
	lines := inputLines(n.inputs, recipeOf)
	lines = slices.DeleteFunc(lines, func(l string) bool {
		label, _, _ := strings.Cut(strings.TrimPrefix(l, "input "), " ")
		open := slices.Contains(labels, label)
		have[label] = have[label] || open
		return open
	})
	maps.DeleteFunc(have, func(_ string, open bool) bool { return !open })
	lines = append(lines, n.own...)
	if n.sources != nil {
		lines = append(lines, n.sources.lines...)
	}
	return strings.Join(labels, " ") + "\n" + keyText(lines), len(have) == len(labels)
}
