package builtin

import (
	"context"
	"fmt"

	"regft/compute"
	"regft/datasets/loader"
	"regft/datasets/preprocess"
	"regft/models/clip"
	"regft/models/nn"
	"regft/stages"
)

// An encoding turns pictures into features with one classifier.
type encoding struct {
	env        *stages.Env
	backend    compute.Backend
	classifier *classifier
	pixels     preprocess.CLIP
	encoder    *nn.Encoder[float32]
	weights    nn.Weights
	batch      int
}

// openEncoding opens a classifier, or that of an adapter, and labelled pictures for it to look at, batch at a time.
func openEncoding(ctx context.Context, env *stages.Env, from, data stages.Artifact, batch int) (*encoding, *pictureSet, error) {
	backend, err := backendOf(env)
	if err != nil {
		return nil, nil, err
	}
	c, err := openClassifier(ctx, env, backend, from)
	if err != nil {
		return nil, nil, err
	}
	pictures, err := openPictures(ctx, env, data)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	e, err := newEncoding(ctx, env, backend, c, batch)
	return e, pictures, err
}

// newEncoding compiles the image tower, once in a run for all classifiers of a shape. Pictures are decoded batch at a
// time, in whole batches of the size that results are made with: no result depends on it.
func newEncoding(ctx context.Context, env *stages.Env, backend compute.Backend, c *classifier, batch int) (*encoding, error) {
	v, err := env.Shared.Get(ctx, fmt.Sprintf("image encoder %+v", c.Config), func(context.Context) (any, int64, error) {
		e, err := c.Config.NewImageEncoder(backend, clip.Batch)
		return e, 0, err
	})
	if err != nil {
		return nil, err
	}
	weights, err := c.Parameters.ToBackend(backend)
	if err != nil {
		return nil, err
	}
	whole := (batch + clip.Batch - 1) / clip.Batch * clip.Batch
	return &encoding{env, backend, c, preprocessing(c.Pixels), v.(*nn.Encoder[float32]), weights, whole}, nil
}

// features are those of every picture, [n, projection], not normalised.
func (e *encoding) features(ctx context.Context, p *pictureSet, progress func(done int)) ([]float32, error) {
	return e.selected(ctx, p, p.all(), progress)
}

// selected are the features of the pictures of those numbers.
func (e *encoding) selected(ctx context.Context, p *pictureSet, order []int, progress func(done int)) ([]float32, error) {
	return e.transformed(ctx, p, order, nil, progress)
}

// transformed are the features of pictures after a transformation; nil is that of evaluation.
func (e *encoding) transformed(ctx context.Context, p *pictureSet, order []int, transform loader.Transform, progress func(done int)) ([]float32, error) {
	var out []float32
	err := e.encode(ctx, p, order, transform, func(features []float32, done int) error {
		out = append(out, features...)
		progress(done)
		return nil
	})
	return out, err
}

// encode gives each the features of one batch after another, and how many pictures are done.
func (e *encoding) encode(ctx context.Context, p *pictureSet, order []int, transform loader.Transform, each func(features []float32, done int) error) error {
	batches, err := p.evaluated(ctx, order, e.batch, e.pixels)
	if err != nil {
		return err
	}
	if transform != nil {
		batches = p.batches(ctx, order, e.batch, e.pixels.Values(), transform)
	}
	done := 0
	for b, err := range batches {
		if err != nil {
			return err
		}
		f, err := e.encoder.Encode(ctx, e.weights, b.Values)
		if err != nil {
			return err
		}
		done += len(b.Pictures)
		if err := each(f, done); err != nil {
			return err
		}
	}
	return nil
}

// logits are the head's answers to features, [n, classes].
func (e *encoding) logits(ctx context.Context, features []float32) ([]float32, error) {
	classes := len(e.classifier.Classes)
	v, err := e.env.Shared.Get(ctx, fmt.Sprintf("head %d %+v", classes, e.classifier.Config), func(context.Context) (any, int64, error) {
		head, err := e.classifier.Config.NewHead(e.backend, clip.Batch, classes)
		return head, 0, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*nn.Encoder[float32]).Encode(ctx, e.weights, features)
}

func (e *encoding) close() error { return e.weights.Free() }
