package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// GroupNorm normalises each picture of x [batch, height, width, channels] over the pixels and channels of each
// of its groups of neighbouring channels, then scales and shifts each channel (Wu and He, arXiv 1803.08494).
func GroupNorm(p Params, x *Node, groups int, eps float64) *Node {
	d := x.Shape().Dimensions
	y := Reshape(x, d[0], -1, groups, d[3]/groups)
	y = Sub(y, ReduceAndKeep(y, ReduceMean, 1, 3))
	variance := ReduceAndKeep(Square(y), ReduceMean, 1, 3)
	y = Reshape(Mul(y, Rsqrt(AddScalar(variance, eps))), d...)
	return Add(Mul(y, p.Get("weight", d[3])), p.Get("bias", d[3]))
}
