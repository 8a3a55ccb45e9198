package train

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/nn"
)

// A batch that is too large for memory goes through the image tower in micro-batches, in three passes with the exact
// gradient of the whole batch, VC included (Gao et al., arXiv 2101.06983): the features of all micro-batches; the loss
// of the whole batch, and its gradients with respect to features and head; those of the tower, micro-batch by
// micro-batch. It costs one forward pass more than a step in one piece.

// encode maps pixels to features, and with distillation those of the start.
func (p *Program) encode(q nn.Params, in []*Node) []*Node {
	out := []*Node{p.config.ImageFeatures(p.adapted(q), in[0])}
	if z := p.startFeatures(q, in[0]); z != nil {
		out = append(out, z)
	}
	return out
}

// loss maps labels, hyper, features and with distillation the start's features to the losses, the gradient with respect
// to the features, and those of the trained parameters outside the tower.
func (p *Program) loss(q nn.Params, in []*Node) []*Node {
	labels, h, z := in[0], hyper{in[1]}, in[2]
	var zStart *Node
	if p.method.Distill {
		zStart = in[3]
	}
	l := p.losses(q, h, z, zStart, labels)
	wrt := []*Node{z}
	for _, name := range p.outside() {
		wrt = append(wrt, q.Get(name, p.shape(name)...))
	}
	zero := ScalarZero(q.Graph(), dtypes.Float32)
	return append([]*Node{l.record(zero, zero)}, Gradient(l.total, wrt...)...)
}

// backward maps pixels, the gradient with respect to their features, and a scalar that is 0 for the first micro-batch
// and 1 after it, to the sums of the gradients of the tower's trained parameters.
func (p *Program) backward(q nn.Params, in []*Node) []*Node {
	z := p.config.ImageFeatures(p.adapted(q), in[0])
	var parameters, out []*Node
	for _, name := range p.inside() {
		parameters = append(parameters, q.Get(name, p.shape(name)...))
	}
	for i, g := range Gradient(ReduceAllSum(Mul(z, in[1])), parameters...) {
		name := p.inside()[i]
		out = append(out, Add(Mul(in[2], q.At(gradientSum).Get(name, p.shape(name)...)), g))
	}
	return out
}

// apply maps hyper to the length of the summed gradients, L2-SP's part of the loss, and the new state.
func (p *Program) apply(q nn.Params, in []*Node) []*Node {
	var gradients []*Node
	for _, name := range p.trained {
		gradients = append(gradients, q.At(gradientSum).Get(name, p.shape(name)...))
	}
	norm, penalty, state := p.update(q, hyper{in[0]}, gradients)
	return append([]*Node{Stack([]*Node{norm, penalty}, 0)}, state...)
}

// outside and inside part what is trained into the head's and the image tower's.
func (p *Program) outside() (out []string) {
	for _, name := range p.trained {
		if strings.HasPrefix(name, headPrefix) {
			out = append(out, name)
		}
	}
	return out
}

func (p *Program) inside() (out []string) {
	for _, name := range p.trained {
		if !strings.HasPrefix(name, headPrefix) {
			out = append(out, name)
		}
	}
	return out
}

// accumulate is a step over micro-batches.
func (t *Trainer) accumulate(ctx context.Context, batch Batch) (Record, error) {
	features, err := t.encode(ctx, batch)
	if err != nil {
		return Record{}, err
	}
	record, gradient, err := t.loss(ctx, batch, features)
	if err != nil {
		return Record{}, err
	}
	if err := t.backward(ctx, batch, gradient); err != nil {
		return Record{}, err
	}
	scalars, err := nn.ToBackend(t.program.backend, t.scalars(), t.program.hypers().Dimensions...)
	if err != nil {
		return Record{}, err
	}
	defer free([]*tensors.Tensor{scalars})
	apply, err := t.program.compiled("the end of a training step", 0, t.program.apply, t.program.hypers())
	if err != nil {
		return Record{}, err
	}
	outputs, err := t.replace(ctx, apply, t.program.outputs(), 1, scalars)
	if err != nil {
		return Record{}, err
	}
	end, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return Record{}, err
	}
	free(outputs)
	record.GradNorm, record.L2SP = end[0], end[1]
	record.Loss += end[1]
	return record, record.finite()
}

// micro calls f for every micro-batch: its pixels, and where its first and last picture stand.
func (t *Trainer) micro(batch Batch, f func(pixels *tensors.Tensor, begin, end int) error) error {
	row := t.program.pixels(1).Size()
	for begin := 0; begin < len(batch.Labels); begin += t.options.MicroBatch {
		end := min(begin+t.options.MicroBatch, len(batch.Labels))
		pixels, err := nn.ToBackend(t.program.backend, batch.Pixels[begin*row:end*row], t.program.pixels(end-begin).Dimensions...)
		if err != nil {
			return err
		}
		err = f(pixels, begin, end)
		free([]*tensors.Tensor{pixels})
		if err != nil {
			return err
		}
	}
	return nil
}

