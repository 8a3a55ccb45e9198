package cpu

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"regft/compute/cpu/kernels"
)

// An attentionConfig is what the fused attentions are told.
type attentionConfig struct {
	kernels.Attention
	layout   compute.AttentionAxesLayout
	boolMask bool // of those to attend to
	mask     view // of the fourth input on [batch, heads, queries, keys]
	masked   bool
}

// FusedScaledDotProductAttention implements compute.FusedOps for float32 and as many heads of keys as of queries. Its
// state for the gradient is the logarithm of each query's sum of exponentials, [batch, heads, queries].
func (f *Function) FusedScaledDotProductAttention(query, key, val compute.Value, layout compute.AttentionAxesLayout,
	options *compute.ScaledDotProductAttentionConfig) (output compute.Value, states []compute.Value, err error) {
	c, in, err := f.attention(query, key, val, layout, options)
	if err != nil {
		return nil, nil, err
	}
	stats := shapes.Make(dtypes.Float32, c.Batch, c.Heads, c.Queries)
	out := f.addOwn(compute.OpTypeFusedScaledDotProductAttention, c, []shapes.Shape{in[0].shape, stats}, in)
	return out[0], out[1:], nil
}

// FusedScaledDotProductAttentionVJP implements compute.FusedOps.
func (f *Function) FusedScaledDotProductAttentionVJP(query, key, val compute.Value, layout compute.AttentionAxesLayout,
	options *compute.ScaledDotProductAttentionConfig, output compute.Value, states []compute.Value, dOutput compute.Value) (dQuery, dKey, dValue compute.Value, err error) {
	c, in, err := f.attention(query, key, val, layout, options)
	if err != nil {
		return nil, nil, nil, err
	}
	more, err := f.resolve([]compute.Value{output, states[0], dOutput})
	if err != nil {
		return nil, nil, nil, err
	}
	out := f.addOwn(compute.OpTypeFusedScaledDotProductAttentionVJP, c,
		[]shapes.Shape{in[0].shape, in[1].shape, in[2].shape}, append(in, more...))
	return out[0], out[1], out[2], nil
}

// addOwn adds an operation that the reference does not have.
func (f *Function) addOwn(op compute.OpType, attrs any, outputs []shapes.Shape, inputs []*value) []compute.Value {
	key := operationKey(op, attrs, inputs)
	n, ok := f.known[key]
	if !ok {
		n = f.newNode(op, attrs, inputs, outputs)
		n.emit = func(compute.Function, []compute.Value) ([]compute.Value, error) { return nil, notImplemented(op) }
		f.known[key] = n
	}
	out := make([]compute.Value, len(n.outputs))
	for i, v := range n.outputs {
		out[i] = v
	}
	return out
}

// attention checks the operands of attention. What the kernels cannot do is not implemented, so that the caller
// decomposes it.
func (f *Function) attention(query, key, val compute.Value, layout compute.AttentionAxesLayout,
	options *compute.ScaledDotProductAttentionConfig) (c attentionConfig, in []*value, err error) {
	if err := f.open(); err != nil {
		return c, nil, err
	}
	unsupported := notImplemented(compute.OpTypeFusedScaledDotProductAttention)
	if options == nil {
		options = &compute.ScaledDotProductAttentionConfig{}
	}
	if f != f.builder.main || options.QuerySeqLen != nil || options.KeyValueSeqLen != nil || options.Bias != nil {
		return c, nil, unsupported
	}
	operands := []compute.Value{query, key, val}
	if options.Mask != nil {
		operands = append(operands, options.Mask)
	}
	if in, err = f.resolve(operands); err != nil {
		return c, nil, fmt.Errorf("cpu backend: attention: %w", err)
	}
	for _, v := range in[:3] {
		if v.shape.DType != dtypes.Float32 || v.shape.Rank() != 4 || v.shape.Size() == 0 {
			return c, nil, unsupported
		}
	}
	c = newAttention(in, layout, options)
	q, k, v := in[0].shape.Dimensions, in[1].shape.Dimensions, in[2].shape.Dimensions
	heads, seq := layout.HeadsAxis(), layout.SeqAxis()
	if q[0] != k[0] || k[0] != v[0] || q[heads] != k[heads] || k[heads] != v[heads] || k[seq] != v[seq] || q[3] != k[3] || q[3] != v[3] ||
		c.Causal && (c.Queries != c.Keys || options.Mask != nil) {
		return c, nil, unsupported
	}
	if options.Mask != nil && !c.setMask(in[3].shape) {
		return c, nil, unsupported
	}
	return c, in, nil
}

