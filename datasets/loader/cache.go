package loader

import (
	"context"
	"errors"
	"sync"

	"regft/datasets/pil"
)

// Cache keeps pictures in memory, so that a small set is read once for all passes, also for those that go on at the same
// time. It keeps the first that fit and drops none: passes over a set that is too large would drop each picture just
// before it is needed again.
type Cache struct {
	limit int64

	mu       sync.Mutex
	bytes    int64
	pictures map[int]*pil.Image
	reading  map[int]*reading
}

// A reading is a picture on its way, for all who ask for it meanwhile.
type reading struct {
	done chan struct{} // closed when the rest is there
	im   *pil.Image
	err  error
}

// NewCache returns a cache of at most so many bytes of pixels.
func NewCache(limit int64) *Cache {
	return &Cache{limit: limit, pictures: map[int]*pil.Image{}, reading: map[int]*reading{}}
}

// get returns picture i, read by read where it is not there.
func (c *Cache) get(ctx context.Context, i int, read func() (*pil.Image, error)) (*pil.Image, error) {
	if c == nil {
		return read()
	}
	c.mu.Lock()
	if im := c.pictures[i]; im != nil {
		c.mu.Unlock()
		return im, nil
	}
	if r := c.reading[i]; r != nil {
		c.mu.Unlock()
		return r.wait(ctx, read)
	}
	r := &reading{done: make(chan struct{})}
	c.reading[i] = r
	c.mu.Unlock()
	r.im, r.err = read()
	close(r.done)
	c.settle(i, r)
	return r.im, r.err
}

// wait waits for the one who reads, and reads itself where that one was stopped.
func (r *reading) wait(ctx context.Context, read func() (*pil.Image, error)) (*pil.Image, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if errors.Is(r.err, context.Canceled) || errors.Is(r.err, context.DeadlineExceeded) {
		return read()
	}
	return r.im, r.err
}

// settle keeps what was read, if it fits.
func (c *Cache) settle(i int, r *reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reading, i)
	if r.err != nil || c.bytes+int64(len(r.im.Pix)) > c.limit {
		return
	}
	c.pictures[i] = r.im
	c.bytes += int64(len(r.im.Pix))
}
