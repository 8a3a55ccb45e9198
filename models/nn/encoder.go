package nn

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// An Encoder maps rows to rows in batches: pictures or texts to features, features to logits. It is compiled once
// for one batch size; a smaller last batch is filled up with zeros, and what they give is dropped. Weights are an
// argument of every call, so one Encoder serves all models of one shape. Methods may be called from several
// goroutines.
type Encoder[T float32 | int32] struct {
	backend compute.Backend
	program *Program
	name    string
	row     []int // dimensions of one input row
	batch   int
	width   int // of one output row
}

// NewEncoder compiles f, which maps rows of dimensions row to rows of width values, for batches of one size. name appears
// in errors.
func NewEncoder[T float32 | int32](b Builder, name string, batch int, row []int, width int, f func(Params, *Node) *Node) (*Encoder[T], error) {
	if batch < 1 {
		return nil, fmt.Errorf("compiling %s: a batch of %d", name, batch)
	}
	shape := shapes.Make(dtypes.FromGenericsType[T](), append([]int{batch}, row...)...)
	program, err := b.Compile(name, func(p Params, in []*Node) []*Node {
		return []*Node{f(p, in[0])}
	}, shape)
	if err != nil {
		return nil, err
	}
	return &Encoder[T]{b.Backend, program, name, row, batch, width}, nil
}

// Parameters lists the parameters that Encode needs among its weights.
func (e *Encoder[T]) Parameters() Shapes { return e.program.Parameters() }

// Encode maps any number of rows, one after another in rows, to as many output rows. It returns ctx's error
// soon after its end.
func (e *Encoder[T]) Encode(ctx context.Context, weights Weights, rows []T) ([]float32, error) {
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
		values, err := e.encodeBatch(ctx, weights, part, size)
		if err != nil {
			return nil, err
		}
		out = append(out, values[:len(part)/size*e.width]...)
	}
	return out, nil
}

func (e *Encoder[T]) encodeBatch(ctx context.Context, weights Weights, part []T, size int) ([]float32, error) {
	if missing := e.batch*size - len(part); missing > 0 {
		part = append(append(make([]T, 0, e.batch*size), part...), make([]T, missing)...)
	}
	input, err := ToBackend(e.backend, part, append([]int{e.batch}, e.row...)...)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", e.name, err)
	}
	defer input.FinalizeAll()
	outputs, err := e.program.Run(ctx, weights, input)
	if err != nil {
		return nil, err
	}
	defer outputs[0].FinalizeAll()
	return tensors.CopyFlatData[float32](outputs[0])
}

// Free releases the compiled program. It must not be running.
func (e *Encoder[T]) Free() { e.program.Free() }
