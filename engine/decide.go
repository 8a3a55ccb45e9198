package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"regft/cache"
)

// decide gives every node its state.
func (p *Plan) decide(ctx context.Context) error {
	p.round++
	for _, i := range p.order {
		p.judge(i)
	}
	for _, n := range p.Nodes {
		n.State = n.idleState()
	}
	for changed := true; changed; {
		changed = p.markDemanded()
		changed = p.markSpareable() || changed
		gone, err := p.markGone(ctx)
		if err != nil {
			return err
		}
		changed = changed || gone
	}
	d := newDemand(p, (*Node).active)
	d.start()
	first := map[cache.ActionID]bool{}
	for _, n := range p.Nodes {
		n.explain(p.options.Last, d.has(n))
		if n.State != Work || n.Action.IsZero() || n.Reason == forcedReason || n.Reason == goneReason {
			continue
		}
		if first[n.Action] {
			n.State, n.Reason = Maybe, sameReason
		}
		first[n.Action] = true
	}
	p.markRepeats()
	return nil
}

// idleState is n's state where nothing asks for it.
func (n *Node) idleState() State {
	if n.found {
		return Hit
	}
	out := Skipped
	for _, u := range n.users {
		var s State
		switch u.part().fate {
		case unknown:
			s = Unknown
		case blocked, failed, lacking:
			s = Blocked
		case skipped, lost:
			s = Skipped
		default:
			return Idle
		}
		if out == Skipped {
			out = s
		}
	}
	return out
}

// willRun says that n runs, or may.
func (n *Node) willRun() bool { return n.State == Work || n.State == Maybe }

// active says that the run has to decide about n: it may run, a condition is open, or what it needs may change.
func (n *Node) active() bool {
	return n.willRun() || n.demanded && (n.stirred || n.open())
}

// unsure says that n may come out otherwise than the store has it.
func (n *Node) unsure() bool { return n.stirred || n.willRun() }

// markDemanded marks what is asked for, by the run or by what runs, consumers first.
func (p *Plan) markDemanded() (changed bool) {
	for _, n := range slices.Backward(p.Nodes) {
		forced := slices.ContainsFunc(n.users, p.forces)
		wanted := forced || slices.ContainsFunc(n.users, use.wantedItself) || slices.ContainsFunc(n.consumers, (*Node).active)
		if wanted && !n.demanded {
			n.demanded, changed = true, true
		}
		switch {
		case n.demanded && n.State == Idle:
			n.State, changed = Work, true
		case forced && n.State == Hit:
			n.State, n.Reason, changed = Work, forcedReason, true
		}
	}
	return changed
}

// wantedItself says that the run is for u's instance, or for a copy of it.
func (u use) wantedItself() bool {
	return u.root && (u.only == 0 || u.only == u.index+1) || slices.ContainsFunc(u.copies, func(c *instance) bool { return c.root })
}

// forces says that --force names u's stage.
func (p *Plan) forces(u use) bool {
	return u.needed && slices.Contains(p.options.Force, u.Stage.Name)
}

// remakes says that u's node runs for its own content, which is gone, whether something takes it or not.
func (p *Plan) remakes(u use) bool {
	n := u.part().node
	return p.options.Only == nil && u.copyOf == nil && n.broken && n.willRun()
}

// markSpareable marks what was found below something that runs, which stays if that gives the same again, and what
// a condition may still let run, leave out or shorten.
func (p *Plan) markSpareable() (changed bool) {
	for _, n := range p.Nodes {
		if !n.stirred && slices.ContainsFunc(n.producers, (*Node).unsure) {
			n.stirred, changed = true, true
		}
		switch {
		case n.State == Hit && slices.ContainsFunc(n.takes, (*Node).unsure):
			n.State, n.Reason, changed = Maybe, "upstream", true
		case n.State == Hit && n.demanded && slices.ContainsFunc(n.inputs, input.open),
			n.demanded && n.stirred && n.revives():
			n.State, n.Reason, changed = Maybe, "when", true
		}
	}
	return changed
}

