package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry says how long a request is tried again. Waits grow from First to Longest,
// each up to half as long again or shorter, so that clients do not ask in step.
type Retry struct {
	First, Longest time.Duration
	Total          time.Duration // of one request, all attempts together
	Stall          time.Duration // an attempt in which nothing moves for so long has failed
}

// DefaultRetry outlasts the restart of a server.
var DefaultRetry = Retry{First: 200 * time.Millisecond, Longest: 10 * time.Second, Total: 90 * time.Second, Stall: 30 * time.Second}

// permanent makes an error that trying again would not mend.
func permanent(err error) error { return backoff.Permanent(err) }

// try calls attempt until it succeeds, its error is one that another attempt does
// not mend, the time is over, or ctx ends. An attempt calls progress when
// something moved.
func (r *Remote) try(ctx context.Context, attempt func(ctx context.Context, progress func()) error) error {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.retry.do(ctx, r.waiting, func(ctx context.Context) error {
		ctx, progress, stop := watch(ctx, r.retry.Stall)
		defer stop()
		return stalled(ctx, attempt(ctx, progress))
	})
}

// fewTries is after how many failed attempts it is told that there are more: a second or so.
const fewTries = 4

// do calls attempt until it succeeds or must not be tried again; waiting, when that takes more than a few.
func (p Retry) do(ctx context.Context, waiting func(failure error), attempt func(ctx context.Context) error) error {
	tries := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		tries++
		err := attempt(ctx)
		if ctx.Err() != nil {
			return struct{}{}, permanent(ctx.Err())
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			return struct{}{}, permanent(err)
		}
		if err != nil && tries == fewTries {
			waiting(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(p.waits()), backoff.WithMaxElapsedTime(p.Total))
	if err != nil && tries > 1 {
		err = fmt.Errorf("%w (tried %d times)", err, tries)
	}
	return err
}

func (p Retry) waits() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.RandomizationFactor, b.Multiplier = p.First, p.Longest, 0.5, 2
	return b
}

// errStalled is why an attempt ended in which nothing moved.
var errStalled = errors.New("nothing moved")

// watch gives a context that ends when progress was not called for the time of
// stall. stop releases it.
func watch(ctx context.Context, stall time.Duration) (watched context.Context, progress, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(fmt.Errorf("%w for %s", errStalled, stall)) })
	return watched, func() { timer.Reset(stall) }, func() { timer.Stop(); cancel(nil) }
}

// stalled is err, or why ctx ended where that is the reason of err.
func stalled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// A progressReader tells when bytes came.
type progressReader struct {
	io.Reader
	progress func()
}

func (r progressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.progress()
	}
	return n, err
}

// A progressFile tells when bytes were taken.
type progressFile struct {
	File
	progress func()
}

func (f progressFile) Read(p []byte) (int, error) {
	f.progress()
	return f.File.Read(p)
}

func (f progressFile) ReadAt(p []byte, at int64) (int, error) {
	f.progress()
	return f.File.ReadAt(p, at)
}
