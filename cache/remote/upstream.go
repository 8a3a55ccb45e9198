package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"regft/cache"

	"golang.org/x/sync/errgroup"
)

// An Upstream is a remote as a store asks it for what it lacks. When the remote
// cannot be asked any more, everything is a miss, and work goes on without it.
type Upstream struct {
	remote *Remote
	warn   func(text string)
	down   atomic.Bool
	found  atomic.Int64 // results
}

var _ cache.Upstream = (*Upstream)(nil)

// NewUpstream gives r to a store. What is wrong with the remote is told to warn,
// from any goroutine.
func NewUpstream(r *Remote, warn func(text string)) *Upstream {
	return &Upstream{remote: r, warn: warn}
}

// Name implements cache.Upstream.
func (u *Upstream) Name() string { return u.remote.Name() }

// Result implements cache.Upstream.
func (u *Upstream) Result(ctx context.Context, action cache.ActionID) (*cache.Result, error) {
	entry := "result of " + action.String()
	var r *cache.Result
	err := u.read(ctx, entry, objectName(resultsFolder, action), func(content []byte) (err error) {
		r, err = cache.DecodeResult(content, action)
		return err
	})
	if err == nil {
		u.found.Add(1)
	}
	return r, err
}

// Found counts the results that were found there.
func (u *Upstream) Found() int { return int(u.found.Load()) }

// Recipe implements cache.Upstream.
func (u *Upstream) Recipe(ctx context.Context, recipe cache.RecipeID) (cache.ActionID, error) {
	entry := "recipe " + recipe.String()
	var action cache.ActionID
	err := u.read(ctx, entry, objectName(recipesFolder, recipe), func(content []byte) (err error) {
		action, err = cache.DecodeRecipe(content, recipe)
		return err
	})
	return action, err
}

// read gives a record's text to decode.
func (u *Upstream) read(ctx context.Context, entry, name string, decode func([]byte) error) error {
	if u.down.Load() {
		return &cache.MissError{Entry: entry, Reason: "the remote cannot be asked"}
	}
	err := u.remote.readRecord(ctx, name, decode)
	if errors.Is(err, errDamaged) {
		return u.damaged(entry, err)
	}
	return u.miss(ctx, entry, err)
}

// miss is err as a lookup has it: what is not there, or cannot be asked for.
func (u *Upstream) miss(ctx context.Context, entry string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return &cache.MissError{Entry: entry, Reason: "absent here and at " + u.Name()}
	case !u.down.Swap(true):
		u.warn(fmt.Sprintf("going on without the remote: %v", err))
	}
	return &cache.MissError{Entry: entry, Reason: err.Error()}
}

func (u *Upstream) damaged(entry string, err error) error {
	u.warn(fmt.Sprintf("%s at %s is damaged, and not used: %v", entry, u.Name(), err))
	return &cache.MissError{Entry: entry, Reason: fmt.Sprintf("damaged at %s: %v", u.Name(), err)}
}

// Lacks implements cache.Upstream.
func (u *Upstream) Lacks(ctx context.Context, digests []cache.Digest) ([]cache.Digest, error) {
	if u.down.Load() {
		return digests, ctx.Err()
	}
	sizes, err := u.remote.sizes(ctx, digests)
	if err != nil {
		return digests, ignoreMiss(u.miss(ctx, "content", err))
	}
	var lacking []cache.Digest
	for k, d := range digests {
		if _, broken := u.remote.broken.Load(d); broken || sizes[k] < 0 {
			lacking = append(lacking, d)
		}
	}
	return lacking, nil
}

func ignoreMiss(err error) error {
	if errors.Is(err, cache.ErrMiss) {
		return nil
	}
	return err
}

// Fetch implements cache.Upstream.
func (u *Upstream) Fetch(ctx context.Context, d *cache.Dir, digest cache.Digest) error {
	entry := "content " + digest.String()
	if _, broken := u.remote.broken.Load(digest); broken || u.down.Load() {
		return &cache.MissError{Entry: entry, Reason: "it cannot be had from " + u.Name()}
	}
	err := u.remote.fetch(ctx, d, digest)
	if mismatch := (*cache.MismatchError)(nil); errors.As(err, &mismatch) {
		u.remote.broken.Store(digest, true)
		return u.damaged(entry, err)
	}
	if there := (*Error)(nil); err != nil && !errors.As(err, &there) {
		return err // of the store: a full disk
	}
	return u.miss(ctx, entry, err)
}

