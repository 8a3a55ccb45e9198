package adapter

import (
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	gnn "github.com/gomlx/gomlx/ml/nn"

	"regft/models/nn"
)

// The parameters of an adapter in a graph, beside those of the classifier's head.
const valuesName = "values" // [entries, classes]

// KeyName is the parameter with the keys of a branch.
func KeyName(branch int) string { return fmt.Sprintf("keys.%d", branch) }

// Parameters are the values of the parameters that LogitsGraph asks for.
func (a *Adapter) Parameters() nn.Arrays {
	values := nn.Array{Shape: []int{len(a.Labels), a.Classes()}, Values: make([]float32, len(a.Labels)*a.Classes())}
	for j, label := range a.Labels {
		values.Values[j*a.Classes()+label] = 1
	}
	p := nn.Arrays{"head.weight": a.Head.Weight, "head.bias": {Shape: []int{a.Classes()}, Values: a.Head.Bias}, valuesName: values}
	for b, keys := range a.Keys {
		p[KeyName(b)] = keys
	}
	return p
}

// LogitsGraph is Logits of Tip-Adapter and CaFo, to be differentiated: features [batch, dim] of each branch to
// [batch, classes]. The gradient goes through CaFo's z-scores and weights too.
func (a *Adapter) LogitsGraph(p nn.Params, features []*Node) *Node {
	zero := nn.Linear(p.At("head"), features[0], a.Classes())
	values := p.Get(valuesName, len(a.Labels), a.Classes())
	var caches []*Node
	for b, f := range features {
		keys := p.Get(KeyName(b), a.Keys[b].Shape...)
		affinities := gnn.Dense(f, keys, nil, compute.DenseLayoutOutputsInput)
		weights := Exp(MulScalar(OneMinus(affinities), -a.Point.Beta))
		caches = append(caches, gnn.Dense(weights, values, nil, compute.DenseLayoutInputOutputs))
	}
	term := caches[0]
	if len(caches) > 1 {
		term = a.fuseGraph(zero, caches)
	}
	return Add(zero, MulScalar(term, a.Point.Alpha))
}

// fuseGraph is fuse.
func (a *Adapter) fuseGraph(zero *Node, caches []*Node) *Node {
	reference := zscoresGraph(zero)
	var agreement []*Node
	for b, cache := range caches {
		caches[b] = zscoresGraph(cache)
		agreement = append(agreement, ReduceAndKeep(Mul(caches[b], reference), ReduceSum, -1))
	}
	weights := Softmax(DivScalar(Concatenate(agreement, -1), a.Temperature), -1)
	fused := ScalarZero(zero.Graph(), zero.DType())
	for b, cache := range caches {
		fused = Add(fused, Mul(SliceAxis(weights, -1, AxisElem(b)), cache))
	}
	return fused
}

func zscoresGraph(x *Node) *Node {
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := DivScalar(ReduceAndKeep(Square(centred), ReduceSum, -1), float64(x.Shape().Dimensions[1]-1))
	return Div(centred, Sqrt(variance))
}
