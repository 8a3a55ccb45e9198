package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"

	"regft/compute"
	"regft/datasets/pil"
	"regft/datasets/preprocess"
	"regft/models/rng"
	"regft/stages"
	"regft/train"
)

// MetricNames are of the last step; validate_top1 is there with validate.
func (f *FineTune) MetricNames() []string {
	if f.Validation == nil {
		return []string{"steps", "loss"}
	}
	return []string{"steps", "loss", "validate_top1"}
}

// A tuning is one run of FineTune.
type tuning struct {
	*FineTune
	env        *stages.Env
	backend    compute.Backend
	start      *classifier
	pictures   *pictureSet
	validation *pictureSet // nil without validate
	pixels     preprocess.CLIP
	program    *train.Program
	trainer    *train.Trainer
	checkpoint string // where the state is kept
	last       train.Record
	accuracy   float64 // on the validation pictures
}

// Run trains, from the last checkpoint of a run that was killed.
func (f *FineTune) Run(ctx context.Context, env *stages.Env) error {
	t, err := f.prepare(ctx, env)
	if err != nil {
		return err
	}
	defer t.close()
	for epoch := t.step() / t.perEpoch(); epoch < f.Epochs; epoch++ {
		if err := t.epoch(ctx, epoch); err != nil {
			return err
		}
		if err := t.validate(ctx, epoch); err != nil {
			return fmt.Errorf("validating after epoch %d: %w", epoch+1, err)
		}
	}
	return t.finish(env)
}

func (f *FineTune) prepare(ctx context.Context, env *stages.Env) (*tuning, error) {
	t := &tuning{FineTune: f, env: env}
	var err error
	if t.pictures, err = t.open(ctx, "data", f.Data); err != nil {
		return nil, err
	}
	if f.Validation != nil {
		if t.validation, err = t.open(ctx, "validate", *f.Validation); err != nil {
			return nil, err
		}
	}
	if err := f.checkLastBatch(len(t.pictures.Labels)); err != nil {
		return nil, err
	}
	if t.backend, err = backendOf(env); err != nil {
		return nil, err
	}
	if t.start, err = openClassifier(ctx, t.env, t.backend, f.Classifier.Artifact()); err != nil {
		return nil, err
	}
	t.pixels = preprocessing(t.start.Pixels)
	if t.program, err = t.shareProgram(ctx); err != nil {
		return nil, err
	}
	return t, t.begin()
}

// open opens the pictures of parameter name, which must be of the classifier's classes.
func (t *tuning) open(ctx context.Context, name string, in stages.Input) (*pictureSet, error) {
	if err := sameClasses(ctx, "classifier", t.Classifier.Artifact(), name, in.Artifact()); err != nil {
		return nil, err
	}
	pictures, err := openPictures(ctx, t.env, in.Artifact())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return pictures, nil
}

// checkLastBatch refuses a last batch of one picture, which has no variance.
func (f *FineTune) checkLastBatch(n int) error {
	if n%f.BatchSize != 1 && f.BatchSize != 1 || f.VCReg == (VCReg{}) {
		return nil
	}
	if n == 1 {
		return errors.New("vc_reg needs the variance of a batch, and there is one picture in all: train on more, or set vc_reg to {variance: 0, covariance: 0}")
	}
	fits := f.BatchSize + 1
	for n%fits == 1 {
		fits++
	}
	return fmt.Errorf("%d pictures in batches of %d leave a last batch of one, which has no variance for vc_reg: "+
		"set batch_size to %d, or change the number of pictures", n, f.BatchSize, fits)
}

// method is what a step computes.
func (f *FineTune) method() train.Method {
	m := train.Method{Part: train.Part(f.Train), Average: f.EMA != nil, L2SP: f.L2SP != nil, Distill: f.Distill != nil}
	if m.Part == train.LowRank {
		m.LoRA = train.LoRA(defaultLoRA)
		if f.LoRA != nil {
			m.LoRA = train.LoRA(*f.LoRA)
		}
	}
	return m
}

