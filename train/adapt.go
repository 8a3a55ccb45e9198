package train

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"

	"regft/models/adapter"
	"regft/models/nn"
)

// Shots are a set of labelled pictures whose features keys are trained on.
type Shots struct {
	Labels   []int
	Features func(ctx context.Context, epoch int) ([]nn.Array, error) // unit, [n, dim], one for each branch
	Order    func(epoch int) []int
}

// An Adaptation makes an adapter's free choices: it trains the keys where the method does, chooses the epoch, and
// searches beta, alpha and gamma on the validation samples with the keys that are then used.
//
// An epoch is all batches of the real shots, then all of the generated ones. The chosen epoch is the first with the
// most validation samples right at the adapter's own point; without validation it is the last.
//
// Published repeats the published code: the epoch is the first best on the test samples, where there are any; CaFo's
// cosine ends after the batches of the real shots, though it goes on for the generated ones, and rises again; CaFo's
// search has the keys of the last epoch, whatever keys are used; TIP-X's divergences are scaled to the range of the
// validation set's affinities.
type Adaptation struct {
	Backend      compute.Backend
	LearningRate float64
	WeightDecay  float64
	Epsilon      float64
	Epochs       int
	BatchSize    int
	Shots        []Shots // real ones, then generated ones
	Validation   *adapter.Samples
	Test         *adapter.Samples // counted after every epoch; Published chooses by it
	Grid         adapter.Grid     // searched where it has several points
	Stepped      func(KeyRecord)  // called after every step
}

// An Adapted is what an Adaptation chose.
type Adapted struct {
	Epoch             int   // chosen, from 0; 0 where nothing is trained
	ValidationCorrect []int // after each epoch
	TestCorrect       []int // after each epoch
	Found             adapter.Found
	Last              []nn.Array // keys after the last step
}

// Run changes a's keys and point.
func (r Adaptation) Run(ctx context.Context, a *adapter.Adapter) (Adapted, error) {
	if err := a.Validate(); err != nil {
		return Adapted{}, err
	}
	done := Adapted{Last: a.Keys}
	if a.Method.Trains() {
		if err := r.train(ctx, a, &done); err != nil {
			return done, err
		}
	}
	return done, r.search(ctx, a, &done)
}

// search finds the point.
func (r Adaptation) search(ctx context.Context, a *adapter.Adapter, done *Adapted) error {
	if r.Validation == nil {
		return nil
	}
	if a.Method == adapter.TipX && a.Published {
		target, err := a.Affinities(ctx, r.Validation.Features[0])
		if err != nil {
			return err
		}
		a.Target = &target
	}
	searched := *a
	if a.Method == adapter.CaFo && a.Published {
		searched.Keys = done.Last
	}
	grid := r.Grid
	if grid.Size() <= 1 {
		grid = adapter.FixedGrid(a.Point)
	}
	var err error
	if done.Found, err = searched.Search(ctx, grid, *r.Validation); err != nil {
		return fmt.Errorf("searching beta and alpha: %w", err)
	}
	if grid.Size() > 1 {
		a.Point = done.Found.Point
	}
	return nil
}

// train trains the keys and leaves a with those of the chosen epoch.
func (r Adaptation) train(ctx context.Context, a *adapter.Adapter, done *Adapted) error {
	t, err := NewKeyTrainer(r.Backend, a, KeyOptions{
		Steps: r.Epochs * r.scheduled(a), LearningRate: r.LearningRate, WeightDecay: r.WeightDecay, Epsilon: r.Epsilon,
	})
	if err != nil {
		return err
	}
	defer t.Close()
	chosen, best := a.Keys, -1
	for epoch := range r.Epochs {
		for _, shots := range r.Shots {
			if err := r.epoch(ctx, t, shots, epoch); err != nil {
				return err
			}
		}
		if done.Last, err = t.Keys(); err != nil {
			return err
		}
		score, err := r.score(ctx, t, done)
		if err != nil {
			return err
		}
		if score > best || r.chooser(a) == nil {
			chosen, best, done.Epoch = done.Last, score, epoch
		}
	}
	a.Keys = chosen
	return nil
}

// scheduled is how many steps of an epoch the cosine counts.
func (r Adaptation) scheduled(a *adapter.Adapter) int {
	steps := 0
	for i, shots := range r.Shots {
		if i == 0 || !a.Published {
			steps += (len(shots.Labels) + r.BatchSize - 1) / r.BatchSize
		}
	}
	return steps
}

// chooser is what the epoch is chosen on, nil for nothing.
func (r Adaptation) chooser(a *adapter.Adapter) *adapter.Samples {
	if a.Published && r.Test != nil {
		return r.Test
	}
	return r.Validation
}

// score counts the right samples after an epoch; it returns the count that the epoch is chosen by.
func (r Adaptation) score(ctx context.Context, t *KeyTrainer, done *Adapted) (score int, err error) {
	for _, set := range []struct {
		samples *adapter.Samples
		counts  *[]int
	}{{r.Validation, &done.ValidationCorrect}, {r.Test, &done.TestCorrect}} {
		if set.samples == nil {
			continue
		}
		correct, err := t.Correct(ctx, *set.samples)
		if err != nil {
			return 0, err
		}
		*set.counts = append(*set.counts, correct)
		if set.samples == r.chooser(t.adapter) {
			score = correct
		}
	}
	return score, nil
}

// epoch trains on one set of shots.
func (r Adaptation) epoch(ctx context.Context, t *KeyTrainer, shots Shots, epoch int) error {
	features, err := shots.Features(ctx, epoch)
	if err != nil {
		return err
	}
	order := shots.Order(epoch)
	for begin := 0; begin < len(order); begin += r.BatchSize {
		batch := order[begin:min(begin+r.BatchSize, len(order))]
		labels := make([]int32, len(batch))
		for k, i := range batch {
			labels[k] = int32(shots.Labels[i])
		}
		picked := make([]nn.Array, len(features))
		for b, f := range features {
			picked[b] = pick(f, batch)
		}
		record, err := t.Step(ctx, picked, labels)
		if err != nil {
			return err
		}
		r.Stepped(record)
	}
	return nil
}

// pick takes rows of [n, dim].
func pick(rows nn.Array, order []int) nn.Array {
	dim := rows.Shape[1]
	out := nn.Array{Shape: []int{len(order), dim}, Values: make([]float32, 0, len(order)*dim)}
	for _, i := range order {
		out.Values = append(out.Values, rows.Values[i*dim:(i+1)*dim]...)
	}
	return out
}
