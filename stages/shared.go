package stages

import (
	"container/list"
	"context"
	"sync"
)

// Shared keeps values that several stages of a run need, such as decoded pictures and loaded models, within a bound
// of memory. A key must name its value's content, by digest.
type Shared struct {
	mu    sync.Mutex
	limit int64
	used  int64
	byKey map[string]*list.Element
	lru   list.List // of *entry, most recently used first
}

type entry struct {
	key   string
	ready chan struct{}
	value any
	size  int64
	err   error
}

// NewShared holds at most limit bytes.
func NewShared(limit int64) *Shared {
	return &Shared{limit: limit, byKey: map[string]*list.Element{}}
}

// Get returns the value called key, made by build if there is none, which also says how many bytes it holds. Others
// who ask for it meanwhile wait. An error is not kept.
func (s *Shared) Get(ctx context.Context, key string, build func(context.Context) (any, int64, error)) (any, error) {
	s.mu.Lock()
	if el, ok := s.byKey[key]; ok {
		s.lru.MoveToFront(el)
		s.mu.Unlock()
		return wait(ctx, el.Value.(*entry))
	}
	e := &entry{key: key, ready: make(chan struct{})}
	s.byKey[key] = s.lru.PushFront(e)
	s.mu.Unlock()
	e.value, e.size, e.err = build(ctx)
	close(e.ready)
	s.settle(e)
	return e.value, e.err
}

func wait(ctx context.Context, e *entry) (any, error) {
	select {
	case <-e.ready:
		return e.value, e.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// settle counts a finished entry, and drops those least recently used until the rest fits.
func (s *Shared) settle(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.err != nil {
		s.drop(s.byKey[e.key])
		return
	}
	s.used += e.size
	for el := s.lru.Back(); el != nil && s.used > s.limit; {
		prev := el.Prev()
		if el.Value.(*entry).finished() {
			s.drop(el)
		}
		el = prev
	}
}

func (s *Shared) drop(el *list.Element) {
	e := s.lru.Remove(el).(*entry)
	delete(s.byKey, e.key)
	s.used -= e.size
}

func (e *entry) finished() bool {
	select {
	case <-e.ready:
		return true
	default:
		return false
	}
}
