package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/nn"
)

// A Batch is what one step learns from.
type Batch struct {
	Pixels []float32 // [n, channels, image, image], normalised
	Labels []int32   // [n]
}

// A Record is what one step measured, before it changed the parameters.
type Record struct {
	Step            int     `json:"step"` // counted from 0
	LearningRate    float64 `json:"learning_rate"`
	Loss            float32 `json:"loss"`
	CrossEntropy    float32 `json:"cross_entropy"`
	Variance        float32 `json:"variance"`   // regulariser, without its weight
	Covariance      float32 `json:"covariance"` // regulariser, without its weight
	GradNorm        float32 `json:"grad_norm"`  // before clipping
	FeatureVariance float32 `json:"feature_variance"`
	Distance        float32 `json:"distance"` // from the start's features: mean ‖z − z_start‖², of a Method with Distill
	L2SP            float32 `json:"l2_sp"`    // part of the loss with its weight, of a Method with L2SP
}

// A NotFiniteError says that training has diverged: the loss or the length of the gradients is NaN or infinite.
type NotFiniteError struct{ Record Record }

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("training diverged at step %d: loss %.4g (cross-entropy %.4g), gradient norm %.4g; a lower learning_rate, "+
		"now %.4g, is the usual remedy", e.Record.Step, e.Record.Loss, e.Record.CrossEntropy, e.Record.GradNorm, e.Record.LearningRate)
}

// A Trainer is one training run. It is not for several goroutines at once; several Trainers may share a Program.
type Trainer struct {
	program *Program
	options Options
	state   nn.Weights
	next    int   // the next step
	broken  error // why the state cannot be used any more
}

// NewTrainer starts a run at a classifier's parameters.
func NewTrainer(p *Program, o Options, start nn.Arrays) (*Trainer, error) {
	arrays := nn.Arrays{}
	maps.Copy(arrays, start)
	maps.Copy(arrays, p.method.LoRA.start(p.adapters, o.Seed))
	for _, name := range p.trained {
		shape := p.shape(name)
		for _, moment := range []string{firstMoment, secondMoment} {
			arrays[moment+"."+name] = nn.Array{Shape: shape, Values: make([]float32, size(shape))}
		}
		if p.method.Average {
			arrays[movingAverage+"."+name] = arrays[name]
		}
	}
	return Resume(p, o, start, State{Arrays: arrays})
}

// Resume goes on with a run that started at a classifier's parameters, where its state was taken. The steps that follow
// have the bits that they would have had without the interruption.
func Resume(p *Program, o Options, start nn.Arrays, state State) (*Trainer, error) {
	if err := errors.Join(o.Validate(), o.validateGroups(p.trained)); err != nil {
		return nil, err
	}
	if err := state.fits(p.state()); err != nil {
		return nil, err
	}
	if state.Step < 0 || state.Step >= o.Steps {
		return nil, fmt.Errorf("step %d to go on from is none of %d", state.Step, o.Steps)
	}
	arrays := nn.Arrays{}
	maps.Copy(arrays, state.Arrays)
	for _, name := range p.anchored() {
		arrays[startValue+"."+name] = start[name]
	}
	weights, err := arrays.ToBackend(p.backend)
	if err != nil {
		return nil, err
	}
	return &Trainer{program: p, options: o, state: weights, next: state.Step}, nil
}

