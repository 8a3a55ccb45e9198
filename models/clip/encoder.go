package clip

import (
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/nn"
)

// Batch is the size of batch that results are made with. A backend may sum in another order for another size:
// gomlx's gives other last bits at 1, 8 and 32 rows. So where a batch size is no part of a result's key, this one is
// compiled, and one row's result depends on no other. On two cores, batches of 8 to 64 are as fast as each other.
const Batch = 16

// NewImageEncoder compiles ImageFeatures: rows of pixels [channels, image, image] to features [projection].
func (c Config) NewImageEncoder(backend compute.Backend, batch int) (*nn.Encoder[float32], error) {
	row := []int{c.Vision.Channels, c.Vision.Image, c.Vision.Image}
	return nn.NewEncoder[float32](nn.Builder{Backend: backend}, "CLIP's image tower", batch, row, c.Projection, c.ImageFeatures)
}

// NewTextEncoder compiles TextFeatures: rows of tokens [length] to features [projection].
func (c Config) NewTextEncoder(backend compute.Backend, batch, length int) (*nn.Encoder[int32], error) {
	if length < 1 || length > c.Text.Positions {
		return nil, fmt.Errorf("CLIP's text tower takes 1 to %d tokens, not %d", c.Text.Positions, length)
	}
	return nn.NewEncoder[int32](nn.Builder{Backend: backend}, "CLIP's text tower", batch, []int{length}, c.Projection, c.TextFeatures)
}

// NewHead compiles Logits: rows of features [projection] to logits [classes].
func (c Config) NewHead(backend compute.Backend, batch, classes int) (*nn.Encoder[float32], error) {
	return nn.NewEncoder[float32](nn.Builder{Backend: backend}, "the classifier's head", batch, []int{c.Projection}, classes,
		func(p nn.Params, features *Node) *Node { return Logits(p, features, classes) })
}
