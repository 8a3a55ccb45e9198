// Package adapter holds the adapters that put a cache of a few labelled pictures under a frozen classifier:
// Tip-Adapter and Tip-Adapter-F (Zhang et al., arXiv 2207.09519), TIP-X (Udandarao et al., arXiv 2211.16198) and CaFo
// (Zhang et al., arXiv 2303.02151), as their published code computes them.
//
// Features and keys are rows of float32 numbers, [n, dim]; all that is computed from them on the host is float64. The
// zero-shot logits of the papers, 100·f·W, are those of the classifier's head, whose weight is 100·Wᵀ when it was made
// from a published CLIP. Training the keys (package train) needs the same equations as a graph: LogitsGraph.
package adapter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"regft/models/nn"
)

// A Method is one of the adapters.
type Method string

// The adapters.
const (
	Tip  Method = "tip"   // Tip-Adapter, free of training
	TipF Method = "tip_f" // Tip-Adapter-F: its keys are trained
	TipX Method = "tip_x" // TIP-X: affinities of text signatures beside those of features
	CaFo Method = "cafo"  // CaFo: trained keys in two encoders' spaces
)

// Trains tells whether the keys are trained.
func (m Method) Trains() bool { return m == TipF || m == CaFo }

// Branches is the number of encoders.
func (m Method) Branches() int {
	if m == CaFo {
		return 2
	}
	return 1
}

// headScale is what the papers multiply cosines by; a head's logits divided by it are cosines.
const headScale = 100

// A Head is the classifier's: logits f·Weightᵀ + Bias of unit features f.
type Head struct {
	Weight nn.Array // [classes, dim]
	Bias   []float32
}

// A Point is the hyper-parameters of the logits: those of the head + Gamma · TIP-X's + Alpha · the cache's, whose
// affinities have sharpness Beta.
type Point struct {
	Beta  float64 `json:"beta"`
	Alpha float64 `json:"alpha"`
	Gamma float64 `json:"gamma"`
}

// An Adapter is a cache of labelled keys over a classifier's head.
type Adapter struct {
	Method      Method
	Head        Head
	Keys        []nn.Array // [entries, dim], one for each branch: the classifier's encoder, then CaFo's second one
	Labels      []int      // of the entries
	Point       Point
	Temperature float64 // of TIP-X's signatures, or of CaFo's weights of branches
	Published   bool    // repeat what the published code does unlike its paper (see Divergences)
	Target      *Range  // to which TIP-X's divergences are scaled; nil: the affinities of the samples in question
	Workers     int     // samples at once; 0 is one for each core
}

// Samples are unit features, [n, dim], one for each branch, with their labels.
type Samples struct {
	Features []nn.Array
	Labels   []int
}

// Classes is the number of classes.
func (a *Adapter) Classes() int { return len(a.Head.Bias) }

// Validate tells what no adapter can be.
func (a *Adapter) Validate() error {
	if len(a.Keys) != a.Method.Branches() {
		return fmt.Errorf("%s has keys of %d encoders, it needs %d", a.Method, len(a.Keys), a.Method.Branches())
	}
	if a.Method == CaFo && a.Classes() < 2 {
		return errors.New("cafo compares classes: it needs at least two")
	}
	if (a.Method == CaFo || a.Method == TipX) && !(a.Temperature > 0) {
		return fmt.Errorf("the temperature of %s is %g, expected more than 0", a.Method, a.Temperature)
	}
	for _, keys := range a.Keys {
		if len(keys.Shape) != 2 || keys.Shape[0] != len(a.Labels) || len(a.Labels) == 0 {
			return fmt.Errorf("keys of shape %v for %d labels", keys.Shape, len(a.Labels))
		}
	}
	for i, label := range a.Labels {
		if label < 0 || label >= a.Classes() {
			return fmt.Errorf("cache entry %d has label %d, the classifier has %d classes", i, label, a.Classes())
		}
	}
	return nil
}

// check compares the features with the keys.
func (a *Adapter) check(features []nn.Array) error {
	if err := a.Validate(); err != nil {
		return err
	}
	if len(features) != len(a.Keys) {
		return fmt.Errorf("features of %d encoders for an adapter of %d", len(features), len(a.Keys))
	}
	for b, f := range features {
		if len(f.Shape) != 2 || f.Shape[1] != a.Keys[b].Shape[1] || f.Shape[0] != features[0].Shape[0] {
			return fmt.Errorf("features of shape %v for keys of shape %v", f.Shape, a.Keys[b].Shape)
		}
	}
	return nil
}