// shareProgram prepares the step that all trainings of this shape compile once.
func (t *tuning) shareProgram(ctx context.Context) (*train.Program, error) {
	classes := len(t.start.Classes)
	key := fmt.Sprintf("train %+v %d %+v", t.method(), classes, t.start.Config)
	v, err := t.env.Shared.Get(ctx, key, func(context.Context) (any, int64, error) {
		p, err := train.NewProgram(t.backend, t.start.Config, classes, t.method())
		return p, 0, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*train.Program), nil
}

func (t *tuning) perEpoch() int { return (len(t.pictures.Labels) + t.BatchSize - 1) / t.BatchSize }

func (t *tuning) options() train.Options {
	o := train.Options{
		Steps: t.Epochs * t.perEpoch(), LearningRate: t.LearningRate, WarmupSteps: t.WarmupSteps, Schedule: train.Schedule(t.Schedule),
		WeightDecay: t.WeightDecay, LabelSmoothing: t.LabelSmoothing, LambdaCE: t.LambdaCE,
		Variance: t.VCReg.Variance, Covariance: t.VCReg.Covariance, ClipGradNorm: t.ClipGradNorm,
		LayerDecay: orZero(t.LayerDecay), AverageDecay: orZero(t.EMA), L2SP: orZero(t.L2SP), Distill: orZero(t.Distill),
		MicroBatch: orZero(t.MicroBatch), Seed: uint64(t.Seed),
	}
	for _, g := range t.Groups {
		o.Groups = append(o.Groups, train.Group(g))
	}
	return o
}

// orZero is what a parameter that was left out means to package train.
func orZero[T any](v *T) T {
	if v == nil {
		return *new(T)
	}
	return *v
}

// begin starts at the classifier, or at a checkpoint that was left.
func (t *tuning) begin() error {
	if o := t.options(); o.WarmupSteps >= o.Steps {
		t.env.Log.Warn().Int("warmup_steps", o.WarmupSteps).Int("steps", o.Steps).Msg("warm-up outlasts training: the learning rate never reaches learning_rate")
	}
	dir, err := t.env.Host.Partial(false)
	if err != nil {
		return err
	}
	defer func() { t.env.Host.Progress(t.step(), t.options().Steps, "steps") }()
	t.checkpoint = filepath.Join(dir, "state.safetensors")
	state, err := train.ReadState(t.checkpoint)
	if err == nil {
		if t.trainer, err = train.Resume(t.program, t.options(), t.start.Parameters, state); err == nil {
			t.env.Log.Info().Int("step", state.Step).Msg("going on from a checkpoint")
			t.last.Step = state.Step - 1
			return nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.env.Log.Warn().Err(err).Msg("the checkpoint of a run that was stopped cannot be used: training begins anew")
	}
	t.last.Step = -1
	t.trainer, err = train.NewTrainer(t.program, t.options(), t.start.Parameters)
	return err
}

// step is the next step.
func (t *tuning) step() int { return t.last.Step + 1 }

// epoch trains on what is left of one epoch.
func (t *tuning) epoch(ctx context.Context, epoch int) error {
	order := t.order(epoch)[(t.step()-epoch*t.perEpoch())*t.BatchSize:]
	transform := func(im *pil.Image, i int, out []float32) error {
		switch t.Augment {
		case "none":
			return t.pixels.Evaluate(im, out)
		case "tip_adapter":
			return t.pixels.Train(im, preprocess.TipAdapter, uint64(t.Seed), epoch, i, out)
		}
		return t.pixels.Train(im, preprocess.RegFT, uint64(t.Seed), epoch, i, out)
	}
	return t.trainer.Run(ctx, t.batches(ctx, order, transform), t.stepped)
}

// order is that of an epoch: torch.randperm from one generator, carried from epoch to epoch.
func (t *tuning) order(epoch int) []int {
	if !t.Shuffle {
		return t.pictures.all()
	}
	g := rng.New(uint64(t.Seed))
	for range epoch {
		g.Randperm(len(t.pictures.Labels))
	}
	return g.Randperm(len(t.pictures.Labels))
}

func (t *tuning) batches(ctx context.Context, order []int, transform func(*pil.Image, int, []float32) error) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for b, err := range t.pictures.batches(ctx, order, t.BatchSize, t.pixels.Values(), transform) {
			if err != nil {
				yield(train.Batch{}, err)
				return
			}
			labels := make([]int32, len(b.Pictures))
			for k, i := range b.Pictures {
				labels[k] = int32(t.pictures.Labels[i])
			}
			if !yield(train.Batch{Pixels: b.Values, Labels: labels}, nil) {
				return
			}
		}
	}
}

