package engine

import "regft/stages"

// A demand finds out which nodes a run needs as things stand. An instance asks for what it takes once no condition, its
// own or one of what it takes, can leave it out; until then it asks for what the first of those conditions reads. So
// nothing runs for an instance that comes to be skipped. What was asked for once stays so.
type demand struct {
	plan    *Plan
	pending func(*Node) bool // it may run, and has not ended
	needed  func(*Node)      // a node was asked for
	stopped func(*Node)      // a condition leaves out an instance of the node, or a part of one
	spared  func(taker, from *Node)

	asked    []bool          // by Instance.Index
	nodes    []bool          // by Node.Index: asked for
	verdicts []verdict       // by Instance.Index: those that are final
	watching map[*Node][]ask // what to look at again when a node has ended
	watched  map[watch]bool
	rivals   map[*part][][][]int
}

// A verdict is what conditions say of an instance, or of one artifact of a list.
type verdict uint8

const (
	open  verdict = iota // one of them is not decided
	stops                // it is left out
	goes
)

// An ask is what waits for a verdict: a part of an instance, or an artifact of a part's list.
type ask struct {
	of    *instance
	part  int
	input int // -1: the part
}

type watch struct {
	node *Node
	ask  ask
}

// newDemand is that of a run of p of which nothing was asked for yet; nil where p has no conditions, so that all that p
// has to run is needed.
func newDemand(p *Plan, pending func(*Node) bool) *demand {
	for _, i := range p.order {
		if !i.whenever {
			nothing := func(*Node) {}
			return &demand{plan: p, pending: pending, needed: nothing, stopped: nothing, spared: func(_, _ *Node) {},
				asked: make([]bool, len(p.order)), nodes: make([]bool, len(p.Nodes)), verdicts: make([]verdict, len(p.order)),
				watching: map[*Node][]ask{}, watched: map[watch]bool{}, rivals: map[*part][][][]int{}}
		}
	}
	return nil
}

// has says that n was asked for.
func (d *demand) has(n *Node) bool { return d == nil || d.nodes[n.Index] }

// start asks for what the run is for.
func (d *demand) start() {
	if d == nil {
		return
	}
	for _, i := range d.plan.order {
		for k := range i.parts {
			if u := (use{i, k}); u.wantedItself() || d.plan.forces(u) || d.plan.remakes(u) {
				d.advance(ask{i, k, -1})
			}
		}
	}
}

// ended looks again at what waited for n.
func (d *demand) ended(n *Node) {
	if d == nil {
		return
	}
	again := d.watching[n]
	delete(d.watching, n)
	for _, a := range again {
		delete(d.watched, watch{n, a})
		if a.input < 0 {
			d.advance(a)
		} else {
			d.take(a)
		}
	}
}

func (d *demand) watch(n *Node, a ask) {
	if w := (watch{n, a}); !d.watched[w] {
		d.watched[w] = true
		d.watching[n] = append(d.watching[n], a)
	}
}

// ask asks for all of i.
func (d *demand) ask(i *instance) {
	if d.asked[i.Index] {
		return
	}
	d.asked[i.Index] = true
	for k := range i.parts {
		d.advance(ask{i, k, -1})
	}
}

// advance asks for what a part takes, if conditions let it go.
func (d *demand) advance(a ask) {
	i, pt := a.of, &a.of.parts[a.part]
	if i.copyOf == nil && !d.pending(pt.node) {
		return
	}
	switch d.part(a, a) {
	case stops:
		if i.copyOf == nil {
			d.stopped(pt.node)
		}
	case goes:
		if i.copyOf == nil && !d.nodes[pt.node.Index] {
			d.nodes[pt.node.Index] = true
			d.needed(pt.node)
		}
		for j := range pt.inputs {
			d.take(ask{i, a.part, j})
		}
		if i.Assert != nil {
			for _, ref := range i.Assert.Refs {
				d.ask(d.plan.order[ref.Index])
			}
		}
	}
}

// take asks for an artifact of a part that goes, unless conditions leave it out of its list.
func (d *demand) take(a ask) {
	pt := &a.of.parts[a.part]
	in := &pt.inputs[a.input]
	if in.member == nil {
		return
	}
	switch d.input(pt, a.input, a) {
	case goes:
		d.ask(in.member)
	case stops:
		d.spare(pt, in, a)
	}
}

// spare says that the node of a part does not wait for what gives in, unless it takes that otherwise too.
func (d *demand) spare(pt *part, in *input, a ask) {
	for _, from := range in.from.parts {
		kept := !d.pending(from.node)
		for j := range pt.inputs {
			other := pt.inputs[j].from
			kept = kept || other != nil && has(other, from.node) && d.input(pt, j, a) != stops
		}
		if !kept {
			d.spared(pt.node, from.node)
		}
	}
}