// Logits are the adapter's answers to unit features [n, dim], one array for each branch: [n, classes].
func (a *Adapter) Logits(ctx context.Context, features []nn.Array) ([]float32, error) {
	if err := a.check(features); err != nil {
		return nil, err
	}
	kl, err := a.klLogits(ctx, features)
	if err != nil {
		return nil, err
	}
	classes := a.Classes()
	logits := make([]float32, features[0].Shape[0]*classes)
	err = a.each(ctx, features[0].Shape[0], func(i int) {
		s := a.sample(features, i)
		term := a.newKernels(s, Fixed(a.Point.Beta)).term()
		for c := range classes {
			x := s.zero[c] + a.Point.Alpha*term[c]
			if kl != nil {
				x += a.Point.Gamma * kl[i][c]
			}
			logits[i*classes+c] = float32(x)
		}
	})
	return logits, err
}

// A sample is what beta, alpha and gamma do not touch.
type sample struct {
	zero       []float64   // logits of the head
	affinities [][]float64 // cosines to the keys of each branch
}

func (a *Adapter) sample(features []nn.Array, i int) sample {
	s := sample{zero: a.Head.logits(row(features[0], i))}
	for b, keys := range a.Keys {
		s.affinities = append(s.affinities, products(row(features[b], i), keys))
	}
	return s
}

func (h Head) logits(f []float32) []float64 {
	logits := products(f, h.Weight)
	for c := range logits {
		logits[c] += float64(h.Bias[c])
	}
	return logits
}

// each calls do for every sample, several at a time.
func (a *Adapter) each(ctx context.Context, n int, do func(i int)) error {
	workers := a.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(workers, n) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// MeanKeys are the keys of a cache: for each entry, the mean of its features over the passes, each [entries, dim] and
// as the encoder gives them, divided by its length only then.
func MeanKeys(passes []nn.Array) nn.Array {
	mean := nn.Array{Shape: passes[0].Shape, Values: make([]float32, len(passes[0].Values))}
	for i := range mean.Values {
		sum := 0.0
		for _, pass := range passes {
			sum += float64(pass.Values[i])
		}
		mean.Values[i] = float32(sum / float64(len(passes)))
	}
	return Unit(mean)
}

// Unit divides each row by its length, as 0 stays 0.
func Unit(rows nn.Array) nn.Array {
	unit := nn.Array{Shape: rows.Shape, Values: make([]float32, 0, len(rows.Values))}
	for i := range rows.Shape[0] {
		r := row(rows, i)
		length := max(math.Sqrt(dot(r, r)), math.SmallestNonzeroFloat32)
		for _, x := range r {
			unit.Values = append(unit.Values, float32(float64(x)/length))
		}
	}
	return unit
}

// Join puts rows under rows.
func Join(parts ...nn.Array) nn.Array {
	joined := nn.Array{Shape: []int{0, parts[0].Shape[1]}}
	for _, part := range parts {
		joined.Shape[0] += part.Shape[0]
		joined.Values = append(joined.Values, part.Values...)
	}
	return joined
}

func row(rows nn.Array, i int) []float32 {
	dim := rows.Shape[1]
	return rows.Values[i*dim : (i+1)*dim]
}

// products are the products of f with each row.
func products(f []float32, rows nn.Array) []float64 {
	out := make([]float64, rows.Shape[0])
	for j := range out {
		out[j] = dot(f, row(rows, j))
	}
	return out
}

// dot has four sums, for four additions at a time.
func dot[T float32 | float64](x, y []T) float64 {
	var s0, s1, s2, s3 float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += float64(x[i]) * float64(y[i])
		s1 += float64(x[i+1]) * float64(y[i+1])
		s2 += float64(x[i+2]) * float64(y[i+2])
		s3 += float64(x[i+3]) * float64(y[i+3])
	}
	for ; i < len(x); i++ {
		s0 += float64(x[i]) * float64(y[i])
	}
	return s0 + s1 + s2 + s3
}
