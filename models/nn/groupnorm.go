package nn

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// GroupNorm normalises each picture of x [batch, height, width, channels] over the pixels and channels of each
// of its groups of neighbouring channels, then scales and shifts each channel (Wu and He, arXiv 1803.08494).
func GroupNorm(p Params, x *Node, groups int, eps float64) *Node {
	d := x.Shape().Dimensions
	if groups < 1 || d[3]%groups != 0 {
		panic(fmt.Errorf("group norm %q: %d channels do not make %d groups", p.prefix, d[3], groups))
	}
	y := Reshape(x, d[0], d[1]*d[2], groups, d[3]/groups)
	y = Sub(y, ReduceAndKeep(y, ReduceMean, 1, 3))
	variance := ReduceAndKeep(Square(y), ReduceMean, 1, 3)
	y = Reshape(Mul(y, Rsqrt(AddScalar(variance, eps))), d...)
	perChannel := func(name string) *Node { return Reshape(p.Get(name, d[3]), 1, 1, 1, d[3]) }
	return Add(Mul(y, perChannel("weight")), perChannel("bias"))
}