// encode gives the features of the whole batch, [batch, dim], and with distillation those of the start.
func (t *Trainer) encode(ctx context.Context, batch Batch) (features [][]float32, err error) {
	p := t.program
	err = t.micro(batch, func(pixels *tensors.Tensor, begin, end int) error {
		program, err := p.compiled("the features of a micro-batch", end-begin, p.encode, p.pixels(end-begin))
		if err != nil {
			return err
		}
		outputs, err := program.Run(ctx, t.state, pixels)
		if err != nil {
			return err
		}
		defer free(outputs)
		for k, out := range outputs {
			values, err := tensors.CopyFlatData[float32](out)
			if err != nil {
				return err
			}
			if k == len(features) {
				features = append(features, nil)
			}
			features[k] = append(features[k], values...)
		}
		return nil
	})
	return features, err
}

// loss measures the whole batch by its features. It returns the gradient with respect to them, and leaves the head's
// among the sums.
func (t *Trainer) loss(ctx context.Context, batch Batch, features [][]float32) (Record, []float32, error) {
	p, n := t.program, len(batch.Labels)
	z := shapes.Make(dtypes.Float32, n, p.config.Projection)
	in := []shapes.Shape{shapes.Make(dtypes.Int32, n), p.hypers()}
	labels, err := nn.ToBackend(p.backend, batch.Labels, n)
	if err != nil {
		return Record{}, nil, err
	}
	scalars, err := nn.ToBackend(p.backend, t.scalars(), p.hypers().Dimensions...)
	inputs := []*tensors.Tensor{labels, scalars}
	defer func() { free(inputs) }()
	if err != nil {
		return Record{}, nil, err
	}
	for _, f := range features {
		x, err := nn.ToBackend(p.backend, f, z.Dimensions...)
		if err != nil {
			return Record{}, nil, err
		}
		in, inputs = append(in, z), append(inputs, x)
	}
	program, err := p.compiled("the loss of a batch", n, p.loss, in...)
	if err != nil {
		return Record{}, nil, err
	}
	outputs, err := program.Run(ctx, t.state, inputs...)
	if err != nil {
		return Record{}, nil, err
	}
	defer free(outputs[:2])
	for i, name := range p.outside() {
		t.setSum(name, outputs[2+i])
	}
	gradient, err := tensors.CopyFlatData[float32](outputs[1])
	if err != nil {
		return Record{}, nil, err
	}
	record, err := t.record(outputs[0])
	return record, gradient, err
}

// setSum replaces a sum of gradients.
func (t *Trainer) setSum(name string, sum *tensors.Tensor) {
	if old, ok := t.state[gradientSum+"."+name]; ok {
		free([]*tensors.Tensor{old})
	}
	t.state[gradientSum+"."+name] = sum
}

// backward sums the tower's gradients over the micro-batches.
func (t *Trainer) backward(ctx context.Context, batch Batch, gradient []float32) error {
	p, inside := t.program, t.program.inside()
	if len(inside) == 0 {
		return nil
	}
	if err := t.needSums(inside); err != nil {
		return err
	}
	var sums []string
	for _, name := range inside {
		sums = append(sums, gradientSum+"."+name)
	}
	width := p.config.Projection
	return t.micro(batch, func(pixels *tensors.Tensor, begin, end int) error {
		n, keep := end-begin, float32(0)
		if begin > 0 {
			keep = 1
		}
		program, err := p.compiled("the gradients of a micro-batch", n, p.backward,
			p.pixels(n), shapes.Make(dtypes.Float32, n, width), shapes.Make(dtypes.Float32))
		if err != nil {
			return err
		}
		dz, err := nn.ToBackend(p.backend, gradient[begin*width:end*width], n, width)
		if err != nil {
			return err
		}
		kept, err := nn.ToBackend(p.backend, []float32{keep})
		defer free([]*tensors.Tensor{dz, kept})
		if err != nil {
			return err
		}
		_, err = t.replace(ctx, program, sums, 0, pixels, dz, kept)
		return err
	})
}

// needSums makes the sums of gradients, once.
func (t *Trainer) needSums(names []string) error {
	for _, name := range names {
		if _, ok := t.state[gradientSum+"."+name]; ok {
			continue
		}
		dims := t.program.shape(name)
		zero, err := nn.ToBackend(t.program.backend, make([]float32, size(dims)), dims...)
		if err != nil {
			return fmt.Errorf("making room for gradients: %w", err)
		}
		t.state[gradientSum+"."+name] = zero
	}
	return nil
}
