package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"regft/cache"

	"golang.org/x/sync/errgroup"
)

// inspect looks whether the content of the results that there are, and that were not inspected, is there as it was put.
// What was edited is set aside. A record that came from upstream promises no content here.
func (p *Plan) inspect(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(len(p.Nodes), p.store.LookupsAtOnce()) {
		group.Go(func() error {
			for k := next.Add(1) - 1; k < int64(len(p.Nodes)); k = next.Add(1) - 1 {
				n := p.Nodes[k]
				if n.Result == nil || n.lists != nil || n.Result.Remote != "" || !n.needed() {
					continue
				}
				if err := n.inspect(ctx, p.store); err != nil {
					return fmt.Errorf("looking for the content of %s: %w", n.Name(), err)
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// inspect says whether all that n gave is there.
func (n *Node) inspect(ctx context.Context, store *cache.Dir) error {
	for _, digest := range n.Result.Outputs {
		m, err := store.Manifest(ctx, digest)
		for _, f := range m.Files {
			if err == nil {
				err = store.Intact(ctx, f.Digest, f.Size)
			}
		}
		if errors.Is(err, cache.ErrMiss) || isLinkError(err) {
			n.broken = true
			return nil
		}
		if err != nil {
			return err
		}
		n.lists = append(n.lists, list{digest, m})
	}
	return nil
}

// A list is the manifest of one of a node's outputs.
type list struct {
	digest   cache.Digest
	manifest cache.Manifest
}