// stepped records a step, and keeps the state after every checkpoint_every.
func (t *tuning) stepped(r train.Record) error {
	t.last = r
	values := map[string]float64{
		"loss": float64(r.Loss), "cross_entropy": float64(r.CrossEntropy), "variance": float64(r.Variance), "covariance": float64(r.Covariance),
		"learning_rate": r.LearningRate, "grad_norm": float64(r.GradNorm), "feature_variance": float64(r.FeatureVariance),
	}
	if t.L2SP != nil {
		values["l2_sp"] = float64(r.L2SP)
	}
	if t.Distill != nil {
		values["distance"] = float64(r.Distance)
	}
	t.env.Host.Series(r.Step, values)
	t.logStep(r)
	steps := t.options().Steps
	t.env.Host.Progress(r.Step+1, steps, "steps")
	// Not at the end: whoever goes on takes the last step, which is what the metrics are of.
	if done := r.Step + 1; done%t.CheckpointEvery != 0 || done == steps {
		return nil
	}
	state, err := t.trainer.State()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := state.Write(&b); err != nil {
		return err
	}
	return replaceFile(t.checkpoint, b.Bytes())
}

// logStep logs the first step, the last of each epoch, and so the end.
func (t *tuning) logStep(r train.Record) {
	if r.Step != 0 && (r.Step+1)%t.perEpoch() != 0 {
		return
	}
	t.env.Log.Info().Int("step", r.Step+1).Int("of", t.options().Steps).Float32("loss", r.Loss).Float64("learning_rate", r.LearningRate).
		Float32("grad_norm", r.GradNorm).Msg("trained")
}

// validate measures accuracy after an epoch.
func (t *tuning) validate(ctx context.Context, epoch int) error {
	if t.validation == nil {
		return nil
	}
	now := *t.start
	var err error
	if now.Parameters, err = t.trainer.Parameters(); err != nil {
		return err
	}
	e, err := newEncoding(ctx, t.env, t.backend, &now, validationBatch)
	if err != nil {
		return err
	}
	defer e.close()
	features, err := e.features(ctx, t.validation, func(int) {})
	if err != nil {
		return err
	}
	logits, err := e.logits(ctx, features)
	if err != nil {
		return err
	}
	t.accuracy = measure(logits, t.validation.Labels, len(t.start.Classes))["top1"]
	t.env.Host.Series(t.last.Step, map[string]float64{"validate_top1": t.accuracy})
	t.env.Log.Info().Int("epoch", epoch+1).Float64("validate_top1", t.accuracy).Msg("epoch done")
	return nil
}

// validationBatch is how many pictures are classified at once after an epoch.
const validationBatch = 32

// finish writes the classifier: what was trained, and the rest of the one that training began with. Low-rank updates are
// merged, and lie beside it.
func (t *tuning) finish(env *stages.Env) error {
	parameters, err := t.trainer.Parameters()
	if err != nil {
		return err
	}
	adapters, err := t.trainer.Adapters()
	if err != nil {
		return err
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	if err := writeOwn(dir, imageTower(parameters), parameters); err != nil {
		return err
	}
	if adapters != nil {
		if err := writeLoRA(filepath.Join(dir, loraFolder), t.method().LoRA, adapters); err != nil {
			return err
		}
	}
	keepShared(env, t.Classifier.Artifact())
	env.Host.Metric("steps", float64(t.step()))
	env.Host.Metric("loss", float64(t.last.Loss))
	if t.Validation != nil {
		env.Host.Metric("validate_top1", t.accuracy)
	}
	return nil
}

func (t *tuning) close() error { return t.trainer.Close() }
