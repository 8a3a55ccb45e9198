package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"regft/cache"

	"golang.org/x/sync/errgroup"
)

// An Item is a result to share, and a recipe that stands for it.
type Item struct {
	Action cache.ActionID `json:"action"`
	Recipe cache.RecipeID `json:"recipe,omitzero"` // zero: none
}

// Pushed says what a push did.
type Pushed struct {
	Results int   // records that were written
	There   int   // records that were there
	Blobs   int   // contents that were written
	Bytes   int64 // of them
	// Differ are results of which the remote holds another, which stays: the
	// action gave other bytes there.
	Differ []cache.ActionID
	// Lacking are results that were not pushed, since content of theirs is neither
	// here nor there.
	Lacking []cache.ActionID
}

// batchSize is how many results are pushed together: their contents first, then
// the records.
const batchSize = 256

// Push shares results of store: contents that the remote lacks, then manifests,
// then records, then recipes, so that no record is there before its content. It
// goes on where an earlier push ended. Progress is told to each, which may be
// nil.
func (r *Remote) Push(ctx context.Context, store *cache.Dir, items []Item, each func(Pushed)) (Pushed, error) {
	p := &pusher{remote: r, store: store, each: each}
	for batch := range slices.Chunk(items, batchSize) {
		if err := p.push(ctx, batch); err != nil {
			return p.total(), err
		}
	}
	return p.total(), nil
}

// A pusher counts what is pushed.
type pusher struct {
	remote *Remote
	store  *cache.Dir
	each   func(Pushed)

	mu     sync.Mutex
	pushed Pushed
}

func (p *pusher) total() Pushed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pushed
}

// count changes the counts, and tells of it.
func (p *pusher) count(change func(*Pushed)) {
	p.mu.Lock()
	change(&p.pushed)
	now := p.pushed
	p.mu.Unlock()
	if p.each != nil {
		p.each(now)
	}
}

// A parcel is a result with all that it needs.
type parcel struct {
	item     Item
	result   *cache.Result
	contents map[cache.Digest]int64 // of its files, with their sizes
	lists    map[cache.Digest]int64 // its manifests, and its log; -1: unknown
}

func (p *pusher) push(ctx context.Context, items []Item) error {
	parcels, err := p.pack(ctx, items)
	if err != nil {
		return err
	}
	lost := map[cache.Digest]bool{}
	for _, pick := range []func(parcel) map[cache.Digest]int64{
		func(x parcel) map[cache.Digest]int64 { return x.contents },
		func(x parcel) map[cache.Digest]int64 { return x.lists },
	} {
		all := map[cache.Digest]int64{}
		for _, x := range parcels {
			maps.Copy(all, pick(x))
		}
		if err := p.pushContents(ctx, all, lost); err != nil {
			return err
		}
	}
	return forEach(ctx, parcels, func(ctx context.Context, x parcel) error {
		if x.needs(lost) {
			p.count(func(s *Pushed) { s.Lacking = append(s.Lacking, x.item.Action) })
			return nil
		}
		return p.pushRecord(ctx, x)
	})
}

// needs says that something of x is lost.
func (x parcel) needs(lost map[cache.Digest]bool) bool {
	for d := range lost {
		if _, content := x.contents[d]; content {
			return true
		}
		if _, list := x.lists[d]; list {
			return true
		}
	}
	return false
}

// pack reads records and manifests. A result without them is counted as lacking.
func (p *pusher) pack(ctx context.Context, items []Item) ([]parcel, error) {
	var parcels []parcel
	for _, item := range items {
		x := parcel{item: item, contents: map[cache.Digest]int64{}, lists: map[cache.Digest]int64{}}
		err := p.packOne(ctx, &x)
		if errors.Is(err, cache.ErrMiss) {
			p.count(func(s *Pushed) { s.Lacking = append(s.Lacking, item.Action) })
			continue
		}
		if err != nil {
			return nil, err
		}
		parcels = append(parcels, x)
	}
	return parcels, nil
}

func (p *pusher) packOne(ctx context.Context, x *parcel) error {
	r, err := p.store.Result(ctx, x.item.Action)
	if err != nil {
		return err
	}
	x.result = r
	if !r.Log.IsZero() {
		x.lists[r.Log] = -1
	}
	for _, digest := range r.Outputs {
		m, err := p.store.Manifest(ctx, digest)
		if err != nil {
			return err
		}
		x.lists[digest] = int64(len(m.Encode()))
		for _, f := range m.Files {
			x.contents[f.Digest] = f.Size
		}
	}
	return nil
}

// pushContents writes those that the remote lacks, or has damaged. What
// is not here either is lost.
func (p *pusher) pushContents(ctx context.Context, all map[cache.Digest]int64, lost map[cache.Digest]bool) error {
	digests := slices.Collect(maps.Keys(all))
	sizes, err := p.remote.sizes(ctx, digests)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return forEach(ctx, indices(digests), func(ctx context.Context, k int) error {
		d, want := digests[k], all[digests[k]]
		_, broken := p.remote.broken.Load(d)
		if sizes[k] >= 0 && !broken && (want < 0 || sizes[k] == want) {
			return nil
		}
		err := p.pushContent(ctx, d, sizes[k] >= 0)
		if errors.Is(err, cache.ErrMiss) {
			mu.Lock()
			defer mu.Unlock()
			lost[d] = true
			return nil
		}
		return err
	})
}

