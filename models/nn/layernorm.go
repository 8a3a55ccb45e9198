package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// LayerNorm normalises the last axis of x and scales and shifts it (Ba et al., arXiv 1607.06450).
func LayerNorm(p Params, x *Node, eps float64) *Node {
	gamma, beta := p.Get("weight", width(x)), p.Get("bias", width(x))
	y, _ := InternalFusedOpCaller(
		func() *Node { return BackendFusedLayerNorm(x, []int{-1}, eps, gamma, beta) },
		func() *Node { return layerNorm(x, gamma, beta, eps) }, true)
	return y
}

// layerNorm is LayerNorm in single operations, whose gradient is stated as a whole: where that of x − mean alone is g, it is
// g − mean(g) − x̂·mean(g·x̂). Package compute/cpu knows it by this form.
func layerNorm(x, gamma, beta *Node, eps float64) *Node {
	mean := func(x *Node) *Node { return ReduceAndKeep(x, ReduceMean, -1) }
	row := func(v *Node) *Node { return ExpandLeftToRank(v, x.Rank()) }
	var normalized *Node
	seen := IdentityWithCustomGradient(x, func(_, g *Node) *Node {
		return Sub(Sub(g, mean(g)), Mul(normalized, mean(Mul(g, normalized))))
	})
	centered := Sub(seen, StopGradient(mean(x)))
	normalized = Mul(centered, StopGradient(Rsqrt(AddScalar(mean(Square(centered)), eps))))
	return Add(Mul(normalized, row(gamma)), row(beta))
}
