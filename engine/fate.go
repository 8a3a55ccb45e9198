package engine

import (
	"fmt"
	"strconv"

	"regft/specs"
)

// A fate is what became of an instance, or of a part of one.
type fate uint8

const (
	undecided fate = iota // something that it needs has not ended
	wanted                // its node may run
	done
	skipped // by a condition, its own or of what it needs
	lost    // a part: its element of a gathered list was skipped
	failed
	blocked // something that it needs failed
	unknown // a file of its is missing
	lacking // a file is missing of something that it needs
)

// judge decides what can be decided of i by now. Callers begin a round of judgements after each change.
func (p *Plan) judge(i *instance) {
	if i.fate != undecided || i.judged == p.round {
		return
	}
	i.judged = p.round
	for k := range i.parts {
		pt := &i.parts[k]
		if pt.fate == undecided {
			p.judgePart(i, pt)
		}
		i.end(pt) // its condition may have read the very node, which another instance wanted
	}
	p.settle(i)
}

// end gives a part of i that was wanted the fate of its node, if that has ended.
func (i *instance) end(pt *part) {
	switch {
	case pt.fate != wanted:
	case i.copyOf != nil || pt.node.Result != nil:
		pt.fate = done
	case pt.node.State == Failed:
		pt.fate = failed
	}
}

// judgePart says whether a part's node may run, from the fates of what it needs.
func (p *Plan) judgePart(i *instance, pt *part) {
	if i.When != nil && len(i.When.Refs) == 0 && p.judgeConditions(i) == skipped {
		pt.fate = skipped // whatever it would have read
		return
	}
	switch n := pt.node; {
	case i.copyOf == nil && n.sources != nil && n.sources.missing != "":
		pt.fate = unknown
		return
	case i.whenever && i.copyOf == nil && n.Result != nil:
		pt.fate = done // found, whatever became of what it takes
		return
	}
	if !i.whenever {
		pt.fate = p.judgeConditions(i)
	} else {
		pt.fate = wanted
	}
	switch pt.fate {
	case wanted:
		pt.fate = p.judgeMembers(pt.inputs, i.whenever)
	case undecided: // whatever becomes of what it takes, but for what is known before anything runs
		if p.judgeMembers(pt.inputs, i.whenever) == lacking {
			pt.fate = lacking
		}
	}
}

// judgeMembers is the part of the judgement that inputs decide. It does not depend on which of them ends first: where a
// condition may leave out what takes them, a failure counts only once it does not.
func (p *Plan) judgeMembers(inputs []input, whenever bool) fate {
	f, bad, gone := wanted, false, false
	for k := range inputs {
		in := &inputs[k]
		if in.member == nil {
			continue
		}
		p.judge(in.member)
		switch in.member.fate {
		case unknown, lacking:
			return lacking
		case failed, blocked:
			if whenever {
				return blocked
			}
			bad = true
		case skipped:
			if in.gathered() && in.field.Each {
				return lost
			}
			if !in.gathered() {
				return skipped
			}
			gone = true
		case undecided:
			f = undecided
		}
	}
	if gone {
		return judgeLists(inputs)
	}
	if bad && f == wanted {
		return blocked
	}
	return f
}

// judgeLists is judgeMembers where conditions left something out of the lists.
func judgeLists(inputs []input) fate {
	dropped := droppedMembers(inputs)
	if emptied(inputs, dropped) {
		return skipped
	}
	f := wanted
	for k := range inputs {
		if in := &inputs[k]; in.member != nil && !dropped[k] {
			switch in.member.fate {
			case undecided:
				return undecided
			case failed, blocked:
				f = blocked
			}
		}
	}
	return f
}

// judgeConditions evaluates when, once what it reads has ended.
func (p *Plan) judgeConditions(i *instance) fate {
	if i.When != nil && i.condition == undecided {
		i.condition = p.evaluate(i)
	} else if i.When == nil {
		return wanted
	}
	return i.condition
}

