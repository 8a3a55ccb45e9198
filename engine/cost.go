package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regft/cache"
	"regft/stages"

	"github.com/dustin/go-humanize"
)

// A Cost is what a plan's work is expected to take, by what equal stages took and made before: of each stage the mean
// of its nodes that are there, else of its type, else of its stage in the last run, by the scale of each (stages.Scaler).
type Cost struct {
	Run        time.Duration `json:"run_ns"`    // of nodes that run, one after the other
	RunBytes   int64         `json:"run_bytes"` // of their results
	Maybe      time.Duration `json:"maybe_ns"`  // of those that may be spared
	MaybeBytes int64         `json:"maybe_bytes"`
	Unmeasured int           `json:"unmeasured"` // nodes that nothing is known for
}

// Cost estimates p's work.
func (p *Plan) Cost(ctx context.Context) (Cost, error) { return p.costOf(ctx, p.Nodes, p) }

// costOf estimates the work of some of p's nodes, by the results that plans found.
func (p *Plan) costOf(ctx context.Context, nodes []*Node, plans ...*Plan) (Cost, error) {
	var c Cost
	if !slices.ContainsFunc(nodes, (*Node).willRun) {
		return c, nil
	}
	var durations, sizes estimates
	for _, q := range plans {
		durations = append(durations, q.durations(), q.options.Last.durations())
		more, err := q.sizes(ctx)
		if err != nil {
			return c, err
		}
		sizes = append(sizes, more...)
	}
	for _, n := range nodes {
		if n.willRun() {
			c.add(n, durations, sizes)
		}
	}
	return c, nil
}

func (c *Cost) add(n *Node, durations, sizes estimates) {
	s, known := durations.of(n)
	if n.Result != nil {
		s, known = n.Result.Seconds, true
	}
	if !known {
		c.Unmeasured++
		return
	}
	took, made := &c.Run, &c.RunBytes
	if n.State != Work {
		took, made = &c.Maybe, &c.MaybeBytes
	}
	bytes, _ := sizes.of(n)
	if scale := scaleOf(n.runner); n.Result == nil && scale != (Scale{}) {
		s, bytes = s*scale.Time, bytes*scale.Size
	}
	*took += time.Duration(s * float64(time.Second))
	*made += int64(bytes)
}

// estimates are means by the names of stages and of stage types, the better first.
type estimates []means

// of is the mean of n's stage, else of its type.
func (e estimates) of(n *Node) (float64, bool) {
	scale := scaleOf(n.runner)
	for _, m := range e {
		for _, name := range []string{scale.stage(n.Stage().Name), scale.typ(n.Type.Name)} {
			if x := m[name]; x.n > 0 {
				return x.sum / x.n, true
			}
		}
	}
	return 0, false
}

// The keys of means: stages and types may have one name, and what is counted by a scale is apart from what is not, as in
// records of a version in which the type had none.
func (s Scale) stage(name string) string { return s.word() + "stage " + name }
func (s Scale) typ(name string) string   { return s.word() + "type " + name }

func (s Scale) word() string {
	if s == (Scale{}) {
		return ""
	}
	return "scaled "
}

// by is x for each of so many units, x itself without a scale.
func by(x, units float64) float64 {
	if units == 0 {
		return x
	}
	return x / units
}

// A Scale is how the time that a node takes and the size of what it makes grow with its parameters, in units of its stage
// type. The zero value is that of a type that has none.
type Scale struct {
	Time float64 `json:"time"`
	Size float64 `json:"size"`
}

func scaleOf(r stages.Runner) Scale {
	s, ok := r.(stages.Scaler)
	if !ok {
		return Scale{}
	}
	time, size := s.Scale()
	return Scale{max(time, 1e-9), max(size, 1e-9)}
}

// durations are what p's results took, for each unit of their scale.
func (p *Plan) durations() means {
	out := means{}
	for _, n := range p.Nodes {
		if n.Result != nil {
			scale := scaleOf(n.runner)
			seconds := by(n.Result.Seconds, scale.Time)
			out.add(scale.stage(n.Stage().Name), seconds, 1-n.Result.Reused)
			out.add(scale.typ(n.Type.Name), seconds, 1-n.Result.Reused)
		}
	}
	return out
}

// maxMeasured is how many results of a stage are looked at for their sizes.
const maxMeasured = 8

