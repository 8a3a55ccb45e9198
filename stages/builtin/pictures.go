package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"regft/datasets"
	"regft/datasets/loader"
	"regft/datasets/pil"
	"regft/datasets/preprocess"
	"regft/models/clip"
	"regft/stages"
)

// What stays of one set's pictures in memory for further passes and stages is bounded, in bytes: decoded ones, for
// training, and those that are resized for a tower, for all that only looks at them.
const (
	decodedLimit = 256 << 20
	resizedLimit = 512 << 20
)

// A pictureSet is an images artifact whose pictures can be loaded.
type pictureSet struct {
	Classes []datasets.Class
	Labels  []int
	env     *stages.Env
	digest  string
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
	p := &pictureSet{Classes: set.classes, env: env, digest: a.Digest.String()}
	names := make([]string, len(set.images))
	for i, im := range set.images {
		p.Labels, names[i] = append(p.Labels, im.Label), im.FileName
	}
	cache, err := p.cache(ctx, "decoded", decodedLimit)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, i int) (io.ReadCloser, error) { return a.Open(ctx, names[i]) }
	p.path = func(ctx context.Context, i int) (string, error) { return a.Path(ctx, names[i]) }
	p.loader = &loader.Loader{Names: names, Open: open, Workers: env.Cores, Cache: cache}
	return p, nil
}

// cache keeps the set's pictures in a form, for all stages of the run.
func (p *pictureSet) cache(ctx context.Context, form string, limit int64) (*loader.Cache, error) {
	v, err := p.env.Shared.Get(ctx, form+" "+p.digest, func(context.Context) (any, int64, error) {
		return loader.NewCache(limit), limit, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*loader.Cache), nil
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
	return p.located(ctx, p.loader.Batches(ctx, order, size, values, transform))
}

// evaluated loads pictures in the order given, resized for evaluation. However many classifiers look at them, side by
// side or one after another, a picture that stays in memory is decoded and resized once.
func (p *pictureSet) evaluated(ctx context.Context, order []int, size int, pixels preprocess.CLIP) (iter.Seq2[loader.Batch, error], error) {
	cache, err := p.cache(ctx, fmt.Sprintf("resized %+v", pixels), resizedLimit)
	if err != nil {
		return nil, err
	}
	resized := *p.loader
	resized.Prepare, resized.Cache = pixels.Resize, cache
	normalize := func(im *pil.Image, _ int, out []float32) error { return pixels.Normalize(im, out) }
	return p.located(ctx, resized.Batches(ctx, order, size, pixels.Values(), normalize)), nil
}

// located names files in the errors of batches.
func (p *pictureSet) located(ctx context.Context, batches iter.Seq2[loader.Batch, error]) iter.Seq2[loader.Batch, error] {
	return func(yield func(loader.Batch, error) bool) {
		for b, err := range batches {
			if !yield(b, p.locate(ctx, err)) {
				return
			}
		}
	}
}

func (p *pictureSet) locate(ctx context.Context, err error) error {
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

// unreadable is the error of a picture of a set, with its file on this machine.
func unreadable(ctx context.Context, a stages.Artifact, name string, err error) error {
	if path, missing := a.Path(ctx, name); missing == nil {
		name += " (" + path + ")"
	}
	return fmt.Errorf("reading the picture %s: %w", name, err)
}

// preprocessing is a checkpoint's, in the terms of package preprocess.
func preprocessing(p clip.Preprocessor) preprocess.CLIP {
	return preprocess.CLIP{Size: p.Resize, Crop: p.Crop, Filter: pil.Filter(p.Resample), Mean: p.Mean, Std: p.Std}
}
