package loader

import (
	"sync"

	"regft/datasets/pil"
)

// Cache keeps decoded pictures in memory, so that a small set is decoded once for all epochs. It keeps the first that fit and drops none:
// passes over a set that is too large would drop each picture just before it is needed again.
type Cache struct {
	limit int64

	mu       sync.Mutex
	bytes    int64
	pictures map[int]*pil.Image
}

// NewCache returns a cache of at most so many bytes of pixels.
func NewCache(limit int64) *Cache {
	return &Cache{limit: limit, pictures: map[int]*pil.Image{}}
}

func (c *Cache) get(i int) *pil.Image {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pictures[i]
}

func (c *Cache) put(i int, im *pil.Image) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(len(im.Pix))
	if c.pictures[i] != nil || c.bytes+size > c.limit {
		return
	}
	c.pictures[i] = im
	c.bytes += size
}
