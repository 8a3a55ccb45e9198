package sd

import (
	"context"
	"iter"
	"sync"
)

// outcome is what became of one piece of work.
type outcome[T any] struct {
	value T
	err   error
}

// inOrder yields f of each item in the items' order while up to workers goroutines compute ahead. When the loop
// over it ends, they have ended too.
func inOrder[In, Out any](ctx context.Context, items []In, workers int, f func(context.Context, In) (Out, error)) iter.Seq[outcome[Out]] {
	return func(yield func(outcome[Out]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		next, done := make(chan int), make([]chan outcome[Out], len(items))
		for i := range done {
			done[i] = make(chan outcome[Out], 1)
		}
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		running.Go(func() { count(ctx, len(items), next) })
		for range min(workers, len(items)) {
			running.Go(func() {
				for i := range next {
					value, err := f(ctx, items[i])
					done[i] <- outcome[Out]{value, err}
				}
			})
		}
		for _, result := range done {
			select {
			case out := <-result:
				if !yield(out) {
					return
				}
			case <-ctx.Done():
				var none Out
				yield(outcome[Out]{none, ctx.Err()})
				return
			}
		}
	}
}

// count sends 0 … n-1 until ctx is done, and closes.
func count(ctx context.Context, n int, to chan<- int) {
	defer close(to)
	for i := range n {
		select {
		case to <- i:
		case <-ctx.Done():
			return
		}
	}
}
