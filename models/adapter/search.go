package adapter

import (
	"context"
	"math"
	"sync"
)

// A Line is Steps values from From on towards To, which is not among them: From + i·(To − From)/Steps, as the published
// code searches.
type Line struct {
	From, To float64
	Steps    int
}

// Fixed is the line of one value.
func Fixed(value float64) Line { return Line{From: value, To: value, Steps: 1} }

// At is value i.
func (l Line) At(i int) float64 { return float64(i)*(l.To-l.From)/float64(l.Steps) + l.From }

func (l Line) spacing() float64 { return (l.To - l.From) / float64(l.Steps) }

// A Grid is all points of three lines.
type Grid struct{ Beta, Alpha, Gamma Line }

// FixedGrid has p alone.
func FixedGrid(p Point) Grid { return Grid{Fixed(p.Beta), Fixed(p.Alpha), Fixed(p.Gamma)} }

// Size is the number of points.
func (g Grid) Size() int { return g.Beta.Steps * g.Alpha.Steps * g.Gamma.Steps }

// A Found is what a search found.
type Found struct {
	Point   Point
	Correct int   // samples right there
	Counts  []int // samples right at each point: [beta][alpha][gamma]
}

// Search finds the point of a grid at which most samples are right. Of several it is the first that the published code
// tries: beta outside and alpha inside it; for TIP-X alpha, then beta, then gamma. Where no sample is right anywhere,
// the point is 0: the head alone. A sample is right if the first of its largest logits is its label's.
func (a *Adapter) Search(ctx context.Context, g Grid, s Samples) (Found, error) {
	if err := a.check(s.Features); err != nil {
		return Found{}, err
	}
	kl, err := a.klLogits(ctx, s.Features)
	if err != nil {
		return Found{}, err
	}
	counts, mu := make([]int, g.Size()), sync.Mutex{}
	err = a.each(ctx, len(s.Labels), func(i int) {
		var divergence []float64
		if kl != nil {
			divergence = kl[i]
		}
		right := a.right(ctx, a.sample(s.Features, i), divergence, s.Labels[i], g)
		mu.Lock()
		defer mu.Unlock()
		for k, is := range right {
			if is {
				counts[k]++
			}
		}
	})
	return a.first(g, counts), err
}

// Correct is the number of samples that are right at the adapter's own point.
func (a *Adapter) Correct(ctx context.Context, s Samples) (int, error) {
	found, err := a.Search(ctx, FixedGrid(a.Point), s)
	return found.Correct, err
}

// right tells at which points of the grid a sample is right. It ends early with ctx.
func (a *Adapter) right(ctx context.Context, s sample, kl []float64, label int, g Grid) []bool {
	right := make([]bool, 0, g.Size())
	k, base := a.newKernels(s, g.Beta), make([]float64, len(s.zero))
	for range g.Beta.Steps {
		if ctx.Err() != nil {
			return nil
		}
		term := k.term()
		if kl == nil {
			right = leading(s.zero, term, label).mark(right, g.Alpha)
		} else {
			for j := range g.Alpha.Steps {
				for c, v := range term {
					base[c] = s.zero[c] + g.Alpha.At(j)*v
				}
				right = leading(base, kl, label).mark(right, g.Gamma)
			}
		}
		k.advance()
	}
	return right
}

// An interval is the numbers above and below its ends, which belong to it where they are closed.
type interval struct{ above, below, closedAbove, closedBelow float64 }

// leading is where x lets the label's be the first of the largest of base + x·slope: each other class bounds x once,
// with the bound inside if the label comes first. NaN leaves nothing.
func leading(base, slope []float64, label int) interval {
	inf := math.Inf(1)
	in := interval{-inf, inf, -inf, inf}
	for c := range base {
		lead, gain := base[label]-base[c], slope[label]-slope[c]
		switch end := -lead / gain; {
		case gain > 0 && c < label:
			in.above = max(in.above, end)
		case gain > 0:
			in.closedAbove = max(in.closedAbove, end)
		case gain < 0 && c < label:
			in.below = min(in.below, end)
		case gain < 0:
			in.closedBelow = min(in.closedBelow, end)
		case !(lead > 0 || lead == 0 && c >= label) || gain != 0:
			in.above = inf
		}
	}
	return in
}

// mark appends which values of a line are in the interval.
func (in interval) mark(right []bool, l Line) []bool {
	for i := range l.Steps {
		x := l.At(i)
		right = append(right, x > in.above && x < in.below && x >= in.closedAbove && x <= in.closedBelow)
	}
	return right
}

// first is the first of the best points, in the order in which they are tried.
func (a *Adapter) first(g Grid, counts []int) Found {
	found := Found{Counts: counts}
	outer, inner := g.Beta.Steps, g.Alpha.Steps
	if a.Method == TipX {
		outer, inner = inner, outer
	}
	for o := range outer {
		for i := range inner {
			b, j := o, i
			if a.Method == TipX {
				b, j = i, o
			}
			for m := range g.Gamma.Steps {
				if count := counts[(b*g.Alpha.Steps+j)*g.Gamma.Steps+m]; count > found.Correct {
					found.Correct = count
					found.Point = Point{g.Beta.At(b), g.Alpha.At(j), g.Gamma.At(m)}
				}
			}
		}
	}
	return found
}
