package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A pool holds the workers of a backend. The caller of a loop takes part in it and only ever waits for calls that have
// begun, so loops of any number of executions share it without deadlock.
type pool struct {
	workers int
	free    chan struct{} // a token for each worker beside the callers
}

func newPool() *pool {
	p := &pool{}
	p.limit(runtime.GOMAXPROCS(0))
	return p
}

func (p *pool) limit(workers int) {
	p.workers = workers
	p.free = make(chan struct{}, workers-1)
	for range workers - 1 {
		p.free <- struct{}{}
	}
}

// help lets a free worker take part in l and tells whether there was one.
func (p *pool) help(l *loop) bool {
	select {
	case <-p.free:
	default:
		return false
	}
	l.helpers.Go(func() {
		defer func() { p.free <- struct{}{} }()
		l.work()
	})
	return true
}

// A stoppable is the pool as one execution sees it: once stopped, no iteration of a loop is begun.
type stoppable struct {
	*pool
	stopped atomic.Bool
}

// Workers implements kernels.Pool.
func (s *stoppable) Workers() int { return s.workers }

// Run implements kernels.Pool: f(0), …, f(n-1), side by side where workers are free. A panic of f is the caller's, once
// all that has begun is done.
func (s *stoppable) Run(n int, f func(i int)) {
	l := &loop{n: int64(n), f: f, stopped: &s.stopped}
	for range min(n, s.workers) - 1 {
		if !s.help(l) {
			break
		}
	}
	l.work()
	l.helpers.Wait()
	if l.panicked != nil {
		panic(l.panicked)
	}
}

// A loop is one Run in progress.
type loop struct {
	n       int64
	next    atomic.Int64
	f       func(i int)
	stopped *atomic.Bool
	helpers sync.WaitGroup

	once     sync.Once
	panicked error // the first panic
}

// work takes iterations until none are left, the execution is stopped, or one panics.
func (l *loop) work() {
	defer func() {
		if r := recover(); r != nil {
			l.once.Do(func() { l.panicked = newPanic(r) })
			l.next.Store(l.n)
		}
	}()
	for i := l.next.Add(1) - 1; i < l.n && !l.stopped.Load(); i = l.next.Add(1) - 1 {
		l.f(int(i))
	}
}
