package clip

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/nn"
)

// Batch is the size of batch that results are made with. A backend may sum in another order for another size:
// gomlx's gives other last bits at 1, 8 and 32 rows. So where a batch size is no part of a result's key, this one is
// compiled, and one row's result depends on no other. On two cores, batches of 8 to 64 are as fast as each other.
const Batch = 16

// An Encoder maps rows to rows in batches: pictures or texts to features, features to logits. It is compiled once
// for one batch size; a smaller last batch is filled up with zeros, and what they give is dropped. Weights are an
// argument of every call, so one Encoder serves all classifiers of one shape. Methods may be called from several
// goroutines.
type Encoder[T float32 | int32] struct {
	backend compute.Backend
	program *nn.Program
	name    string
	row     []int // dimensions of one input row
	batch   int
	width   int // of one output row
}

// NewImageEncoder compiles ImageFeatures: rows of pixels [channels, image, image] to features [projection].
func (c Config) NewImageEncoder(backend compute.Backend, batch int) (*Encoder[float32], error) {
	row := []int{c.Vision.Channels, c.Vision.Image, c.Vision.Image}
	return newEncoder[float32](backend, "CLIP's image tower", batch, row, c.Projection, c.ImageFeatures)
}

// NewTextEncoder compiles TextFeatures: rows of tokens [length] to features [projection].
func (c Config) NewTextEncoder(backend compute.Backend, batch, length int) (*Encoder[int32], error) {
	if length < 1 || length > c.Text.Positions {
		return nil, fmt.Errorf("CLIP's text tower takes 1 to %d tokens, not %d", c.Text.Positions, length)
	}
	return newEncoder[int32](backend, "CLIP's text tower", batch, []int{length}, c.Projection, c.TextFeatures)
}

// NewHead compiles Logits: rows of features [projection] to logits [classes].
func (c Config) NewHead(backend compute.Backend, batch, classes int) (*Encoder[float32], error) {
	return newEncoder[float32](backend, "the classifier's head", batch, []int{c.Projection}, classes,
		func(p nn.Params, features *Node) *Node { return Logits(p, features, classes) })
}

func newEncoder[T float32 | int32](backend compute.Backend, name string, batch int, row []int, width int,
	f func(nn.Params, *Node) *Node) (*Encoder[T], error) {
	if batch < 1 {
		return nil, fmt.Errorf("compiling %s: a batch of %d", name, batch)
	}
	shape := shapes.Make(dtypes.FromGenericsType[T](), append([]int{batch}, row...)...)
	program, err := nn.Builder{Backend: backend}.Compile(name, func(p nn.Params, in []*Node) []*Node {
		return []*Node{f(p, in[0])}
	}, shape)
	if err != nil {
		return nil, err
	}
	return &Encoder[T]{backend, program, name, row, batch, width}, nil
}

// Parameters lists the parameters that Encode needs among its weights.
func (e *Encoder[T]) Parameters() nn.Shapes { return e.program.Parameters() }

// Encode maps any number of rows, one after another in rows, to as many output rows. It returns ctx's error
// within one batch of its end.
func (e *Encoder[T]) Encode(ctx context.Context, weights nn.Weights, rows []T) ([]float32, error) {
	size := shapes.Make(dtypes.Float32, e.row...).Size()
	if len(rows)%size != 0 {
		return nil, fmt.Errorf("%s takes rows of shape %v: %d values are no whole number of them", e.name, e.row, len(rows))
	}
	out := make([]float32, 0, len(rows)/size*e.width)
	for begin := 0; begin < len(rows); begin += e.batch * size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := rows[begin:min(begin+e.batch*size, len(rows))]
		values, err := e.encodeBatch(weights, part, size)
		if err != nil {
			return nil, err
		}
		out = append(out, values[:len(part)/size*e.width]...)
	}
	return out, nil
}

func (e *Encoder[T]) encodeBatch(weights nn.Weights, part []T, size int) ([]float32, error) {
	if missing := e.batch*size - len(part); missing > 0 {
		part = append(append(make([]T, 0, e.batch*size), part...), make([]T, missing)...)
	}
	input, err := nn.ToBackend(e.backend, part, append([]int{e.batch}, e.row...)...)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", e.name, err)
	}
	defer input.FinalizeAll()
	outputs, err := e.program.Run(weights, input)
	if err != nil {
		return nil, err
	}
	defer outputs[0].FinalizeAll()
	return tensors.CopyFlatData[float32](outputs[0])
}

// Free releases the compiled program. It must not be running.
func (e *Encoder[T]) Free() { e.program.Free() }
