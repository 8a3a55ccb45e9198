package cpu

import (
	"sync"
	"weak"
)

// idle holds what is not in use until the garbage collector wants its memory. A sync.Pool may make another while one lies with
// a processor that is not asking; of arenas that would be gigabytes.
type idle[T any] struct {
	mu   sync.Mutex
	free []weak.Pointer[T]
}

// take is one that is there still, nil for none.
func (p *idle[T]) take() *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) > 0 {
		last := len(p.free) - 1
		x := p.free[last].Value()
		p.free = p.free[:last]
		if x != nil {
			return x
		}
	}
	return nil
}

func (p *idle[T]) put(x *T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, weak.Make(x))
}
