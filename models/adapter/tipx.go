package adapter

import (
	"context"
	"fmt"
	"math"
	"sync"

	"regft/models/nn"
)

// A Range is the smallest and the largest of some numbers.
type Range struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

func emptyRange() Range { return Range{math.Inf(1), math.Inf(-1)} }

func (r *Range) include(values ...float64) {
	for _, v := range values {
		r.Min, r.Max = min(r.Min, v), max(r.Max, v)
	}
}

// block is how many samples the published code takes at a time; what is left over at the end it leaves out.
const block = 100

// Affinities is the range of the cosines of unit features to the keys.
func (a *Adapter) Affinities(ctx context.Context, features nn.Array) (Range, error) {
	all, mu := emptyRange(), sync.Mutex{}
	err := a.each(ctx, features.Shape[0], func(i int) {
		affinities := products(row(features, i), a.Keys[0])
		mu.Lock()
		defer mu.Unlock()
		all.include(affinities...)
	})
	return all, err
}

// klLogits are TIP-X's second term, [n][classes], nil for other methods: −D·V for the divergences D of all samples from
// all entries, rescaled so that they span Target, or else the range of the samples' affinities.
//
// The published code leaves the divergences of the samples after the last whole hundred at 0, and scales those of the
// test set to the affinities of the validation set, which is then Target.
func (a *Adapter) klLogits(ctx context.Context, features []nn.Array) ([][]float64, error) {
	if a.Method != TipX {
		return nil, nil
	}
	n := features[0].Shape[0]
	if a.Published && n < block {
		return nil, fmt.Errorf("the published TIP-X gives NaN for fewer than %d samples, these are %d: leave compat: published out, or add pictures", block, n)
	}
	sums, span, err := a.divergenceSums(ctx, features[0])
	if err != nil {
		return nil, err
	}
	target := a.Target
	if target == nil {
		own, err := a.Affinities(ctx, features[0])
		if err != nil {
			return nil, err
		}
		target = &own
	}
	counts := make([]float64, a.Classes())
	for _, label := range a.Labels {
		counts[label]++
	}
	scale := (target.Max - target.Min) / (span.Max - span.Min)
	for _, s := range sums {
		for c := range s {
			s[c] = -((s[c]-counts[c]*span.Min)*scale + counts[c]*target.Min)
		}
	}
	return sums, nil
}

// divergenceSums are the sums of the divergences over the entries of each class, [n][classes]: rescaling is affine, so
// that they are all it takes. span is the range of the divergences themselves.
func (a *Adapter) divergenceSums(ctx context.Context, features nn.Array) (sums [][]float64, span Range, err error) {
	support := make([][]float64, len(a.Labels))
	for j := range support {
		support[j] = a.signature(row(a.Keys[0], j))
	}
	sums, span = make([][]float64, features.Shape[0]), emptyRange()
	whole := len(sums)
	if a.Published {
		whole -= whole % block
	}
	mu := sync.Mutex{}
	err = a.each(ctx, len(sums), func(i int) {
		sums[i] = make([]float64, a.Classes())
		d := make([]float64, len(support))
		if i < whole {
			d = divergences(a.signature(row(features, i)), support)
		}
		for j, label := range a.Labels {
			sums[i][label] += d[j]
		}
		mu.Lock()
		defer mu.Unlock()
		span.include(d...)
	})
	return sums, span, err
}

// signature is the logarithm of softmax(cosines to the class texts / temperature).
func (a *Adapter) signature(f []float32) []float64 {
	cosines := a.Head.logits(f)
	for c := range cosines {
		cosines[c] /= headScale * a.Temperature
	}
	return logSoftmax(cosines)
}

// divergences are KL(p ‖ q) of one distribution from each of the support's, all as logarithms.
func divergences(logP []float64, support [][]float64) []float64 {
	p := make([]float64, len(logP))
	for c, l := range logP {
		p[c] = math.Exp(l)
	}
	negentropy, d := dot(p, logP), make([]float64, len(support))
	for j, logQ := range support {
		d[j] = negentropy - dot(p, logQ)
	}
	return d
}