func (p *Plan) evaluate(i *instance) fate {
	for _, ref := range i.When.Refs {
		c := p.order[ref.Index]
		p.judge(c)
		switch c.fate {
		case unknown, lacking:
			return lacking
		case failed, blocked:
			return blocked
		case skipped, undecided:
			return c.fate
		}
	}
	ok, err := i.When.Eval(p.outcome)
	if err != nil {
		i.problem = fmt.Sprintf("%s: when: %v", i.When.Place, err)
		return failed
	}
	if !ok {
		return skipped
	}
	return wanted
}

// emptied says that conditions left nothing of one of the lists.
func emptied(inputs []input, dropped []bool) bool {
	members, left := map[string]int{}, map[string]int{}
	for j, gone := range dropped {
		name := inputs[j].field.Name
		members[name]++
		if !gone {
			left[name]++
		}
	}
	return len(left) < len(members)
}

// settle derives the fate of i from those of its parts, and checks its assert once all are done.
func (p *Plan) settle(i *instance) {
	if i.fate != undecided {
		return
	}
	i.fate = together(i.parts)
	if i.fate != done || i.Assert == nil || i.copyOf != nil {
		return
	}
	for _, c := range i.conditions {
		if c != i {
			p.judge(c)
		}
		if c != i && c.fate == undecided {
			i.fate = undecided
			return
		}
	}
	switch ok, err := i.Assert.Eval(p.outcome); {
	case err != nil:
		i.fate, i.problem = failed, fmt.Sprintf("%s: assert: %v", i.Assert.Place, err)
	case !ok:
		i.fate, i.problem = failed, fmt.Sprintf("%s: assert does not hold: %s", i.Assert.Place, i.Assert.Text)
	}
}

// together is the fate of an instance with these parts.
func together(parts []part) fate {
	if len(parts) == 1 && parts[0].fate != wanted && parts[0].fate != lost {
		return parts[0].fate
	}
	count := [lacking + 1]int{}
	for _, pt := range parts {
		count[pt.fate]++
	}
	for _, f := range []fate{failed, blocked, lacking, unknown, skipped} {
		if count[f] > 0 {
			return f
		}
	}
	switch {
	case count[lost] == len(parts):
		return skipped
	case count[done]+count[lost] == len(parts):
		return done
	}
	return undecided
}

// outcome is what expressions see of an instance.
func (p *Plan) outcome(si *specs.Instance) specs.Outcome {
	i := p.order[si.Index]
	if i.fate == skipped {
		return specs.Outcome{Skipped: true}
	}
	return specs.Outcome{Metrics: i.metrics(), Chosen: i.chosen()}
}

// metrics are i's, as they are read: those recorded by position have their names. A copy has none of its own.
func (i *instance) metrics() map[string]any {
	switch {
	case i.copyOf != nil:
		return nil
	case i.split:
		out := map[string]any{}
		for k, pt := range i.parts {
			if pt.fate == done {
				out[i.label(k)] = pt.node.Result.Metrics
			}
		}
		return out
	case i.parts[0].node.Result == nil:
		return nil
	}
	return i.named(i.parts[0].node.Result.Metrics)
}

// named replaces positions by names.
func (i *instance) named(m map[string]any) map[string]any {
	if i.Parts == nil {
		return m
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		if p, err := strconv.Atoi(k); err == nil && p >= 0 && p < len(i.Parts) {
			k = i.Parts[p]
		}
		out[k] = v
	}
	return out
}

// chosen is the candidate that i took, by the values of the gathered axes.
func (i *instance) chosen() map[string]any {
	if i.copyOf != nil || i.split || i.parts[0].node.Result == nil || i.parts[0].node.Result.Chosen == nil {
		return nil
	}
	pt := i.parts[0]
	c := candidate(pt, *pt.node.Result.Chosen)
	if c < 0 || c >= len(i.Candidates) {
		return nil
	}
	return i.Candidates[c]
}

// candidate is the position in the spec's list of what is at position c of what conditions left of it.
func candidate(pt part, c int) int {
	at, left := -1, -1
	for j, gone := range droppedMembers(pt.inputs) {
		if pt.inputs[j].field.Name != pt.node.Type.OutAs {
			continue
		}
		at++
		if !gone {
			left++
		}
		if !gone && left == c {
			return at
		}
	}
	return -1
}
