package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"regft/cache"
	"regft/specs"

	"golang.org/x/sync/errgroup"
)

// A State is what a plan says of a node, and what a run makes of it.
type State string

// The states of a node. A plan has those up to Skipped.
const (
	Hit     State = "hit"     // its result is there
	Work    State = "run"     // it runs
	Maybe   State = "maybe"   // it runs unless early cutoff or a condition spares it
	Blocked State = "blocked" // something that it needs cannot be
	Unknown State = "unknown" // a file that it reads is not on this machine
	Idle    State = "idle"    // nothing needs it now
	Skipped State = "skipped" // a condition says so

	Running   State = "running"   // in a Past only
	Elsewhere State = "elsewhere" // in a Past only: another process runs it
	Done      State = "done"
	Failed    State = "failed"
)

// Options say what a plan is for.
type Options struct {
	Force []string                   // stages whose nodes run although their results are there
	Only  func(*specs.Instance) bool // nil: everything that the spec needs; else this, and what it takes
	Part  string                     // with Only: of instances that have several parts this one, "" for all
	Last  *Past                      // the run before, for reasons; nil for none
}

// A Plan is what a run would do.
type Plan struct {
	Expansion  *specs.Expansion
	Nodes      []*Node
	Warnings   []string // files that are missing
	options    Options
	store      *cache.Dir
	linked     map[string]cache.Linked // the user's files, by their paths
	order      []*instance
	computedBy map[*Node][]string         // by classes, of nodes as they are
	round      int                        // of judgements: none of them changes within one
	shares     map[[2]cache.ActionID]bool // whether two data sets have pictures in common, once asked for
}

// NewPlan finds out what there is to do for e. Its error lists every file of the user's that cannot be used; files
// that are not there leave their nodes Unknown and are Warnings.
func NewPlan(ctx context.Context, e *specs.Expansion, store *cache.Dir, o Options) (*Plan, error) {
	p := &Plan{Expansion: e, options: o, store: store}
	if err := p.checkForce(); err != nil {
		return nil, err
	}
	found, err := p.findSources(ctx)
	if err != nil {
		return nil, err
	}
	p.Warnings = missingSources(found)
	(&builder{Plan: p, sources: found, byRecipe: map[cache.RecipeID]*Node{}, each: map[string]bool{}}).build(e.Instances)
	p.markNeeded()
	if err := p.lookUpAll(ctx); err != nil {
		return nil, err
	}
	if err := p.inspect(ctx); err != nil {
		return nil, err
	}
	return p, p.decide(ctx)
}

func (p *Plan) checkForce() error {
	for _, name := range p.options.Force {
		if !slices.ContainsFunc(p.Expansion.Spec.Stages, func(s *specs.Stage) bool { return s.Name == name }) {
			return fmt.Errorf("--force %s: the spec has no stage of that name", name)
		}
	}
	return nil
}

// lookUpAll finds the results that are there, producers first, level by level.
func (p *Plan) lookUpAll(ctx context.Context) error {
	survey := p.store.Survey(len(p.Nodes))
	for _, level := range p.levels() {
		p.judgeUsers(level)
		if err := p.lookUpLevel(ctx, level, survey); err != nil {
			return err
		}
		for _, n := range level {
			n.found = n.Result != nil
			n.endParts()
		}
		p.judgeUsers(level)
	}
	return nil
}

func (p *Plan) lookUpLevel(ctx context.Context, level []*Node, survey *cache.Survey) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(len(level), p.store.LookupsAtOnce()) {
		group.Go(func() error {
			for k := next.Add(1) - 1; k < int64(len(level)); k = next.Add(1) - 1 {
				n := level[k]
				if !n.needed() || !n.open() && !n.wanted() {
					continue
				}
				if err := n.lookUp(ctx, survey, n.work()); err != nil {
					return fmt.Errorf("looking up %s: %w", n.Name(), err)
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// ended updates n's instances after it was looked up or has run.
func (p *Plan) ended(n *Node) {
	p.computedBy = nil
	n.endParts()
	p.judgeUsers([]*Node{n})
}

// endParts gives the parts that n is their fates, if it has ended.
func (n *Node) endParts() {
	for _, u := range n.users {
		u.end(u.part())
	}
}

// judgeUsers judges the instances of nodes, after something changed.
func (p *Plan) judgeUsers(nodes []*Node) {
	p.round++
	for _, n := range nodes {
		for _, u := range n.users {
			p.judge(u.instance)
		}
	}
}

func (p *Plan) levels() [][]*Node {
	var sizes []int
	for _, n := range p.Nodes {
		for len(sizes) <= n.level {
			sizes = append(sizes, 0)
		}
		sizes[n.level]++
	}
	out := make([][]*Node, len(sizes))
	for k, size := range sizes {
		out[k] = make([]*Node, 0, size)
	}
	for _, n := range p.Nodes {
		out[n.level] = append(out[n.level], n)
	}
	return out
}

// markNeeded marks what the spec's leaves, tables and studies need, and what the run is for. A copy needs only its
// parent.
func (p *Plan) markNeeded() {
	roots := p.roots()
	for k, i := range slices.Backward(p.order) {
		i.needed = i.needed || roots[k]
		if !i.needed {
			continue
		}
		i.root = roots[k] && p.options.Only == nil || p.options.Only != nil && p.options.Only(i.Instance)
		i.only = 0
		for k := range i.parts {
			if p.options.Part != "" && len(i.parts) > 1 && i.label(k) == p.options.Part {
				i.only = k + 1
			}
		}
		for _, pt := range i.parts {
			for k := range pt.inputs {
				if member := pt.inputs[k].member; member != nil {
					member.needed = true
				}
			}
		}
		for _, c := range i.conditions {
			c.needed = true
		}
	}
}

// roots are the instances that are wanted for themselves: those of leaf stages and of tables and studies, and those
// that the spec needs for a reason of its own.
func (p *Plan) roots() []bool {
	taken, named := map[*specs.Stage]bool{}, map[string]bool{}
	var last *specs.Stage // most refer to the same one after the other
	for _, i := range p.order {
		for _, ref := range i.Refs {
			if ref.Instance != nil && ref.Instance.Stage != last {
				last = ref.Instance.Stage
				taken[last] = true
			}
		}
	}
	for _, t := range p.Expansion.Spec.Tables {
		named[t.Of] = true
	}
	for _, s := range p.Expansion.Spec.Studies {
		named[s.Of] = true
	}
	roots, reached := make([]bool, len(p.order)), make([]bool, len(p.order))
	for k, i := range slices.Backward(p.order) {
		if !i.Needed {
			continue
		}
		roots[k] = !reached[k] || !taken[i.Stage] || named[i.Stage.Name]
		for _, ref := range i.Refs {
			if ref.Instance != nil {
				reached[ref.Instance.Index] = true
			}
		}
		for _, c := range [2]*specs.Condition{i.When, i.Assert} {
			if c != nil {
				for _, ref := range c.Refs {
					reached[ref.Index] = true
				}
			}
		}
	}
	return roots
}