// Run takes a step for every batch, until there are no more. each is called after every step; its error stops the
// run, as do a batch's error and ctx's end.
func (t *Trainer) Run(ctx context.Context, batches iter.Seq2[Batch, error], each func(Record) error) error {
	for batch, err := range batches {
		if err != nil {
			return err
		}
		record, err := t.Step(ctx, batch)
		if err != nil {
			return err
		}
		if err := each(record); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Step learns from one batch. After an error of the step itself, such as a *NotFiniteError, the Trainer is of no
// use, nor is it where ctx ends within a step: go on from the last saved State.
func (t *Trainer) Step(ctx context.Context, batch Batch) (Record, error) {
	if err := errors.Join(t.broken, ctx.Err()); err != nil {
		return Record{}, err
	}
	if err := t.check(batch); err != nil {
		return Record{}, fmt.Errorf("training step %d: %w", t.next, err)
	}
	record, err := t.step(ctx, batch)
	if err != nil {
		t.broken = err
		if _, diverged := errors.AsType[*NotFiniteError](err); !diverged { // which says its step
			t.broken = fmt.Errorf("training step %d: %w", t.next, err)
		}
		return record, t.broken
	}
	t.next++
	return record, nil
}

func (t *Trainer) check(batch Batch) error {
	n, row := len(batch.Labels), t.program.pixels(1).Size()
	if n == 0 || len(batch.Pixels) != n*row {
		return fmt.Errorf("a batch of %d labels needs %d pixel values, it has %d", n, n*row, len(batch.Pixels))
	}
	if n == 1 && t.options.UsesVC() {
		return errors.New("a batch of one picture has no covariance, which vc_reg needs: change batch_size so that the last batch has two, or set vc_reg to 0, 0")
	}
	for i, label := range batch.Labels {
		if label < 0 || int(label) >= t.program.classes {
			return fmt.Errorf("picture %d of the batch has label %d, the classifier has %d classes", i, label, t.program.classes)
		}
	}
	return nil
}

func (t *Trainer) step(ctx context.Context, batch Batch) (Record, error) {
	n := len(batch.Labels)
	if m := t.options.MicroBatch; m > 0 && m < n {
		return t.accumulate(ctx, batch)
	}
	step, err := t.program.compiledStep(n)
	if err != nil {
		return Record{}, err
	}
	inputs, err := t.inputs(batch)
	defer free(inputs)
	if err != nil {
		return Record{}, err
	}
	outputs, err := t.replace(ctx, step, t.program.outputs(), 1, inputs...)
	if err != nil {
		return Record{}, err
	}
	defer free(outputs)
	record, err := t.record(outputs[0])
	if err != nil {
		return record, err
	}
	return record, record.finite()
}

// replace runs a program that gives new values of the named state after its first outputs, which are the caller's. The
// state's memory is the program's to use.
func (t *Trainer) replace(ctx context.Context, program *nn.Program, changed []string, first int, inputs ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	donated := make(map[string]bool, len(changed))
	for _, name := range changed {
		donated[name] = true
	}
	outputs, err := program.RunDonating(ctx, t.state, func(name string) bool { return donated[name] }, inputs...)
	if err != nil {
		return nil, err
	}
	for i, name := range changed {
		t.state[name] = outputs[first+i]
	}
	return outputs[:first], nil
}

// scalars are the values of hyper at the next step.
func (t *Trainer) scalars() []float32 {
	return t.options.hyperValues(t.next, t.program.trained, t.program.config.Vision.Layers)
}

func (t *Trainer) inputs(batch Batch) ([]*tensors.Tensor, error) {
	b, n := t.program.backend, len(batch.Labels)
	pixels, err1 := nn.ToBackend(b, batch.Pixels, t.program.pixels(n).Dimensions...)
	labels, err2 := nn.ToBackend(b, batch.Labels, n)
	scalars, err3 := nn.ToBackend(b, t.scalars(), t.program.hypers().Dimensions...)
	return []*tensors.Tensor{pixels, labels, scalars}, errors.Join(err1, err2, err3)
}

func (t *Trainer) record(values *tensors.Tensor) (Record, error) {
	v, err := tensors.CopyFlatData[float32](values)
	if err != nil {
		return Record{}, err
	}
	return Record{
		Step: t.next, LearningRate: t.options.LearningRateAt(t.next),
		Loss: v[0], CrossEntropy: v[1], Variance: v[2], Covariance: v[3], GradNorm: v[4], FeatureVariance: v[5], Distance: v[6], L2SP: v[7],
	}, nil
}

// finite refuses a step from which there is no way on.
func (r Record) finite() error {
	if !finite(r.Loss) || !finite(r.GradNorm) {
		return &NotFiniteError{r}
	}
	return nil
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

func free(values []*tensors.Tensor) {
	for _, v := range values {
		if v != nil {
			v.FinalizeAll()
		}
	}
}

// Parameters copies the classifier's parameters to the host: low-rank updates merged, of a Method with Average the
// moving averages.
func (t *Trainer) Parameters() (nn.Arrays, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	classifier, err := t.state.ToHost(names(t.program.parameters)...)
	if err != nil {
		return nil, err
	}
	trained, err := t.trained()
	if err != nil {
		return nil, err
	}
	if t.program.method.Part == LowRank {
		return t.program.method.LoRA.merged(classifier, trained), nil
	}
	maps.Copy(classifier, trained)
	return classifier, nil
}

// Adapters copies the low-rank updates of a run of LowRank to the host, MODULE.lora_A.weight [rank, in] and
// MODULE.lora_B.weight [out, rank]; none of another run.
func (t *Trainer) Adapters() (nn.Arrays, error) {
	if t.broken != nil || t.program.method.Part != LowRank {
		return nil, t.broken
	}
	return t.trained()
}

// trained copies what is trained to the host, or its averages.
func (t *Trainer) trained() (nn.Arrays, error) {
	if !t.program.method.Average {
		return t.state.ToHost(t.program.trained...)
	}
	out := nn.Arrays{}
	for _, name := range t.program.trained {
		average := movingAverage + "." + name
		a, err := t.state.ToHost(average)
		if err != nil {
			return nil, err
		}
		out[name] = a[average]
	}
	return out, nil
}

// State copies all that the run needs to go on to the host.
func (t *Trainer) State() (State, error) {
	if t.broken != nil {
		return State{}, t.broken
	}
	arrays, err := t.state.ToHost(names(t.program.state())...)
	return State{Step: t.next, Arrays: arrays}, err
}

// Close releases the run's memory on the backend.
func (t *Trainer) Close() error { return t.state.Free() }
