package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"regft/compute"
	"regft/datasets/loader"
	"regft/datasets/pil"
	"regft/datasets/preprocess"
	"regft/models/adapter"
	"regft/models/clip"
	"regft/models/nn"
	"regft/models/rng"
	"regft/stages"
	"regft/train"
)

// Sources are the second encoder's checkpoint.
func (a *Adapt) Sources(context.Context) ([]stages.Source, error) {
	if a.SecondEncoder == "" {
		return nil, nil
	}
	file := string(a.SecondEncoder)
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("second_encoder: %w", err)
	}
	if !info.IsDir() {
		return []stages.Source{{Param: "second_encoder", Root: file}}, nil
	}
	for _, name := range []string{"model.safetensors", "pytorch_model.bin"} {
		if _, err := os.Stat(filepath.Join(file, name)); !errors.Is(err, fs.ErrNotExist) {
			return []stages.Source{{Param: "second_encoder", Root: filepath.Join(file, name)}}, err
		}
	}
	return nil, fmt.Errorf("second_encoder %s: the folder has neither model.safetensors nor pytorch_model.bin: name the file", file)
}

// MetricNames are the point; the epoch, counted from 1, and last loss of training; the accuracy on validate that the
// search found; and that on test, beside the largest that the published code would report.
func (a *Adapt) MetricNames() []string {
	names := []string{"beta", "alpha"}
	if adapter.Method(a.Method) == adapter.TipX {
		names = append(names, "gamma")
	}
	if adapter.Method(a.Method).Trains() {
		names = append(names, "epoch", "loss")
	}
	if a.Validation != nil {
		names = append(names, "validate_top1")
	}
	if a.Test != nil {
		names = append(names, "test_top1", "reported_top1")
	}
	return names
}

// An adaptation is one run of Adapt.
type adaptation struct {
	*Adapt
	env        *stages.Env
	backend    compute.Backend
	classifier *classifier
	encodings  []*encoding // the classifier's, then the second encoder's
	sets       []*shotSet  // real shots, then generated ones
	last       train.KeyRecord
}

// A shotSet is one of the sets of pictures that make the cache.
type shotSet struct {
	*pictureSet
	first int // the number of its first picture among the shots of all sets: no two share their augmentation
}

// Run makes the cache, trains its keys where the method does, and chooses epoch and point.
func (a *Adapt) Run(ctx context.Context, env *stages.Env) error {
	t := &adaptation{Adapt: a, env: env}
	defer t.close()
	if err := t.open(ctx); err != nil {
		return err
	}
	cache, err := t.cache(ctx)
	if err != nil {
		return err
	}
	run, err := t.choices(ctx)
	if err != nil {
		return err
	}
	chosen, err := run.Run(ctx, cache)
	if err != nil {
		return err
	}
	if err := t.record(ctx, cache, run, chosen); err != nil {
		return err
	}
	return t.write(cache)
}

// open opens classifier, encoders and shots.
func (t *adaptation) open(ctx context.Context) (err error) {
	if t.backend, err = backendOf(t.env); err != nil {
		return err
	}
	if t.classifier, err = openClassifier(ctx, t.env, t.backend, t.Classifier.Artifact()); err != nil {
		return err
	}
	e, err := newEncoding(ctx, t.env, t.backend, t.classifier, clip.Batch)
	if err != nil {
		return err
	}
	t.encodings = append(t.encodings, e)
	if t.SecondEncoder != "" {
		source, err := t.env.Source("second_encoder")
		if err != nil {
			return err
		}
		e, err := secondEncoding(ctx, t.env, t.backend, source, source.Manifest.Files[0].Name, t.classifier)
		if err != nil {
			return fmt.Errorf("second_encoder %s: %w", t.SecondEncoder, err)
		}
		t.encodings = append(t.encodings, e)
	}
	first := 0
	for _, in := range []struct {
		name string
		set  *stages.Input
	}{{"data", t.Data}, {"generated", t.Generated}} {
		if in.set == nil {
			continue
		}
		pictures, err := t.pictures(ctx, in.name, in.set)
		if err != nil {
			return err
		}
		t.sets = append(t.sets, &shotSet{pictures, first})
		first += len(pictures.Labels)
	}
	return nil
}

