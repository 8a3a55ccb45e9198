package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// An Upstream is a store that others share, asked for what a Dir lacks. What it
// lacks itself, holds damaged, or cannot be asked for is ErrMiss.
type Upstream interface {
	// Name says where it is.
	Name() string
	// Result gives the record of an action.
	Result(ctx context.Context, action ActionID) (*Result, error)
	// Recipe gives the action that a recipe stands for.
	Recipe(ctx context.Context, recipe RecipeID) (ActionID, error)
	// Lacks gives those of digests whose content it does not hold.
	Lacks(ctx context.Context, digests []Digest) ([]Digest, error)
	// Fetch puts content into d, by PutAs.
	Fetch(ctx context.Context, d *Dir, digest Digest) error
}

// fetchesAtOnce is how many lookups and fetches wait for an upstream at a time.
const fetchesAtOnce = 32

// SetUpstream makes d ask u for what it lacks. Call it before d is used.
func (d *Dir) SetUpstream(u Upstream) { d.upstream = u }

// LookupsAtOnce is how many lookups are worth doing side by side: they wait for
// the disk, or an upstream, more than they compute.
func (d *Dir) LookupsAtOnce() int {
	if d.upstream != nil {
		return fetchesAtOnce
	}
	return 4 * runtime.GOMAXPROCS(0)
}

// upstreamResult keeps the record that upstream has, so that it is found again
// without asking. Its content stays there until it is needed.
func (d *Dir) upstreamResult(ctx context.Context, action ActionID) (*Result, error) {
	r, err := d.upstream.Result(ctx, action)
	if err != nil {
		return nil, err
	}
	r.Remote = d.upstream.Name()
	content, err := EncodeResult(r)
	if err != nil {
		return nil, err
	}
	if err := d.writeEntry(d.entryPath(resultsFolder, action.sum), content, derived); err != nil {
		return nil, fmt.Errorf("keeping the result of %s: %w", action, err)
	}
	return r, nil
}

func (d *Dir) upstreamRecipe(ctx context.Context, recipe RecipeID) (ActionID, error) {
	action, err := d.upstream.Recipe(ctx, recipe)
	if err != nil {
		return ActionID{}, err
	}
	return action, d.PutRecipe(ctx, recipe, action)
}

// Available tells whether each file of m is in the store or upstream, where
// nothing is fetched: a miss names the first that is in neither.
func (d *Dir) Available(ctx context.Context, m Manifest) error {
	err := d.Complete(ctx, m)
	if d.upstream == nil || !isAbsent(err) {
		return err
	}
	absent, err := d.absent(ctx, m)
	if err != nil {
		return err
	}
	lacking, err := d.upstream.Lacks(ctx, absent)
	if err == nil && len(lacking) > 0 {
		err = &MissError{blobEntry(lacking[0]), "absent here and at " + d.upstream.Name()}
	}
	return err
}

// absent are the distinct contents of m that the store lacks.
func (d *Dir) absent(ctx context.Context, m Manifest) ([]Digest, error) {
	seen := map[Digest]bool{}
	var out []Digest
	for _, f := range m.Files {
		if seen[f.Digest] {
			continue
		}
		seen[f.Digest] = true
		has, err := d.Has(ctx, f.Digest)
		if err != nil {
			return nil, err
		}
		if !has {
			out = append(out, f.Digest)
		}
	}
	return out, nil
}

// FetchAll brings all content of m that only upstream has.
func (d *Dir) FetchAll(ctx context.Context, m Manifest) error {
	if d.upstream == nil {
		return nil
	}
	absent, err := d.absent(ctx, m)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchesAtOnce)
	for _, digest := range absent {
		group.Go(func() error { return d.fetch(ctx, digest) })
	}
	return group.Wait()
}

func (d *Dir) fetch(ctx context.Context, digest Digest) error {
	return d.upstream.Fetch(ctx, d, digest)
}

// isAbsent says that content is neither in the store nor where it was linked.
func isAbsent(err error) bool { return errors.Is(err, ErrMiss) || isLinkError(err) }

// A MismatchError says that content arrived that is not what was asked for.
type MismatchError struct{ Want, Got Digest }

// Error gives both digests.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("what arrived for %s has the digest %s", e.Want, e.Got)
}

// PutAs stores content that somebody says has a digest, durably. Content that has
// another is a *MismatchError, and not stored.
func (d *Dir) PutAs(ctx context.Context, digest Digest, content io.Reader) error {
	f, err := d.createTemp()
	if err != nil {
		return fmt.Errorf("storing %s: %w", digest, err)
	}
	defer f.discard()
	hasher, check := NewHasher(), xxhash.New()
	size, err := io.Copy(io.MultiWriter(f, hasher, check), contextReader{ctx, content})
	if err != nil {
		return fmt.Errorf("storing %s: %w", digest, err)
	}
	if got := hasher.Sum(); got != digest {
		return &MismatchError{digest, got}
	}
	path := d.blobPath(digest)
	if size >= checkSize {
		if err := d.writeCheck(path, check.Sum64()); err != nil {
			return fmt.Errorf("storing %s: %w", digest, err)
		}
	}
	if err := f.commit(path, durable); err != nil {
		return fmt.Errorf("storing %s: %w", digest, err)
	}
	return nil
}
