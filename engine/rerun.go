package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"regft/cache"
	"regft/stages"
)

// A Rerun is what a node gave when it ran once more, beside what its record holds.
type Rerun struct {
	Node    *Node
	Was     *cache.Result
	Now     *cache.Result // nil: it failed
	Err     error         // why
	Metrics []Change      // that are farther apart than the tolerance
}

// SameBytes says that the outputs are the same, and all metrics.
func (r Rerun) SameBytes() bool {
	return r.Now != nil && maps.Equal(r.Was.Outputs, r.Now.Outputs) && len(measured(r.Was, r.Now, 0)) == 0
}

// SameClass says that one class of machine computed both: then the bytes must be the same.
func (r Rerun) SameClass() bool { return r.Now != nil && r.Was.Numerics == r.Now.Numerics }

// Agrees says that the record stands: the same bytes, or, from another class of machine, metrics within the tolerance.
func (r Rerun) Agrees() bool {
	return r.SameBytes() || r.Now != nil && !r.SameClass() && len(r.Metrics) == 0
}

// Rerun runs a node of p that has a result once more, on x, whose store is scratch. Metrics differ where they are
// farther apart than tolerance, relative to the larger. The error means that ctx ended, or that scratch cannot be used.
func (p *Plan) Rerun(ctx context.Context, x Executor, scratch *cache.Dir, n *Node, tolerance float64) (Rerun, error) {
	r := Rerun{Node: n, Was: n.Result}
	s := &scheduler{plan: p, ctx: ctx}
	j := newJob(n)
	j.cores = ThisMachine().Cores
	t, err := s.task(j)
	if err == nil {
		if err = lend(ctx, p.store, scratch, t); err == nil {
			r.Now, err = x.Do(ctx, t)
		}
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if r.Err = err; err == nil {
		r.Metrics = measured(r.Was, r.Now, tolerance)
	}
	return r, nil
}

// lend links what t reads into scratch: outputs may name files of the inputs.
func lend(ctx context.Context, from, scratch *cache.Dir, t Task) error {
	artifacts := slices.Collect(maps.Values(t.Sources))
	for _, bound := range t.Type.Inputs(t.Runner) {
		artifacts = append(artifacts, bound.Input.Parts...)
	}
	var paths []string
	for _, a := range artifacts {
		more, err := filesOf(ctx, from, a)
		if err != nil {
			return err
		}
		paths = append(paths, more...)
	}
	_, err := scratch.LinkAll(ctx, paths)
	return err
}

// filesOf are the files that hold an artifact. A value has none.
func filesOf(ctx context.Context, store *cache.Dir, a stages.Artifact) ([]string, error) {
	var paths []string
	for _, f := range a.Manifest.Files {
		path, err := store.Path(ctx, f.Digest)
		if errors.Is(err, cache.ErrMiss) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lending %s: %w", f.Name, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// measured are the metrics that differ by more than a tolerance.
func measured(was, now *cache.Result, tolerance float64) []Change {
	a, b := flatten("", cache.EncodeMetrics(was.Metrics)), flatten("", cache.EncodeMetrics(now.Metrics))
	return slices.DeleteFunc(changes(a, b), func(c Change) bool { return near(c.Was, c.Now, tolerance) })
}

func near(was, now string, tolerance float64) bool {
	a, errA := strconv.ParseFloat(was, 64)
	b, errB := strconv.ParseFloat(now, 64)
	return errA == nil && errB == nil && math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}