// pictures opens those of parameter name, which must be of the classifier's classes.
func (t *adaptation) pictures(ctx context.Context, name string, in *stages.Input) (*pictureSet, error) {
	if err := sameClasses(ctx, "classifier", t.Classifier.Artifact(), name, in.Artifact()); err != nil {
		return nil, err
	}
	p, err := openPictures(ctx, t.env, in.Artifact())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// view is the transformation, nil without augmentation, of an augmented view of a set's pictures. Views are numbered: first those averaged into
// each encoder's keys, which differ, then one for each epoch of training, the same for all encoders.
func (t *adaptation) view(e *encoding, set *shotSet, number int) loader.Transform {
	if t.Augment == "none" {
		return nil
	}
	return func(im *pil.Image, i int, out []float32) error {
		return e.pixels.Train(im, preprocess.TipAdapter, uint64(t.Seed), number, set.first+i, out)
	}
}

// features are those of all pictures of a set, [n, dim], as the encoder gives them.
func (t *adaptation) features(ctx context.Context, e *encoding, p *pictureSet, transform loader.Transform) (nn.Array, error) {
	n := len(p.Labels)
	values, err := e.transformed(ctx, p, p.all(), transform, func(done int) { t.env.Host.Progress(done, n, "pictures") })
	return nn.Array{Shape: []int{n, len(values) / n}, Values: values}, err
}

// cache is the adapter before training.
func (t *adaptation) cache(ctx context.Context) (*adapter.Adapter, error) {
	a := &adapter.Adapter{
		Method: adapter.Method(t.Method), Head: headArrays(t.classifier), Temperature: t.temperature(),
		Point:     adapter.Point{Beta: t.Beta.initial(), Alpha: t.Alpha.initial()},
		Published: t.Compat == "published", Workers: t.env.Cores,
	}
	if a.Method == adapter.TipX {
		a.Point.Gamma = t.Gamma.initial()
	}
	for _, set := range t.sets {
		a.Labels = append(a.Labels, set.Labels...)
	}
	for b, e := range t.encodings {
		var keys []nn.Array
		for _, set := range t.sets {
			k, err := t.keys(ctx, e, set, b*t.AugmentEpochs)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		a.Keys = append(a.Keys, adapter.Join(keys...))
	}
	return a, nil
}

// keys are one encoder's of one set, the mean over views from number first on.
func (t *adaptation) keys(ctx context.Context, e *encoding, set *shotSet, first int) (nn.Array, error) {
	passes := make([]nn.Array, t.AugmentEpochs)
	if t.Augment == "none" {
		passes = passes[:1]
	}
	for i := range passes {
		var err error
		if passes[i], err = t.features(ctx, e, set.pictureSet, t.view(e, set, first+i)); err != nil {
			return nn.Array{}, err
		}
	}
	return adapter.MeanKeys(passes), nil
}

func (t *adaptation) temperature() float64 {
	switch {
	case t.Temperature != nil:
		return *t.Temperature
	case adapter.Method(t.Method) == adapter.TipX:
		return 0.5
	}
	return 1
}

// headArrays is a classifier's head.
func headArrays(c *classifier) adapter.Head {
	return adapter.Head{Weight: c.Parameters[clip.HeadWeight], Bias: c.Parameters[clip.HeadBias].Values}
}

// choices are what train makes of the parameters.
func (t *adaptation) choices(ctx context.Context) (train.Adaptation, error) {
	r := train.Adaptation{
		Backend: t.backend, LearningRate: t.LearningRate, WeightDecay: t.WeightDecay, Epsilon: t.Epsilon,
		Epochs: t.Epochs, BatchSize: t.BatchSize, Grid: t.grid(), Stepped: t.stepped,
	}
	orders := t.orders()
	for i, set := range t.sets {
		r.Shots = append(r.Shots, train.Shots{
			Labels: set.Labels, Features: t.shotFeatures(set), Order: func(epoch int) []int { return orders(i, epoch) },
		})
	}
	var err error
	if r.Validation, err = t.samples(ctx, "validate", t.Validation); err != nil {
		return r, err
	}
	r.Test, err = t.samples(ctx, "test", t.Test)
	return r, err
}

// grid has the published starts: 0.1, and 1 for TIP-X's beta.
func (t *adaptation) grid() adapter.Grid {
	const start = 0.1
	if adapter.Method(t.Method) == adapter.TipX {
		return adapter.Grid{Beta: t.Beta.line(1), Alpha: t.Alpha.line(start), Gamma: t.Gamma.line(start)}
	}
	return adapter.Grid{Beta: t.Beta.line(start), Alpha: t.Alpha.line(start), Gamma: adapter.Fixed(0)}
}

// samples are the unit features of pictures to choose by, nil without any.
func (t *adaptation) samples(ctx context.Context, name string, in *stages.Input) (*adapter.Samples, error) {
	if in == nil {
		return nil, nil
	}
	p, err := t.pictures(ctx, name, in)
	if err != nil {
		return nil, err
	}
	s := &adapter.Samples{Labels: p.Labels}
	for _, e := range t.encodings {
		f, err := t.features(ctx, e, p, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.Features = append(s.Features, adapter.Unit(f))
	}
	return s, nil
}

// shotFeatures gives the unit features of a set in an epoch: of new views, or always the same without augmentation.
func (t *adaptation) shotFeatures(set *shotSet) func(context.Context, int) ([]nn.Array, error) {
	var plain []nn.Array
	return func(ctx context.Context, epoch int) ([]nn.Array, error) {
		if plain != nil {
			return plain, nil
		}
		var all []nn.Array
		for _, e := range t.encodings {
			f, err := t.features(ctx, e, set.pictureSet, t.view(e, set, len(t.encodings)*t.AugmentEpochs+epoch))
			if err != nil {
				return nil, err
			}
			all = append(all, adapter.Unit(f))
		}
		if t.Augment == "none" {
			plain = all
		}
		return all, nil
	}
}

// orders gives the order of set i in an epoch: torch.randperm from one generator, carried from set to set and epoch to
// epoch. It must be asked in that order.
func (t *adaptation) orders() func(i, epoch int) []int {
	g := rng.New(uint64(t.Seed))
	return func(i, _ int) []int {
		if !t.Shuffle {
			return t.sets[i].all()
		}
		return g.Randperm(len(t.sets[i].Labels))
	}
}

func (t *adaptation) stepped(r train.KeyRecord) {
	t.last = r
	t.env.Host.Series(r.Step, map[string]float64{"loss": float64(r.Loss), "learning_rate": r.LearningRate})
}

// record writes the metrics.
func (t *adaptation) record(ctx context.Context, a *adapter.Adapter, run train.Adaptation, chosen train.Adapted) error {
	metrics := map[string]float64{"beta": a.Point.Beta, "alpha": a.Point.Alpha, "gamma": a.Point.Gamma, "epoch": float64(chosen.Epoch + 1), "loss": float64(t.last.Loss)}
	if run.Validation != nil {
		n := float64(len(run.Validation.Labels))
		metrics["validate_top1"] = float64(chosen.Found.Correct) / n
		for epoch, correct := range chosen.ValidationCorrect {
			t.env.Host.Series((t.last.Step+1)/t.Epochs*(epoch+1)-1, map[string]float64{"validate_top1": float64(correct) / n})
		}
	}
	if run.Test != nil {
		if a.Method.Trains() {
			t.env.Log.Warn().Msg("compat: published chose the epoch on the test set: its accuracy there is too high")
		}
		correct, err := a.Correct(ctx, *run.Test)
		if err != nil {
			return err
		}
		n, best := float64(len(run.Test.Labels)), correct
		for _, c := range chosen.TestCorrect {
			best = max(best, c)
		}
		metrics["test_top1"], metrics["reported_top1"] = float64(correct)/n, float64(best)/n
	}
	for _, name := range t.MetricNames() {
		t.env.Host.Metric(name, metrics[name])
	}
	return nil
}

func (t *adaptation) close() {
	for _, e := range t.encodings {
		if err := e.close(); err != nil {
			t.env.Log.Warn().Err(err).Msg("releasing an encoder")
		}
	}
}
