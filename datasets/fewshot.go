package datasets

import (
	"context"
	"errors"
	"fmt"

	"regft/datasets/python"
)

// mostForValidation is how many pictures of a class CoOp takes for validation at most.
const mostForValidation = 4

// coopShots keeps the pictures of a few-shot subset as CoOp draws it (Dassl's generate_fewshot_dataset after random.seed): class by class,
// in the order in which classes first occur, random.sample of the published order; of a class with fewer, all and no draw.
// The training pictures come first, and those for validation, at most four of a class, go on with the same generator. It is done before
// classes are chosen, so that a part of the classes has the pictures that they have in the whole.
func (l *Listing) coopShots(ctx context.Context, reader Reader, r Request) error {
	switch {
	case r.Shots < 1:
		return errors.New("CoOp's subsets need shots")
	case r.Skip != 0:
		return errors.New("skip is for nested subsets: CoOp's have none")
	case r.Split == "test":
		return errors.New("CoOp draws subsets of train and val: it tests on all pictures")
	}
	random := python.NewRandom(r.Seed)
	shots := r.Shots
	if r.Split == "val" {
		train := r
		train.Split = "train"
		before, err := reader.List(ctx, train)
		if err != nil {
			return fmt.Errorf("CoOp draws the subset of val after that of train: %w", err)
		}
		before.draw(random, shots)
		shots = min(shots, mostForValidation)
	}
	l.draw(random, shots)
	return nil
}

// draw keeps k pictures of each class.
func (l *Listing) draw(random *python.Random, k int) {
	byClass := l.byClass()
	var kept []Sample
	for _, s := range l.Samples {
		samples := byClass[s.Label]
		byClass[s.Label] = nil // the first of its class draws
		if len(samples) >= k {
			samples = python.Sample(random, samples, k)
		}
		kept = append(kept, samples...)
	}
	l.Samples = kept
}
