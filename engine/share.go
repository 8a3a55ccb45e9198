package engine

import (
	"context"
	"errors"
	"fmt"

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
