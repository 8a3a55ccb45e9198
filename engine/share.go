package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"regft/cache"
)

// Finished are the nodes of the run that have results, each with its action.
func (p *Past) Finished(ctx context.Context, store *cache.Dir) ([]NodeRecord, error) {
	plan, err := p.Plan()
	if err != nil {
		return nil, err
	}
	var out []NodeRecord
	for _, n := range plan.Nodes {
		if n.Action, err = n.action(ctx, store); errors.Is(err, cache.ErrMiss) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading run %s: %w", p.ID, err)
		}
		out = append(out, n)
	}
	return out, nil
}

// Finished are the nodes of p that something needs and that have results.
func (p *Plan) Finished() []*Node {
	var out []*Node
	for _, n := range p.Nodes {
		if n.Result != nil && n.needed() {
			out = append(out, n)
		}
	}
	return out
}

// Leaves are the nodes of the run that have results that no other node takes.
func (p *Past) Leaves(ctx context.Context, store *cache.Dir) ([]NodeRecord, error) {
	all, err := p.Finished(ctx, store)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, n := range p.plan.Nodes {
		for _, k := range n.Inputs {
			taken[p.plan.Nodes[k].Name] = true
		}
	}
	return slices.DeleteFunc(all, func(n NodeRecord) bool { return taken[n.Name] }), nil
}

// Linked are the absolute paths of all files of the user's that p's stages read.
func (p *Plan) Linked() ([]string, error) {
	var out []string
	for path := range p.linked {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("listing the files of %s: %w", p.Expansion.Spec.Path, err)
		}
		out = append(out, abs)
	}
	slices.Sort(out)
	return out, nil
}

// Restore makes a run that was unpacked below folder runs the latest of its name.
func Restore(runs, name, id string) (*Past, error) {
	home := filepath.Join(runs, folderName(name))
	if err := link(home, id); err != nil {
		return nil, err
	}
	return OpenRun(runs, filepath.Join(home, id))
}
