package remote

import (
	"context"
	"sync"

	"regft/cache"
)

// A Publisher pushes results while others are computed.
type Publisher struct {
	remote *Remote
	store  *cache.Dir
	wake   chan struct{} // of one: something was added, or it is closed
	ended  chan struct{}

	mu     sync.Mutex
	queue  []Item
	closed bool
	pushed Pushed
	err    error
}

// Publish begins to push what Add is given, until Close.
func (r *Remote) Publish(ctx context.Context, store *cache.Dir) *Publisher {
	p := &Publisher{remote: r, store: store, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go p.loop(ctx)
	return p
}

// Add pushes a result of the store, soon. It does not wait.
func (p *Publisher) Add(item Item) {
	p.mu.Lock()
	p.queue = append(p.queue, item)
	p.mu.Unlock()
	p.signal()
}

func (p *Publisher) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // it is awake
	}
}

// Close waits until all is pushed, or the context has ended. left counts the
// results that were not pushed, and the error says why.
func (p *Publisher) Close() (pushed Pushed, left int, err error) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.signal()
	<-p.ended
	return p.pushed, len(p.queue), p.err
}

func (p *Publisher) loop(ctx context.Context) {
	defer close(p.ended)
	for {
		items, closed := p.take()
		switch {
		case len(items) > 0:
			pushed, err := p.remote.Push(ctx, p.store, items, nil)
			p.pushed.add(pushed)
			if err != nil {
				p.fail(items, err)
				return
			}
		case closed:
			return
		default:
			<-p.wake
		}
	}
}

// take gives what was added since it was last called.
func (p *Publisher) take() (items []Item, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	items, p.queue = p.queue, nil
	return items, p.closed
}

// fail keeps what was not pushed.
func (p *Publisher) fail(items []Item, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.err = append(items, p.queue...), err
}

func (s *Pushed) add(more Pushed) {
	s.Results += more.Results
	s.There += more.There
	s.Blobs += more.Blobs
	s.Bytes += more.Bytes
	s.Differ = append(s.Differ, more.Differ...)
	s.Lacking = append(s.Lacking, more.Lacking...)
}