// verdict says whether conditions let i be. What was tried and failed was let.
func (d *demand) verdict(i *instance, a ask) verdict {
	if i.copyOf != nil {
		d.plan.judge(i)
	}
	switch {
	case i.whenever:
		return goes
	case i.fate == skipped && !d.running(i):
		return stops
	case i.fate != undecided && i.fate != skipped:
		return goes
	case d.verdicts[i.Index] != open:
		return d.verdicts[i.Index]
	}
	v := stops
	for k := range i.parts {
		switch d.part(ask{i, k, -1}, a) {
		case goes: // of several parts, others may be left out
			d.verdicts[i.Index] = goes
			return goes
		case open:
			v = open
		}
	}
	d.verdicts[i.Index] = v
	return v
}

// running says that a node of i has not ended.
func (d *demand) running(i *instance) bool {
	for k := range i.parts {
		if d.pending(i.parts[k].node) {
			return true
		}
	}
	return false
}

// part says whether conditions let a part be: its own, those of what it takes, and of each list something is left.
// Where that is open, a looks again later.
func (d *demand) part(of, a ask) verdict {
	i, pt := of.of, &of.of.parts[of.part]
	if pt.fate == unknown || pt.fate == lacking {
		return stops
	}
	if i.whenever {
		return goes
	}
	if v := d.condition(i, a); v != goes {
		return v
	}
	if pt.fate == failed || pt.fate == blocked {
		return stops
	}
	for k := range pt.inputs {
		if in := &pt.inputs[k]; in.member != nil && !in.gathered() {
			if v := d.verdict(in.member, a); v != goes {
				return v
			}
		}
	}
	for k := 0; k < len(pt.inputs); {
		field, left := pt.inputs[k].field, stops
		for ; k < len(pt.inputs) && pt.inputs[k].field == field; k++ {
			if left == goes {
				continue
			}
			if v := d.input(pt, k, a); v != stops {
				left = v
			}
		}
		if left != goes {
			return left
		}
	}
	return goes
}

// condition is what i's own says. It asks for what that reads.
func (d *demand) condition(i *instance, a ask) verdict {
	if i.When == nil {
		return goes
	}
	v := goes
	for _, ref := range i.When.Refs {
		c := d.plan.order[ref.Index]
		d.ask(c)
		if n := d.awaited(c); n != nil {
			d.watch(n, a)
			v = open
		}
	}
	if v == goes && d.plan.judgeConditions(i) != wanted {
		return stops
	}
	return v
}

// awaited is a node that must end before c's fate is known, nil where that is.
func (d *demand) awaited(c *instance) *Node {
	if c.fate != undecided {
		return nil
	}
	for k := range c.parts {
		if d.pending(c.parts[k].node) {
			return c.parts[k].node
		}
	}
	if d.plan.judge(c); c.fate != undecided {
		return nil
	}
	for _, other := range c.conditions {
		if n := d.awaited(other); n != nil && other != c {
			return n
		}
	}
	return nil
}

// input says whether conditions leave an artifact to a part: its own, and in each other list that has counterparts of
// it, one of those.
func (d *demand) input(pt *part, k int, a ask) verdict {
	in := &pt.inputs[k]
	if in.member == nil {
		return goes
	}
	v := d.verdict(in.member, a)
	if v != goes || !in.gathered() || pt.node.members == "" {
		return v
	}
	for _, list := range d.counterparts(pt)[k] {
		left := stops
		for _, j := range list {
			if pt.inputs[j].member == nil {
				left = goes
			} else if v := d.verdict(pt.inputs[j].member, a); v != stops && left != goes {
				left = v
			}
		}
		if left != goes {
			return left
		}
	}
	return goes
}

// counterparts are, for each input of pt, those in each of the other lists that droppedMembers compares it with.
func (d *demand) counterparts(pt *part) [][][]int {
	if out, known := d.rivals[pt]; known {
		return out
	}
	out := make([][][]int, len(pt.inputs))
	for k, x := range pt.inputs {
		for j, y := range pt.inputs {
			if y.field == x.field || !x.gathered() || !y.gathered() || !shareAxis(x.coords, y.coords) || !stages.Agree(x.coords, y.coords) {
				continue
			}
			if last := len(out[k]) - 1; last >= 0 && pt.inputs[out[k][last][0]].field == y.field {
				out[k][last] = append(out[k][last], j)
			} else {
				out[k] = append(out[k], []int{j})
			}
		}
	}
	d.rivals[pt] = out
	return out
}
