package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"regft/compute"
	"regft/datasets"
	"regft/datasets/loader"
	"regft/datasets/pil"
	"regft/datasets/preprocess"
	"regft/models/clip"
	"regft/models/nn"
	"regft/stages"
)

// decodedLimit bounds the decoded pictures of one set that stay in memory for further passes and stages, in bytes.
const decodedLimit = 256 << 20

// A pictureSet is an images artifact whose pictures can be loaded.
type pictureSet struct {
	Classes []datasets.Class
	Labels  []int
	loader  *loader.Loader
	path    func(ctx context.Context, i int) (string, error) // of picture i's file
}

// openPictures opens a set of labelled pictures. Decoded pictures are shared by all stages of the run.
func openPictures(ctx context.Context, env *stages.Env, a stages.Artifact) (*pictureSet, error) {
	set, err := readImages(ctx, a)
	if err != nil {
		return nil, err
	}
	for _, im := range set.images {
		if im.Label == datasets.Unlabelled {
			return nil, fmt.Errorf("picture %s has no label", im.FileName)
		}
	}
	return openSet(ctx, env, a, set)
}

// openSet opens the pictures of a, with or without labels. There must be one.
func openSet(ctx context.Context, env *stages.Env, a stages.Artifact, set *imageSet) (*pictureSet, error) {
	if len(set.images) == 0 {
		return nil, errors.New("there are no pictures")
	}
	p := &pictureSet{Classes: set.classes}
	names := make([]string, len(set.images))
	for i, im := range set.images {
		p.Labels, names[i] = append(p.Labels, im.Label), im.FileName
	}
	cache, err := env.Shared.Get(ctx, "decoded "+a.Digest.String(), func(context.Context) (any, int64, error) {
		return loader.NewCache(decodedLimit), decodedLimit, nil
	})
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, i int) (io.ReadCloser, error) { return a.Open(ctx, names[i]) }
	p.path = func(ctx context.Context, i int) (string, error) { return a.Path(ctx, names[i]) }
	p.loader = &loader.Loader{Names: names, Open: open, Workers: env.Cores, Cache: cache.(*loader.Cache)}
	return p, nil
}

// all is the order of the set.
func (p *pictureSet) all() []int {
	order := make([]int, len(p.Labels))
	for i := range order {
		order[i] = i
	}
	return order
}

// batches loads pictures in the order given. An error names the picture's file beside its name in the set.
func (p *pictureSet) batches(ctx context.Context, order []int, size, values int, transform loader.Transform) iter.Seq2[loader.Batch, error] {
	return func(yield func(loader.Batch, error) bool) {
		for b, err := range p.loader.Batches(ctx, order, size, values, transform) {
			if !yield(b, p.located(ctx, err)) {
				return
			}
		}
	}
}

func (p *pictureSet) located(ctx context.Context, err error) error {
	var bad *loader.PictureError
	if !errors.As(err, &bad) {
		return err
	}
	path, missing := p.path(ctx, bad.Index)
	if missing != nil { // err is of the file already, and names it
		return err
	}
	return fmt.Errorf("reading the picture %s (%s): %w", bad.Name, path, bad.Err)
}

// preprocessing is a checkpoint's, in the terms of package preprocess.
func preprocessing(p clip.Preprocessor) preprocess.CLIP {
	return preprocess.CLIP{Size: p.Resize, Crop: p.Crop, Filter: pil.Filter(p.Resample), Mean: p.Mean, Std: p.Std}
}

// An encoding turns pictures into features with one classifier.
type encoding struct {
	classifier *classifier
	pixels     preprocess.CLIP
	encoder    *nn.Encoder[float32]
	weights    nn.Weights
	batch      int
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
	return &encoding{c, preprocessing(c.Pixels), v.(*nn.Encoder[float32]), weights, whole}, nil
}

// features are those of every picture, [n, projection], not normalised.
func (e *encoding) features(ctx context.Context, p *pictureSet, progress func(done int)) ([]float32, error) {
	return e.transformed(ctx, p, e.evaluate, progress)
}

// transformed are the features of every picture after a transformation.
func (e *encoding) transformed(ctx context.Context, p *pictureSet, transform loader.Transform, progress func(done int)) ([]float32, error) {
	return e.selected(ctx, p, p.all(), transform, progress)
}

// selected are the features of the pictures of those numbers after a transformation.
func (e *encoding) selected(ctx context.Context, p *pictureSet, order []int, transform loader.Transform, progress func(done int)) ([]float32, error) {
	var out []float32
	done := 0
	for b, err := range p.batches(ctx, order, e.batch, e.pixels.Values(), transform) {
		if err != nil {
			return nil, err
		}
		f, err := e.encoder.Encode(ctx, e.weights, b.Values)
		if err != nil {
			return nil, err
		}
		out = append(out, f...)
		done += len(b.Pictures)
		progress(done)
	}
	return out, nil
}

func (e *encoding) evaluate(im *pil.Image, _ int, out []float32) error {
	return e.pixels.Evaluate(im, out)
}

// logits are the head's answers to features, [n, classes].
func (e *encoding) logits(ctx context.Context, backend compute.Backend, features []float32) ([]float32, error) {
	head, err := e.classifier.Config.NewHead(backend, clip.Batch, len(e.classifier.Classes))
	if err != nil {
		return nil, err
	}
	defer head.Free()
	return head.Encode(ctx, e.weights, features)
}

func (e *encoding) close() error { return e.weights.Free() }
