package merge

import (
	"regft/models/nn"
)

// TaskArithmetic is base + lambda·Σ (model − base) (Ilharco et al., arXiv 2212.04089). A negative lambda unlearns.
func TaskArithmetic(base nn.Arrays, models []nn.Arrays, lambda float64) (nn.Arrays, error) {
	if err := matchAll(base, models); err != nil {
		return nil, err
	}
	return apply(base, sum(taskVectors(base, models)), lambda), nil
}

// EMA is the exponential moving average that a run has after passing by models: e = base, then
// e = decay·e + (1 − decay)·model for each, as torch.optim.swa_utils.get_ema_avg_fn.
func EMA(base nn.Arrays, models []nn.Arrays, decay float64) (nn.Arrays, error) {
	if err := matchAll(base, models); err != nil {
		return nil, err
	}
	average := base
	for _, m := range models {
		average = combine(average, m, weighted(decay, 1-decay))
	}
	return average, nil
}

// taskVectors are model − base for each model.
func taskVectors(base nn.Arrays, models []nn.Arrays) []nn.Arrays {
	vectors := make([]nn.Arrays, len(models))
	for i, m := range models {
		vectors[i] = combine(m, base, func(x, y float32) float32 { return x - y })
	}
	return vectors
}

// sum adds vectors in their order, into a new one.
func sum(vectors []nn.Arrays) nn.Arrays {
	total := combine(vectors[0], vectors[0], func(x, _ float32) float32 { return x })
	for _, v := range vectors[1:] {
		total = combine(total, v, func(x, y float32) float32 { return x + y })
	}
	return total
}

// apply is base + lambda·vector.
func apply(base, vector nn.Arrays, lambda float64) nn.Arrays {
	return combine(base, vector, weighted(1, lambda))
}
