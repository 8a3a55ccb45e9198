package cpu

import (
	"fmt"
	"math"
	"slices"

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
func (c *attentionConfig) heads(flat any, v view) kernels.Heads {
	return kernels.Heads{Data: flat.([]float32)[v.offset:], BatchStride: v.strides[0], RowStride: v.strides[c.layout.SeqAxis()],
		HeadStride: v.strides[c.layout.HeadsAxis()]}
}

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

// swap is the order that exchanges heads and positions.
var swap = permutation{0, 2, 1, 3}

// placeHeads finds results of attention that are only looked at with heads and positions exchanged: they are computed so,
// and what exchanged them computes nothing.
func (c *compiler) placeHeads() {
	for i, n := range c.function.nodes {
		if _, ok := n.attrs.(attentionConfig); !ok || !c.needed[i] {
			continue
		}
		for _, v := range n.outputs {
			if v.shape.Rank() == 4 && c.isSwapped(v) {
				dims := slices.Clone(v.shape.Dimensions)
				dims[1], dims[2] = dims[2], dims[1]
				c.placed[v] = &value{node: n, shape: shapes.Make(dtypes.Float32, dims...)}
			}
		}
	}
}

func (c *compiler) isSwapped(v *value) bool {
	return len(c.consumers[v]) > 0 && !slices.ContainsFunc(c.consumers[v], func(n *node) bool {
		return n == nil || !swaps(n) && n.op != compute.OpTypeFusedScaledDotProductAttentionVJP
	})
}

func swaps(n *node) bool {
	order, ok := n.attrs.(permutation)
	return ok && n.op == compute.OpTypeTranspose && slices.Equal(order, swap)
}

// An attentionStep is a fused attention with its operands and results where they are.
type attentionStep struct {
	attentionConfig
	in, out []view
}

// lowerAttention makes a step of a fused attention.
func (c *compiler) lowerAttention(n *node) bool {
	config, ok := n.attrs.(attentionConfig)
	if !ok {
		return false
	}
	s := &attentionStep{attentionConfig: config}
	run := s.forward
	if n.op == compute.OpTypeFusedScaledDotProductAttentionVJP {
		run = s.backward
	}
	out := slices.Clone(n.outputs)
	for i, v := range n.outputs {
		s.out = append(s.out, contiguous(v.shape.Dimensions))
		if p, ok := c.placed[v]; ok {
			out[i], s.out[i] = p, contiguous(p.shape.Dimensions).transpose(swap)
			if c.demanded[v] {
				c.emit(permuteStep(n.op, p, v, p.shape.Dimensions, swap))
			}
		}
	}
	var in []*value
	for i, v := range n.inputs {
		base, w := c.root(v), contiguous(v.shape.Dimensions)
		if isMask := config.masked && i == 3; !isMask && v.shape.Rank() == 4 {
			base, w = c.rowsOf(v)
		}
		in, s.in = append(in, base), append(s.in, w)
	}
	c.emit(step{op: n.op, in: in, out: out, run: run})
	return true
}

// rowsOf is v where it is, if the elements of its last axis lie side by side there.
func (c *compiler) rowsOf(v *value) (*value, view) {
	if base, w := c.viewOf(v, true); w.strides[3] == 1 || w.dims[3] == 1 {
		return base, w
	}
	return c.root(v), contiguous(v.shape.Dimensions)
}

func (s *attentionStep) forward(x *execution, in, out []any) error {
	s.kernel(in).Forward(x.pool, s.heads(out[0], s.out[0]), s.heads(in[0], s.in[0]), s.heads(in[1], s.in[1]), s.heads(in[2], s.in[2]),
		out[1].([]float32))
	return nil
}

func (s *attentionStep) backward(x *execution, in, out []any) error {
	last := len(in) - 3
	d := kernels.AttentionGradients{Q: s.heads(out[0], s.out[0]), K: s.heads(out[1], s.out[1]), V: s.heads(out[2], s.out[2])}
	s.kernel(in).Backward(x.pool, d, s.heads(in[last+2], s.in[last+2]), s.heads(in[last], s.in[last]),
		s.heads(in[0], s.in[0]), s.heads(in[1], s.in[1]), s.heads(in[2], s.in[2]), in[last+1].([]float32))
	return nil
}