func (p *pusher) pushContent(ctx context.Context, d cache.Digest, replace bool) error {
	path, err := p.store.Path(ctx, d)
	if gone := (*cache.LinkError)(nil); errors.As(err, &gone) {
		return &cache.MissError{Entry: "content " + d.String(), Reason: gone.Error()}
	}
	if err != nil {
		return err
	}
	c, err := fileContent(path, d)
	if err != nil {
		return err
	}
	write := p.remote.create
	if replace {
		write = p.remote.replace
	}
	err = write(ctx, blobName(d), c)
	if errors.Is(err, fs.ErrExist) {
		return nil // another pusher's
	}
	if err != nil {
		return err
	}
	p.remote.broken.Delete(d)
	p.count(func(s *Pushed) { s.Blobs++; s.Bytes += c.Size })
	return nil
}

// pushRecord writes a result and its recipe.
func (p *pusher) pushRecord(ctx context.Context, x parcel) error {
	name := objectName(resultsFolder, x.item.Action)
	shared := *x.result
	shared.Remote = ""
	text, err := cache.EncodeResult(&shared)
	if err != nil {
		return err
	}
	err = p.remote.create(ctx, name, memory(text))
	switch {
	case err == nil:
		p.count(func(s *Pushed) { s.Results++ })
	case errors.Is(err, fs.ErrExist):
		if err := p.compare(ctx, name, x, text); err != nil {
			return err
		}
	default:
		return err
	}
	if x.item.Recipe.IsZero() {
		return nil
	}
	return p.pushRecipe(ctx, x.item)
}

// compare counts a record that is there. A damaged one is replaced.
func (p *pusher) compare(ctx context.Context, name string, x parcel, text []byte) error {
	var other *cache.Result
	err := p.remote.readRecord(ctx, name, func(there []byte) (err error) {
		other, err = cache.DecodeResult(there, x.item.Action)
		return err
	})
	if err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	if err != nil {
		if err := p.remote.replace(ctx, name, memory(text)); err != nil {
			return err
		}
		p.count(func(s *Pushed) { s.Results++ })
		return nil
	}
	p.count(func(s *Pushed) {
		s.There++
		if !maps.Equal(other.Outputs, x.result.Outputs) {
			s.Differ = append(s.Differ, x.item.Action)
		}
	})
	return nil
}

// pushRecipe writes which action a recipe stands for: the last one counts.
func (p *pusher) pushRecipe(ctx context.Context, item Item) error {
	name, text := objectName(recipesFolder, item.Recipe), cache.EncodeRecipe(item.Recipe, item.Action)
	err := p.remote.create(ctx, name, memory(text))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := p.remote.read(ctx, name)
	if err == nil && string(there) == string(text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.remote.replace(ctx, name, memory(text))
}

// forEach calls do with each of values, many at a time.
func forEach[T any](ctx context.Context, values []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(len(values), requestsAtOnce) {
		group.Go(func() error {
			for k := next.Add(1) - 1; k < int64(len(values)); k = next.Add(1) - 1 {
				if err := do(ctx, values[k]); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

func indices[T any](values []T) []int {
	out := make([]int, len(values))
	for k := range out {
		out[k] = k
	}
	return out
}

// Pulled says what a pull did.
type Pulled struct {
	Results int
	Lacking []cache.ActionID // whose records or content cannot be had
}

// Pull makes results whole here: the store asks its upstream for records, and
// all content comes before the record that names it.
func Pull(ctx context.Context, store *cache.Dir, items []Item, each func(Pulled)) (Pulled, error) {
	var mu sync.Mutex
	var pulled Pulled
	err := forEach(ctx, items, func(ctx context.Context, item Item) error {
		err := pullOne(ctx, store, item)
		if err != nil && !errors.Is(err, cache.ErrMiss) {
			return fmt.Errorf("pulling the result of %s: %w", item.Action, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			pulled.Lacking = append(pulled.Lacking, item.Action)
		} else {
			pulled.Results++
		}
		if each != nil {
			each(pulled)
		}
		return nil
	})
	return pulled, err
}

func pullOne(ctx context.Context, store *cache.Dir, item Item) error {
	r, err := store.Result(ctx, item.Action)
	if err != nil {
		return err
	}
	for _, digest := range r.Outputs {
		m, err := store.Manifest(ctx, digest)
		if err != nil {
			return err
		}
		if err := store.FetchAll(ctx, m); err != nil {
			return err
		}
	}
	if !r.Log.IsZero() {
		log, _, err := store.Open(ctx, r.Log)
		if err != nil {
			return err
		}
		if err := log.Close(); err != nil {
			return err
		}
	}
	if r.Remote != "" {
		whole := *r
		whole.Remote = ""
		if err := store.PutResult(ctx, &whole); err != nil {
			return err
		}
	}
	if item.Recipe.IsZero() {
		return nil
	}
	return store.PutRecipe(ctx, item.Recipe, item.Action)
}
