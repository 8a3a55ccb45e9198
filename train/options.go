package train

import (
	"errors"
	"fmt"
	"math"
)

// A Schedule says how the learning rate goes on after its linear warm-up.
type Schedule string

// The schedules.
const (
	Cosine   Schedule = "cosine"
	Constant Schedule = "constant"
)

// Options are the hyper-parameters of a run. None of them is part of the compiled program.
type Options struct {
	Steps          int // of the whole run: the cosine ends there
	LearningRate   float64
	WarmupSteps    int
	Schedule       Schedule
	WeightDecay    float64 // decoupled, on every trained parameter
	LabelSmoothing float64
	LambdaCE       float64 // weight of the cross-entropy
	Variance       float64 // weight of the variance regulariser; 0: none
	Covariance     float64 // weight of the covariance regulariser; 0: none
	ClipGradNorm   float64 // length that all gradients together are cut to; 0: not cut
	Groups         []Group // parameters with hyper-parameters of their own
	LayerDecay     float64 // learning rate of a layer over that of the layer above; 0: all alike
	AverageDecay   float64 // of a Method with Average: weight of the average so far, after every step
	L2SP           float64 // of a Method with L2SP: weight of ½·‖θ − θ_start‖² in the loss (Li et al., arXiv 1802.01483)
	Distill        float64 // of a Method with Distill: weight of mean ‖z − z_start‖² over the batch (arXiv 2308.13320)
	MicroBatch     int     // pictures that go through the tower at once; 0: the whole batch
	Seed           uint64  // of where LowRank starts
}

// LearningRateAt is the learning rate of a step, counted from 0 (RegFT's published code):
//
//	lr·(step+1)/warmup                            for step < warmup
//	lr·½·(1 + cos(π·(step−warmup)/(steps−warmup)))  after that, or lr where the schedule is constant
func (o Options) LearningRateAt(step int) float64 { return o.scheduled(o.LearningRate, step) }

// scheduled is the learning rate of a step where the largest is lr.
func (o Options) scheduled(lr float64, step int) float64 {
	if step < o.WarmupSteps {
		return lr * float64(step+1) / float64(o.WarmupSteps)
	}
	if o.Schedule == Constant {
		return lr
	}
	done := float64(step-o.WarmupSteps) / float64(o.Steps-o.WarmupSteps)
	return 0.5 * (1 + math.Cos(math.Pi*done)) * lr
}

// UsesVC tells whether the run has a variance-covariance regulariser, for which a batch needs two pictures.
func (o Options) UsesVC() bool { return o.Variance != 0 || o.Covariance != 0 }

// Validate reports every value that no run can have.
func (o Options) Validate() error {
	var errs []error
	if o.Schedule != Cosine && o.Schedule != Constant {
		errs = append(errs, fmt.Errorf("schedule is %q, expected %s or %s", o.Schedule, Cosine, Constant))
	}
	if o.Steps < 1 || o.WarmupSteps < 0 {
		errs = append(errs, fmt.Errorf("%d steps with %d of warm-up, expected at least 1 and 0", o.Steps, o.WarmupSteps))
	}
	for _, v := range []struct {
		name  string
		value float64
	}{{"label_smoothing", o.LabelSmoothing}, {"ema", o.AverageDecay}} {
		if !(v.value >= 0 && v.value <= 1) {
			errs = append(errs, fmt.Errorf("%s is %g, expected 0 to 1", v.name, v.value))
		}
	}
	for _, v := range []struct {
		name  string
		value float64
	}{
		{"learning_rate", o.LearningRate}, {"weight_decay", o.WeightDecay}, {"lambda_ce", o.LambdaCE},
		{"vc_reg.variance", o.Variance}, {"vc_reg.covariance", o.Covariance}, {"clip_grad_norm", o.ClipGradNorm},
		{"l2_sp", o.L2SP}, {"distill", o.Distill}, {"layer_decay", o.LayerDecay}, {"micro_batch", float64(o.MicroBatch)},
	} {
		if !(v.value >= 0) || math.IsInf(v.value, 0) {
			errs = append(errs, fmt.Errorf("%s is %g, expected a number of at least 0", v.name, v.value))
		}
	}
	return errors.Join(errs...)
}
