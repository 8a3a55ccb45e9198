package cpu

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
)

// The operations of compute.FusedOps, which documents them.

// optional is an operation's inputs where some may be missing: in the order of all, the index among those present, -1
// for none.
type optional []int

// present drops the values that are nil.
func present(values ...compute.Value) (there []compute.Value, at optional) {
	for _, v := range values {
		if v == nil {
			at = append(at, -1)
			continue
		}
		at = append(at, len(there))
		there = append(there, v)
	}
	return there, at
}

// of is the ith of all values, nil where it is missing.
func (o optional) of(in []compute.Value, i int) compute.Value {
	if o[i] < 0 {
		return nil
	}
	return in[o[i]]
}

// FusedSoftmax implements compute.FusedOps.
func (f *Function) FusedSoftmax(x compute.Value, axis int) (compute.Value, error) {
	return f.add1(compute.OpTypeFusedSoftmax, axis, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.FusedSoftmax(in[0], axis)
	}, x)
}

// FusedGelu implements compute.FusedOps.
func (f *Function) FusedGelu(x compute.Value, exact bool) (compute.Value, error) {
	return f.add1(compute.OpTypeFusedGelu, exact, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.FusedGelu(in[0], exact)
	}, x)
}

// A layerNormConfig is what FusedLayerNorm is told; inputs are x, gamma and beta.
type layerNormConfig struct {
	axes    []int
	epsilon float64
	inputs  optional
}

// FusedLayerNorm implements compute.FusedOps.
func (f *Function) FusedLayerNorm(x compute.Value, over []int, epsilon float64, gamma, beta compute.Value) (compute.Value, error) {
	there, at := present(x, gamma, beta)
	c := layerNormConfig{slices.Clone(over), epsilon, at}
	return f.add1(compute.OpTypeFusedLayerNorm, c, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.FusedLayerNorm(in[0], c.axes, epsilon, at.of(in, 1), at.of(in, 2))
	}, there...)
}

// FusedDense implements compute.FusedOps.
func (f *Function) FusedDense(x, weight, bias compute.Value, config compute.DenseConfig) (compute.Value, error) {
	there, at := present(x, weight, bias)
	return f.add1(compute.OpTypeFusedDense, config, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		return g.FusedDense(in[0], in[1], at.of(in, 2), config)
	}, there...)
}

// FusedAttentionQKVProjection implements compute.FusedOps.
func (f *Function) FusedAttentionQKVProjection(x, weights, biasQ, biasK, biasV compute.Value, queryDim, keyValueDim int) (query, key, val compute.Value, err error) {
	there, at := present(x, weights, biasQ, biasK, biasV)
	out, err := f.add(compute.OpTypeFusedAttentionQKVProjection, []any{queryDim, keyValueDim, at}, func(g compute.Function, in []compute.Value) ([]compute.Value, error) {
		q, k, v, err := g.FusedAttentionQKVProjection(in[0], in[1], at.of(in, 2), at.of(in, 3), at.of(in, 4), queryDim, keyValueDim)
		return []compute.Value{q, k, v}, err
	}, there...)
	if err != nil {
		return nil, nil, nil, err
	}
	return out[0], out[1], out[2], nil
}

// QuantizedEmbeddingLookup implements compute.FusedOps.
func (f *Function) QuantizedEmbeddingLookup(data, indices compute.Value, q *compute.Quantization) (compute.Value, error) {
	if q == nil {
		return nil, fmt.Errorf("cpu backend: an embedding without its quantization")
	}
	there, at := present(data, indices, q.Scale, q.ZeroPoint)
	return f.add1(compute.OpTypeQuantizedEmbeddingLookup, quantizationKey(q, at), func(g compute.Function, in []compute.Value) (compute.Value, error) {
		c := *q
		c.Scale, c.ZeroPoint = at.of(in, 2), at.of(in, 3)
		return g.QuantizedEmbeddingLookup(in[0], in[1], &c)
	}, there...)
}

// FusedQuantizedDense implements compute.FusedOps.
func (f *Function) FusedQuantizedDense(x, weights, bias compute.Value, q *compute.Quantization, activation compute.ActivationType) (compute.Value, error) {
	if q == nil {
		return nil, fmt.Errorf("cpu backend: quantized weights without their quantization")
	}
	there, at := present(x, weights, bias, q.Scale, q.ZeroPoint)
	return f.add1(compute.OpTypeFusedQuantizedDense, []any{quantizationKey(q, at), activation}, func(g compute.Function, in []compute.Value) (compute.Value, error) {
		c := *q
		c.Scale, c.ZeroPoint = at.of(in, 3), at.of(in, 4)
		return g.FusedQuantizedDense(in[0], in[1], at.of(in, 2), &c, activation)
	}, there...)
}

func quantizationKey(q *compute.Quantization, at optional) string {
	return fmt.Sprint(q.Scheme, q.BlockAxis, q.BlockSize, q.GGMLType, at)
}
