package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randomHeads is a tensor of random numbers, heads next to each other in a row or apart.
func randomHeads(r *rand.Rand, batch, length, heads, dim int) Heads {
	h := Heads{Data: randomNumbers(r, batch*length*heads*dim), BatchStride: length * heads * dim, RowStride: heads * dim, HeadStride: dim}
	if r.IntN(2) == 0 {
		h.RowStride, h.HeadStride = dim, length*dim
	}
	return h
}

func (h Heads) element(b, i, n, d int) int {
	return b*h.BatchStride + i*h.RowStride + n*h.HeadStride + d
}

func randomAttention(r *rand.Rand) Attention {
	a := Attention{Batch: 1 + r.IntN(2), Heads: 1 + r.IntN(3), Queries: pick(r, []int{1, 5, 16, 77, 97, 200}), Keys: pick(r, []int{1, 7, 77, 256, 300, 520}),
		Dim: pick(r, []int{4, 16, 40, 64}), ValueDim: pick(r, []int{3, 16, 40, 64}), Scale: 0.3, Causal: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		a.Mask = Mask{Data: randomNumbers(r, a.Batch*a.Heads*a.Queries*a.Keys), RowStride: a.Keys, HeadStride: a.Queries * a.Keys, BatchStride: a.Heads * a.Queries * a.Keys}
		a.Mask.Data[0] = float32(math.Inf(-1))
	}
	return a
}

// naiveAttention is the attention of one head and its gradients in float64, written at the strides of the operands.
func naiveAttention(a Attention, b, h int, q, k, v, dOut Heads, out, dq, dk, dv []float64) {
	weights, dWeights := make([]float64, a.Keys), make([]float64, a.Keys)
	for i := range a.Queries {
		seen := a.lastKey(i)
		total, largest := 0.0, math.Inf(-1)
		for j := range seen {
			s := 0.0
			for d := range a.Dim {
				s += float64(q.Data[q.element(b, i, h, d)]) * float64(k.Data[k.element(b, j, h, d)])
			}
			weights[j] = s * float64(a.Scale)
			if a.Mask.Data != nil {
				weights[j] += float64(a.Mask.Data[b*a.Mask.BatchStride+h*a.Mask.HeadStride+i*a.Mask.RowStride+j])
			}
			largest = max(largest, weights[j])
		}
		if math.IsInf(largest, -1) {
			continue
		}
		for j := range seen {
			weights[j] = math.Exp(weights[j] - largest)
			total += weights[j]
		}
		inner := 0.0
		for j := range seen {
			weights[j] /= total
			dWeights[j] = 0
			for d := range a.ValueDim {
				at, from := dOut.element(b, i, h, d), v.element(b, j, h, d)
				out[at] += weights[j] * float64(v.Data[from])
				dWeights[j] += float64(dOut.Data[at]) * float64(v.Data[from])
				dv[from] += weights[j] * float64(dOut.Data[at])
			}
			inner += weights[j] * dWeights[j]
		}
		for j := range seen {
			ds := weights[j] * (dWeights[j] - inner) * float64(a.Scale)
			for d := range a.Dim {
				at, from := q.element(b, i, h, d), k.element(b, j, h, d)
				dq[at] += ds * float64(k.Data[from])
				dk[from] += ds * float64(q.Data[at])
			}
		}
	}
}

func TestAttention(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(31, 32))
		for range 40 {
			checkAttention(t, r, randomAttention(r))
		}
	})
}

func checkAttention(t *testing.T, r *rand.Rand, a Attention) {
	t.Helper()
	what := fmt.Sprintf("batch %d, heads %d, queries %d, keys %d, dims %d and %d, causal %v, mask %v",
		a.Batch, a.Heads, a.Queries, a.Keys, a.Dim, a.ValueDim, a.Causal, a.Mask.Data != nil)
	q, k, v := randomHeads(r, a.Batch, a.Queries, a.Heads, a.Dim), randomHeads(r, a.Batch, a.Keys, a.Heads, a.Dim), randomHeads(r, a.Batch, a.Keys, a.Heads, a.ValueDim)
	dOut := randomHeads(r, a.Batch, a.Queries, a.Heads, a.ValueDim)
	var want [4][]float64
	for i, h := range []Heads{dOut, q, k, v} {
		want[i] = make([]float64, len(h.Data))
	}
	for head := range a.Batch * a.Heads {
		naiveAttention(a, head/a.Heads, head%a.Heads, q, k, v, dOut, want[0], want[1], want[2], want[3])
	}
	var first [4][]float32
	for _, pool := range []Pool{Serial{}, workers(3)} {
		var got [4]Heads
		for i, like := range []Heads{dOut, q, k, v} {
			data, check := guarded(t, len(like.Data))
			defer check()
			got[i] = like
			got[i].Data = data
		}
		logSumExp := make([]float32, a.Batch*a.Heads*a.Queries)
		a.Forward(pool, got[0], q, k, v, logSumExp)
		a.Backward(pool, AttentionGradients{Q: got[1], K: got[2], V: got[3]}, dOut, got[0], q, k, v, logSumExp)
		for i, name := range []string{"out", "dq", "dk", "dv"} {
			near(t, name+" of "+what, got[i].Data, want[i], 3e-5)
			if first[i] == nil {
				first[i] = got[i].Data
			}
			sameBits(t, name+" of "+what, got[i].Data, first[i])
		}
	}
}

// TestAttentionOfNothingSeen masks every key of some queries.
func TestAttentionOfNothingSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	eachSet(t, func(t *testing.T) {
		checkAttention(t, r, Attention{Batch: 1, Heads: 2, Queries: 20, Keys: 4, Dim: 8, ValueDim: 8, Scale: 1, Causal: true})
		a := Attention{Batch: 1, Heads: 1, Queries: 3, Keys: 300, Dim: 8, ValueDim: 8, Scale: 1, Mask: Mask{Data: make([]float32, 900), RowStride: 300}}
		for i := range 300 {
			a.Mask.Data[i] = float32(math.Inf(-1))
		}
		for i := range 270 {
			a.Mask.Data[300+i] = float32(math.Inf(-1))
		}
		checkAttention(t, r, a)
	})
}