// errDamaged is of records that are not what they should be.
var errDamaged = errors.New("damaged")

// readRecord gives a record's text to decode. It is damaged there, and not on
// the way, where it arrives twice alike.
func (r *Remote) readRecord(ctx context.Context, name string, decode func([]byte) error) error {
	var last []byte
	for range fetchTries + 1 {
		content, err := r.read(ctx, name)
		if err != nil {
			return err
		}
		if err = decode(content); err == nil {
			return nil
		}
		if last != nil && bytes.Equal(content, last) {
			return r.during("reading", name, fmt.Errorf("%w: %w", errDamaged, err))
		}
		last = append([]byte{}, content...)
	}
	return r.during("reading", name, errors.New("it arrives otherwise each time"))
}

// fetchTries is how often content is fetched that arrives with another digest.
const fetchTries = 3

// fetch puts content into d. What arrives with another digest is fetched again,
// in case it was damaged on the way.
func (r *Remote) fetch(ctx context.Context, d *cache.Dir, digest cache.Digest) error {
	var err error
	for range fetchTries {
		var content *download
		if content, err = r.download(ctx, blobName(digest)); err != nil {
			return err
		}
		err = d.PutAs(ctx, digest, content)
		content.Close()
		if mismatch := (*cache.MismatchError)(nil); !errors.As(err, &mismatch) {
			return err
		}
	}
	return fmt.Errorf("%w, %d times", err, fetchTries)
}

// sizes gives the sizes of contents, -1 for those that are not there.
func (r *Remote) sizes(ctx context.Context, digests []cache.Digest) ([]int64, error) {
	out := make([]int64, len(digests))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for k, d := range digests {
		group.Go(func() error {
			size, there, err := r.size(ctx, blobName(d))
			if out[k] = size; !there {
				out[k] = -1
			}
			return err
		})
	}
	return out, group.Wait()
}

// A download reads an object, and goes on where a connection ended.
type download struct {
	remote   *Remote
	ctx      context.Context
	name     string
	size     int64
	offset   int64
	body     io.ReadCloser
	progress func()
	stop     func()
	failures int   // since resumed
	resumed  int64 // offset of the last failure that much had come before
}

const (
	maxResumes   = 8       // without much coming between
	resumeCredit = 1 << 20 // bytes that are much
)

// download begins to read an object. The caller closes it.
func (r *Remote) download(ctx context.Context, name string) (*download, error) {
	d := &download{remote: r, ctx: ctx, name: name}
	return d, d.open()
}

// open asks for the object from offset on.
func (d *download) open() error {
	err := d.remote.try(d.ctx, func(context.Context, func()) error {
		ctx, progress, stop := watch(d.ctx, d.remote.retry.Stall) // lives as long as the body
		body, size, err := d.remote.backend.Open(ctx, d.name, d.offset)
		if err == nil && d.body == nil && d.offset > 0 && size != d.size {
			err = errors.Join(permanent(fmt.Errorf("its size was %d and is %d", d.size, size)), body.Close())
		}
		if err != nil {
			stop()
			return stalled(ctx, err)
		}
		d.body, d.size, d.progress, d.stop = body, size, progress, stop
		return nil
	})
	return d.remote.during("reading", d.name, err)
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	if d.body == nil {
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	n, err := d.body.Read(p)
	d.offset += int64(n)
	switch {
	case err == nil:
		d.progress()
		return n, nil
	case err == io.EOF && d.offset == d.size:
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	d.Close()
	if d.offset >= d.resumed+resumeCredit {
		d.failures, d.resumed = 0, d.offset
	}
	if d.failures++; d.failures > maxResumes || d.ctx.Err() != nil {
		return n, d.remote.during("reading", d.name, err)
	}
	return n, nil
}

// Close ends the reading.
func (d *download) Close() error {
	if d.body == nil {
		return nil
	}
	err := d.body.Close()
	d.stop()
	d.body = nil
	return err
}