// sizes are those of some of p's results, and of the last run's, for each unit of their scale.
func (p *Plan) sizes(ctx context.Context) (estimates, error) {
	now, before := means{}, means{}
	for _, n := range p.Nodes {
		if n.Result == nil {
			continue
		}
		scale := scaleOf(n.runner)
		if now[scale.stage(n.Stage().Name)].n >= maxMeasured {
			continue
		}
		if err := p.addSize(ctx, now, n.Stage().Name, n.Type.Name, n.Result, scale); err != nil {
			return nil, err
		}
	}
	if p.options.Last == nil {
		return estimates{now}, nil
	}
	last, err := p.options.Last.Plan()
	if err != nil {
		return estimates{now}, nil // an estimate is less exact without
	}
	for _, n := range last.Nodes {
		if len(n.Outputs) == 0 || before[n.Scale.stage(n.Stage)].n >= maxMeasured {
			continue
		}
		r, err := p.store.Result(ctx, n.Action)
		if err == nil {
			err = p.addSize(ctx, before, n.Stage, n.Uses, r, n.Scale)
		}
		if err := ignoreMiss(err); err != nil {
			return nil, err
		}
	}
	return estimates{now, before}, nil
}

// addSize adds the size of what one result has beyond its inputs, if the manifests are there: an ensemble is a recipe over
// the weights of its parents, and takes no room for them.
func (p *Plan) addSize(ctx context.Context, to means, stage, uses string, r *cache.Result, scale Scale) error {
	there := map[cache.Digest]bool{}
	for field, text := range fields(keyLines(r)) {
		digest, err := cache.ParseDigest(text)
		if !strings.HasPrefix(field, "input ") || err != nil {
			continue
		}
		m, err := p.store.Manifest(ctx, digest)
		if err != nil {
			continue // then it is counted
		}
		for _, f := range m.Files {
			there[f.Digest] = true
		}
	}
	var total int64
	for _, digest := range r.Outputs {
		m, err := p.store.Manifest(ctx, digest)
		if errors.Is(err, cache.ErrMiss) || isLinkError(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("measuring a result of %s: %w", stage, err)
		}
		for _, f := range m.Files {
			if !there[f.Digest] {
				total += f.Size
			}
		}
	}
	to.add(scale.stage(stage), by(float64(total), scale.Size), 1)
	to.add(scale.typ(uses), by(float64(total), scale.Size), 1)
	return nil
}

// means are sums and counts by name.
type means map[string]mean

// A mean counts a node of which a part was there already as the rest of one.
type mean struct{ sum, n float64 }

func (m means) add(name string, value, n float64) {
	x := m[name]
	m[name] = mean{x.sum + value, x.n + n}
}

// mostMeasured is how many earlier runs are looked at for what a stage took.
const mostMeasured = 10

// durations are what the nodes of a past run took, by stage; those of a stage that it did not measure are of an earlier
// run of the same name.
func (p *Past) durations() means {
	out := means{}
	if p == nil {
		return out
	}
	ids := p.earlier()
	open := out.addRun(p)
	for k := 0; k < min(len(ids), mostMeasured) && open; k++ {
		before, err := OpenRun("", filepath.Join(filepath.Dir(p.Dir), ids[k]))
		if err != nil {
			continue // what is no run
		}
		added := means{}
		added.addRun(before)
		open = false
		for name, x := range out {
			if x.n == 0 {
				out[name] = added[name]
				open = open || added[name].n == 0
			}
		}
	}
	return out
}

// addRun adds what the nodes of a run took. open says that of some stage nothing was measured.
func (m means) addRun(p *Past) (open bool) {
	plan, err := p.Plan()
	if err != nil {
		return false // an estimate is less exact without
	}
	for _, n := range plan.Nodes {
		seconds, share := 0.0, 0.0
		if n.State == Done || n.State == Hit {
			seconds, share = n.Seconds, 1-n.Reused
		}
		m.add(n.Scale.stage(n.Stage), by(seconds, n.Scale.Time), share)
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(m)), func(x mean) bool { return x.n == 0 })
}

// String is c in words, "" where nothing runs.
func (c Cost) String() string {
	var parts []string
	if c.Run > 0 {
		parts = append(parts, "about "+round(c.Run).String()+" of work"+making(c.RunBytes))
	}
	if c.Maybe > 0 {
		parts = append(parts, "about "+round(c.Maybe).String()+" that may be spared"+making(c.MaybeBytes))
	}
	if c.Unmeasured > 0 {
		parts = append(parts, fmt.Sprintf("nodes never measured: %d", c.Unmeasured))
	}
	return strings.Join(parts, "; ")
}

// making says how much is made.
func making(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return ", making " + humanize.IBytes(uint64(bytes))
}

// round keeps two figures or so.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Hour:
		return d.Round(time.Minute)
	case d > time.Second:
		return d.Round(time.Second)
	}
	return max(d.Round(time.Millisecond), time.Millisecond)
}
