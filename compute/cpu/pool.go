package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A pool runs loops on several goroutines. The caller of Run takes part and only ever waits for calls that have begun,
// so loops of any number of executions share it without deadlock.
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

// Workers implements kernels.Pool.
func (p *pool) Workers() int { return p.workers }

// Run implements kernels.Pool: f(0), …, f(n-1), side by side where workers are free.
func (p *pool) Run(n int, f func(i int)) {
	if n <= 1 || p.workers == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	l := &loop{n: int64(n), f: f}
	for range min(n, p.workers) - 1 {
		if !p.help(l) {
			break
		}
	}
	l.work()
	l.helpers.Wait()
	if l.panicked != nil {
		panic(l.panicked)
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
		defer l.recovered()
		l.work()
	})
	return true
}

// A loop is one Run in progress.
type loop struct {
	n       int64
	next    atomic.Int64
	f       func(i int)
	helpers sync.WaitGroup

	once     sync.Once
	panicked any
}

// work takes iterations until none are left.
func (l *loop) work() {
	for i := l.next.Add(1) - 1; i < l.n; i = l.next.Add(1) - 1 {
		l.f(int(i))
	}
}

// recovered keeps a helper's first panic for the caller.
func (l *loop) recovered() {
	if r := recover(); r != nil {
		l.once.Do(func() { l.panicked = r })
	}
}
