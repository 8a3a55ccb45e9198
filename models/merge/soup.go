package merge

import (
	"context"
	"fmt"
	"slices"

	"regft/models/nn"
)

// UniformSoup is the mean of models (Wortsman et al., arXiv 2203.05482), summed in their order.
func UniformSoup(models []nn.Arrays) (nn.Arrays, error) {
	if err := matchAll(first(models), models); err != nil {
		return nil, err
	}
	share := 1 / float64(len(models))
	sum := combine(models[0], models[0], weighted(share, 0))
	for _, m := range models[1:] {
		sum = combine(m, sum, weighted(share, 1))
	}
	return sum, nil
}

// AddIngredient is the mean of n+1 models from soup, that of n, and one more: soup·(n/(n+1)) + model·(1/(n+1)).
func AddIngredient(soup nn.Arrays, n int, model nn.Arrays) (nn.Arrays, error) {
	if err := match(soup, model); err != nil {
		return nil, err
	}
	return combine(soup, model, weighted(float64(n)/float64(n+1), 1/float64(n+1))), nil
}

// GreedySoup is the mean of the ingredients, added one by one with AddIngredient: what Greedy.Choose tried last.
func GreedySoup(ingredients []nn.Arrays) (nn.Arrays, error) {
	if err := matchAll(first(ingredients), ingredients); err != nil {
		return nil, err
	}
	soup := ingredients[0]
	for n, m := range ingredients[1:] {
		var err error
		if soup, err = AddIngredient(soup, n+1, m); err != nil {
			return nil, err
		}
	}
	return soup, nil
}

// Greedy chooses the ingredients of a greedy soup (Wortsman et al., arXiv 2203.05482, recipe 1).
type Greedy struct {
	Model     func(i int) (nn.Arrays, error)                      // reads model i
	Correct   func(ctx context.Context, m nn.Arrays) (int, error) // how many held-out pictures a model gets right
	KeepTies  bool                                                // keeps a model with which as many are right; the published code wants more
	OnAttempt func(Attempt)                                       // is told of each model that is tried; may be nil
}

// An Attempt is one model's, to join the soup.
type Attempt struct {
	Model         int
	Correct, Best int // with the model, and before it
	Kept          bool
}

// Order sorts models by how many pictures each gets right alone, most first; of equal ones the last listed comes
// first, as in the published code.
func (Greedy) Order(alone []int) []int {
	order := make([]int, len(alone))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return alone[i] - alone[j] })
	slices.Reverse(order)
	return order
}

// Choose starts with the model that is best alone, tries the others in Order, and returns those that it keeps, in
// the order in which they joined. Every model must have the first one's parameters.
func (g Greedy) Choose(ctx context.Context, alone []int) ([]int, error) {
	if len(alone) == 0 {
		return nil, matchAll(nil, nil)
	}
	order := g.Order(alone)
	kept, best := order[:1:1], alone[order[0]]
	soup, err := g.Model(kept[0])
	if err != nil {
		return nil, err
	}
	for _, i := range order[1:] {
		trial, correct, err := g.attempt(ctx, soup, len(kept), i)
		if err != nil {
			return nil, fmt.Errorf("trying model %d in the soup: %w", i, err)
		}
		keep := correct > best || g.KeepTies && correct == best
		if g.OnAttempt != nil {
			g.OnAttempt(Attempt{Model: i, Correct: correct, Best: best, Kept: keep})
		}
		if keep {
			kept, soup, best = append(kept, i), trial, correct
		}
	}
	return kept, nil
}

func (g Greedy) attempt(ctx context.Context, soup nn.Arrays, n, i int) (nn.Arrays, int, error) {
	m, err := g.Model(i)
	if err != nil {
		return nil, 0, err
	}
	trial, err := AddIngredient(soup, n, m)
	if err != nil {
		return nil, 0, err
	}
	correct, err := g.Correct(ctx, trial)
	return trial, correct, err
}

func first(models []nn.Arrays) nn.Arrays {
	if len(models) == 0 {
		return nil
	}
	return models[0]
}
