package engine

import (
	"fmt"
	"strings"
	"time"
)

// A Cost is what a plan's work is expected to take, by what equal stages took before: of each stage the mean of its
// nodes that are there, else of its type, else of its stage in the last run.
type Cost struct {
	Run        time.Duration // of nodes that run, one after the other
	Maybe      time.Duration // of those that may be spared
	Unmeasured int           // nodes that nothing is known for
}

// Cost estimates p's work.
func (p *Plan) Cost() Cost {
	byStage, byType := means{}, means{}
	for _, n := range p.Nodes {
		if n.Result != nil {
			byStage.add(n.Stage().Name, n.Result.Seconds)
			byType.add(n.Type.Name, n.Result.Seconds)
		}
	}
	var last means
	var c Cost
	for _, n := range p.Nodes {
		if !n.willRun() {
			continue
		}
		if last == nil {
			last = p.options.Last.durations()
		}
		d, known := firstKnown(n, byStage, byType, last)
		switch {
		case !known:
			c.Unmeasured++
		case n.State == Work:
			c.Run += d
		default:
			c.Maybe += d
		}
	}
	return c
}

func firstKnown(n *Node, byStage, byType, last means) (time.Duration, bool) {
	if n.Result != nil {
		return seconds(n.Result.Seconds), true
	}
	for _, try := range []struct {
		of   means
		name string
	}{{byStage, n.Stage().Name}, {byType, n.Type.Name}, {last, n.Stage().Name}} {
		if m, ok := try.of[try.name]; ok {
			return seconds(m.sum / float64(m.n)), true
		}
	}
	return 0, false
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// means are the sums and counts of durations by name.
type means map[string]mean

type mean struct {
	sum float64
	n   int
}

func (m means) add(name string, seconds float64) {
	x := m[name]
	m[name] = mean{x.sum + seconds, x.n + 1}
}

// durations are what the nodes of a past run took, by stage.
func (p *Past) durations() means {
	out := means{}
	if p == nil {
		return out
	}
	plan, err := p.Plan()
	if err != nil {
		return out // an estimate is less exact without
	}
	for _, n := range plan.Nodes {
		if n.State == Done || n.State == Hit {
			out.add(n.Stage, n.Seconds)
		}
	}
	return out
}

// String is c in words, "" where nothing runs.
func (c Cost) String() string {
	var parts []string
	if c.Run > 0 {
		parts = append(parts, "about "+round(c.Run).String()+" of work")
	}
	if c.Maybe > 0 {
		parts = append(parts, "about "+round(c.Maybe).String()+" that may be spared")
	}
	if c.Unmeasured > 0 {
		parts = append(parts, fmt.Sprintf("nodes never measured: %d", c.Unmeasured))
	}
	return strings.Join(parts, "; ")
}

// round keeps two figures or so.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Hour:
		return d.Round(time.Minute)
	case d > time.Second:
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}
