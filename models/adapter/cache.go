package adapter

import "math"

// kernels are one sample's weights of the cache's entries, exp(−beta·(1 − affinity)), for one beta of a line after the
// other: each is the one before times a ratio that the line's spacing gives.
type kernels struct {
	adapter *Adapter
	zero    []float64
	weights [][]float64 // of each branch, [entries]
	ratios  [][]float64
}

func (a *Adapter) newKernels(s sample, beta Line) *kernels {
	k := &kernels{adapter: a, zero: s.zero}
	for _, affinities := range s.affinities {
		k.weights = append(k.weights, exponentials(beta.From, affinities))
		k.ratios = append(k.ratios, exponentials(beta.spacing(), affinities))
	}
	return k
}

func exponentials(beta float64, affinities []float64) []float64 {
	out := make([]float64, len(affinities))
	for j, affinity := range affinities {
		out[j] = math.Exp(-beta * (1 - affinity))
	}
	return out
}

// advance goes to the next beta.
func (k *kernels) advance() {
	for b, weights := range k.weights {
		for j := range weights {
			weights[j] *= k.ratios[b][j]
		}
	}
}

// term is what alpha multiplies, [classes]: the cache's logits, fused where there are two branches.
func (k *kernels) term() []float64 {
	if len(k.weights) == 1 {
		return k.cache(0)
	}
	caches := make([][]float64, len(k.weights))
	for b := range caches {
		caches[b] = k.cache(b)
	}
	fused, _ := fuse(k.zero, caches, k.adapter.Temperature)
	return fused
}

// cache is the cache's logits in one branch: for each class the sum of its entries' weights.
func (k *kernels) cache(branch int) []float64 {
	sums := make([]float64, len(k.zero))
	for j, weight := range k.weights[branch] {
		sums[k.adapter.Labels[j]] += weight
	}
	return sums
}

// fuse is CaFo's mean of the branches' caches, each as z-scores over the classes, weighted by how well they agree with
// the zero-shot logits' z-scores:
//
//	weights = softmax_b(Σ_c z(cache_b)_c · z(zero)_c / temperature)
//
// The published code has no temperature, which is 1.
func fuse(zero []float64, caches [][]float64, temperature float64) (fused, weights []float64) {
	reference := zscores(zero)
	scores, agreement := make([][]float64, len(caches)), make([]float64, len(caches))
	for b, cache := range caches {
		scores[b] = zscores(cache)
		for c, z := range scores[b] {
			agreement[b] += z * reference[c]
		}
		agreement[b] /= temperature
	}
	fused, weights = make([]float64, len(zero)), logSoftmax(agreement)
	for b := range weights {
		weights[b] = math.Exp(weights[b])
		for c, z := range scores[b] {
			fused[c] += weights[b] * z
		}
	}
	return fused, weights
}

// zscores are (x − mean) / deviation, the deviation unbiased.
func zscores(x []float64) []float64 {
	n, mean, squares := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	deviation := math.Sqrt(squares / (n - 1))
	z := make([]float64, len(x))
	for c, v := range x {
		z[c] = (v - mean) / deviation
	}
	return z
}

func logSoftmax(x []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v - top - math.Log(sum)
	}
	return out
}