func newAttention(in []*value, layout compute.AttentionAxesLayout, options *compute.ScaledDotProductAttentionConfig) attentionConfig {
	q, k, v := in[0].shape.Dimensions, in[1].shape.Dimensions, in[2].shape.Dimensions
	scale := options.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(q[3]))
	}
	return attentionConfig{layout: layout, Attention: kernels.Attention{
		Batch: q[0], Heads: q[layout.HeadsAxis()], Queries: q[layout.SeqAxis()], Keys: k[layout.SeqAxis()],
		Dim: q[3], ValueDim: v[3], Scale: float32(scale), Causal: options.Causal,
	}}
}

// setMask takes a mask of float32 or truth values, [queries, keys], or one that broadcasts to [batch, heads, queries,
// keys] where that is the layout of the operands: for others callers do not agree on the order of its axes.
func (c *attentionConfig) setMask(s shapes.Shape) bool {
	c.masked, c.boolMask = true, s.DType == dtypes.Bool
	known := s.Rank() == 2 || s.Rank() == 4 && c.layout == compute.AttentionAxesLayoutBHSD
	if !c.boolMask && s.DType != dtypes.Float32 || !known {
		return false
	}
	dims := []int{c.Batch, c.Heads, c.Queries, c.Keys}
	to := make([]int, s.Rank())
	for i, d := range s.Dimensions {
		to[i] = 4 - s.Rank() + i
		if d != 1 && d != dims[to[i]] {
			return false
		}
	}
	c.mask = contiguous(s.Dimensions).broadcast(dims, to)
	return c.mask.strides[3] == 1 || c.Keys == 1
}

// heads is a tensor of attention as the kernels see it.
func (c *attentionConfig) heads(flat any, seq, dim int) kernels.Heads {
	if c.layout == compute.AttentionAxesLayoutBSHD {
		return kernels.Heads{Data: flat.([]float32), BatchStride: seq * c.Heads * dim, RowStride: c.Heads * dim, HeadStride: dim}
	}
	return kernels.Heads{Data: flat.([]float32), BatchStride: c.Heads * seq * dim, RowStride: dim, HeadStride: seq * dim}
}

func (c *attentionConfig) queries(flat any) kernels.Heads { return c.heads(flat, c.Queries, c.Dim) }
func (c *attentionConfig) keys(flat any) kernels.Heads    { return c.heads(flat, c.Keys, c.Dim) }

// kernel is the attention with its mask, which is among the inputs.
func (c *attentionConfig) kernel(in []any) kernels.Attention {
	a := c.Attention
	if !c.masked {
		return a
	}
	a.Mask = kernels.Mask{BatchStride: c.mask.strides[0], HeadStride: c.mask.strides[1], RowStride: c.mask.strides[2]}
	if !c.boolMask {
		a.Mask.Data = in[3].([]float32)
		return a
	}
	flat := in[3].([]bool)
	a.Mask.Data = make([]float32, len(flat))
	for i, attend := range flat {
		if !attend {
			a.Mask.Data[i] = float32(math.Inf(-1))
		}
	}
	return a
}

// lowerAttention makes a step of a fused attention.
func (c *compiler) lowerAttention(n *node) bool {
	config, ok := n.attrs.(attentionConfig)
	if !ok {
		return false
	}
	run := config.forward
	if n.op == compute.OpTypeFusedScaledDotProductAttentionVJP {
		run = config.backward
	}
	c.emit(step{op: n.op, in: append([]*value(nil), n.inputs...), out: n.outputs, run: run})
	return true
}

func (c *attentionConfig) forward(x *execution, in, out []any) error {
	c.kernel(in).Forward(x.pool, c.queries(out[0]), c.queries(in[0]), c.keys(in[1]), c.keys(in[2]), out[1].([]float32))
	return nil
}

func (c *attentionConfig) backward(x *execution, in, out []any) error {
	rest := in[len(in)-3:]
	d := kernels.AttentionGradients{Q: c.queries(out[0]), K: c.keys(out[1]), V: c.keys(out[2])}
	c.kernel(in).Backward(x.pool, d, c.queries(rest[2]), c.queries(rest[0]), c.queries(in[0]), c.keys(in[1]), c.keys(in[2]), rest[1].([]float32))
	return nil
}