// revives says that n, skipped or blocked as things stand, may come to run when what it needs changes.
func (n *Node) revives() bool {
	never := func(p *Node) bool {
		return p.State == Unknown || p.State == Blocked || p.State == Skipped && slices.Contains(n.takes, p)
	}
	switch n.State {
	case Blocked:
		return !slices.ContainsFunc(n.producers, never)
	case Skipped:
		return slices.ContainsFunc(n.users, func(u use) bool { return u.When == nil || len(u.When.Refs) > 0 }) && !slices.ContainsFunc(n.producers, never)
	}
	return false
}

// markGone marks results whose content is gone, and those that something running needs, or that Only asks for, and
// that are not upstream either.
func (p *Plan) markGone(ctx context.Context) (changed bool, err error) {
	for _, n := range slices.Backward(p.Nodes) {
		used := p.askedFor(n) || slices.ContainsFunc(n.takers, (*Node).willRun)
		if n.State != Hit || n.whole || !used && (!n.broken || p.options.Only != nil) {
			continue
		}
		n.whole = !n.broken
		if n.Result.Remote != "" {
			if n.whole, err = complete(ctx, p.store, n.Result); err != nil {
				return changed, fmt.Errorf("looking for the content of %s: %w", n.Name(), err)
			}
		}
		if !n.whole {
			n.State, n.Reason, changed = Work, goneReason, true
		}
	}
	return changed, nil
}

// Why a node runs whose result is there.
const (
	forcedReason = "forced"
	goneReason   = "gone" // its content is not
	sameReason   = "same" // another node that runs has the same key, or may come to have it: equal bytes made in different ways
)

// reopen forgets what was decided of everything that a run has to decide about, and hands on its nodes.
func (p *Plan) reopen(schedule func(*Node)) {
	for _, n := range p.Nodes {
		if !n.active() {
			continue
		}
		n.before, n.Result, n.found, n.lists, n.broken = n.Result, nil, false, nil, false
		for _, u := range n.users {
			u.part().fate = undecided
			u.instance.fate, u.instance.condition, u.instance.problem, u.instance.reported = undecided, undecided, "", false
		}
		schedule(n)
	}
	for _, i := range p.order {
		if i.copyOf == nil {
			continue
		}
		i.fate, i.condition, i.problem = undecided, undecided, ""
		for k := range i.parts {
			i.parts[k].fate = undecided
		}
	}
}

// complete says whether all content of r is in the store, where it was seen, or upstream.
func complete(ctx context.Context, store *cache.Dir, r *cache.Result) (bool, error) {
	for _, digest := range r.Outputs {
		m, err := store.Manifest(ctx, digest)
		if err == nil {
			err = store.Available(ctx, m)
		}
		if errors.Is(err, cache.ErrMiss) || isLinkError(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// askedFor says that Only names n.
func (p *Plan) askedFor(n *Node) bool {
	return p.options.Only != nil && slices.ContainsFunc(n.users, use.wantedItself)
}

func isLinkError(err error) bool {
	var gone *cache.LinkError
	return errors.As(err, &gone)
}

// explain gives the reason why n runs, from what the last run left, and finds out what may be spared: what was there
// and has only other inputs now, and what is not asked for unless a condition says so.
func (n *Node) explain(last *Past, asked bool) {
	if n.State != Work || n.Reason != "" {
		if n.State == Work && !asked {
			n.State = Maybe
		}
		return
	}
	var before NodeRecord
	known := false
	if last != nil {
		before, known = last.node(n.Name())
	}
	upstream := slices.ContainsFunc(n.takes, (*Node).willRun)
	switch {
	case !asked || n.recorded && slices.ContainsFunc(n.inputs, input.open):
		n.State, n.Reason = Maybe, "when"
	case !known:
		n.Reason = "new"
	case before.State == Failed:
		n.Reason = "failed"
	case before.Own != n.ownDigest():
		n.Reason = "changed"
	case upstream && before.State == Done:
		n.State, n.Reason = Maybe, "upstream"
	case before.Recipe != n.Recipe.String():
		n.Reason = "upstream"
	case before.State == Done:
		n.Reason = "lost"
	default:
		n.Reason = "unfinished"
	}
}

// ownDigest stands for the lines of n's key that no input changes.
func (n *Node) ownDigest() string {
	lines := n.own
	if n.sources != nil {
		lines = append(slices.Clone(lines), n.sources.lines...)
	}
	return cache.SumBytes([]byte(keyText(slices.Clone(lines)))).String()
}
