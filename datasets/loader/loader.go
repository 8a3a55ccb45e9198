// Package loader reads, decodes and preprocesses pictures side by side, and hands them out in batches and in order.
package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"regft/datasets/picture"
	"regft/datasets/pil"
)

// Loader loads pictures by their number.
type Loader struct {
	Names   []string // for errors
	Open    func(ctx context.Context, i int) (io.ReadCloser, error)
	Prepare func(*pil.Image) (*pil.Image, error) // what transforms see of a decoded picture; nil: the picture
	Workers int                                  // pictures at once; 0 is one for each core
	Cache   *Cache                               // keeps prepared pictures; may be nil
}

// Transform writes the values of picture i, whose pixels it must leave as they are, to out.
type Transform func(im *pil.Image, i int, out []float32) error

// Batch is some pictures' values.
type Batch struct {
	Pictures []int     // their numbers
	Values   []float32 // [len(Pictures), values]; valid until the next batch is asked for
}

// prefetched is how many batches are prepared while the caller works on one.
const prefetched = 2

// Batches loads the pictures of `order` in that order, `size` at a time (the last batch may be smaller), each as `values` numbers.
// The sequence ends after the first error, which names the picture, or is the context's.
func (l *Loader) Batches(ctx context.Context, order []int, size, values int, transform Transform) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if size < 1 {
			yield(Batch{}, fmt.Errorf("batches of %d pictures", size))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		r := &run{
			loader: l, values: values, transform: transform,
			jobs: make(chan job), batches: make(chan *batch, prefetched), free: make(chan []float32, prefetched+2),
		}
		for range l.workers() {
			group.Go(func() { r.work(ctx) })
		}
		group.Go(func() { r.feed(ctx, order, size) })
		r.deliver(ctx, yield)
	}
}

func (l *Loader) workers() int {
	if l.Workers > 0 {
		return l.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// run is one pass over pictures: feed makes jobs of them, workers do the jobs, deliver hands out batches whose jobs are done.
type run struct {
	loader    *Loader
	values    int
	transform Transform
	jobs      chan job
	batches   chan *batch    // in order
	free      chan []float32 // values of batches that the caller is done with
}

// batch is a batch in the making.
type batch struct {
	Batch
	errs []error       // of each picture
	left atomic.Int32  // pictures to go
	done chan struct{} // closed when none is left
}

// job is one picture of a batch, by its place there.
type job struct {
	batch *batch
	place int
}

func (r *run) feed(ctx context.Context, order []int, size int) {
	defer close(r.batches)
	defer close(r.jobs)
	for len(order) > 0 {
		n := min(size, len(order))
		b := &batch{Batch: Batch{Pictures: order[:n], Values: r.buffer(n)}, errs: make([]error, n), done: make(chan struct{})}
		b.left.Store(int32(n))
		order = order[n:]
		select {
		case r.batches <- b:
		case <-ctx.Done():
			return
		}
		for place := range n {
			select {
			case r.jobs <- job{b, place}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// buffer returns room for n pictures.
func (r *run) buffer(n int) []float32 {
	select {
	case b := <-r.free:
		if cap(b) >= n*r.values {
			return b[:n*r.values]
		}
	default:
	}
	return make([]float32, n*r.values)
}

func (r *run) work(ctx context.Context) {
	for j := range r.jobs {
		i := j.batch.Pictures[j.place]
		j.batch.errs[j.place] = r.load(ctx, i, j.batch.Values[j.place*r.values:][:r.values])
		if j.batch.left.Add(-1) == 0 {
			close(j.batch.done)
		}
	}
}

func (r *run) load(ctx context.Context, i int, out []float32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	im, err := r.loader.picture(ctx, i)
	if err == nil {
		err = r.transform(im, i, out)
	}
	if err != nil {
		return &PictureError{i, r.loader.Names[i], err}
	}
	return nil
}

// A PictureError says which picture could not be loaded, and why.
type PictureError struct {
	Index int
	Name  string
	Err   error
}

func (e *PictureError) Error() string {
	return fmt.Sprintf("reading the picture %s: %v", e.Name, e.Err)
}

func (e *PictureError) Unwrap() error { return e.Err }

// picture returns a picture's pixels, prepared, from the cache if they are there.
func (l *Loader) picture(ctx context.Context, i int) (*pil.Image, error) {
	return l.Cache.get(ctx, i, func() (*pil.Image, error) {
		f, err := l.Open(ctx, i)
		if err != nil {
			return nil, err
		}
		im, err := picture.Read(f)
		if err = errors.Join(err, f.Close()); err != nil || l.Prepare == nil {
			return im, err
		}
		return l.Prepare(im)
	})
}

// deliver hands out batches in order, until the caller has had enough, an error, or the context's end.
func (r *run) deliver(ctx context.Context, yield func(Batch, error) bool) {
	for b := range r.batches {
		if err := r.await(ctx, b); err != nil {
			yield(Batch{}, err)
			return
		}
		if !yield(b.Batch, nil) {
			return
		}
		select {
		case r.free <- b.Values:
		default:
		}
	}
	if err := ctx.Err(); err != nil {
		yield(Batch{}, err)
	}
}

// await waits for a batch and returns its first picture's error.
func (r *run) await(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, err := range b.errs {
		if err != nil {
			return err
		}
	}
	return nil
}
