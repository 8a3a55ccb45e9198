// Package schedulers holds the samplers of diffusion models: how the picture of noise turns, step by step,
// into the picture that a model sees in it. Each gives what the class of the same name in diffusers 0.42.1
// gives.
//
// Timesteps and noise levels are made in float32 where diffusers makes them so, because that decides the
// integers; each step computes in float64 on the host and rounds its result to float32.
package schedulers

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Scheduler takes one picture's latents from noise to data, one model call at a time:
//
//	x := noise * InitNoiseSigma()
//	for i, t := range s.Timesteps() {
//		x = s.Step(model(s.ScaleInput(x, i), t), i, x, generator.Randn)
//	}
//
// Image to image (Meng et al., SDEdit, arXiv 2108.01073) starts at a later call, from data with the noise of that call:
//
//	err := s.Start(first)
//	x := s.AddNoise(data, noise, first)
//	for i, t := range s.Timesteps()[first:] { … first+i … }
//
// Multistep methods remember earlier model outputs: a Scheduler serves one picture, its steps taken in order.
// All is element by element but the quantile of thresholding: without it, one Scheduler may serve a batch.
type Scheduler interface {
	// Timesteps returns the time that the model is told, for each of its calls in order. There may be more
	// calls than steps were asked for, and times may repeat or have fractions.
	Timesteps() []float64

	// InitNoiseSigma returns the factor that brings normal noise to the level of the first step.
	InitNoiseSigma() float64

	// Start says that a run begins at call i, with what AddNoise gives, as StableDiffusionImg2ImgPipeline begins one.
	// It comes before all steps.
	Start(i int) error

	// AddNoise returns data with noise, of the level that the latents have before call i, of the length of both.
	AddNoise(data, noise []float32, i int) []float32

	// ScaleInput returns what the model sees of x at call i, of the length of x. It may return x itself.
	ScaleInput(x []float32, i int) []float32

	// Step returns the latents after call i, given the model's output for it and the latents before, all of
	// one length. It neither changes nor keeps its arguments. noise fills its argument with normal numbers;
	// stochastic schedulers call it at most once a step, with a slice of the length of x.
	Step(model []float32, i int, x []float32, noise func(dst []float32)) []float32
}

// A class is one of diffusers' scheduler classes. Its constructor reads the keys that it knows, all others
// keep its defaults.
type class struct {
	name string
	new  func(config []byte, steps int) (Scheduler, error)
}

// An entry is a scheduler that can be asked for by name: a class, with keys that override the checkpoint's.
type entry struct {
	class     string
	overrides map[string]any
}

var (
	classes = map[string]class{}
	named   = map[string]entry{}
)

func registerClass(name string, new func(config []byte, steps int) (Scheduler, error)) {
	classes[name] = class{name, new}
}

func registerName(name, class string, overrides map[string]any) {
	named[name] = entry{class, overrides}
}

// Names lists the schedulers that FromConfig knows by name, sorted.
func Names() []string { return slices.Sorted(maps.Keys(named)) }

// FromConfig makes a scheduler of the given number of steps for a checkpoint whose scheduler_config.json holds config.
// Without a name it is the file's own class. A named scheduler takes the file's keys that its class knows, the
// defaults of its class for others, and then its own overrides, as diffusers' X.from_config(pipe.scheduler.config).
// An error names the key and the value that is wrong or not implemented.
func FromConfig(config []byte, name string, steps int) (Scheduler, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(quoteNonFinite(config), &keys); err != nil {
		return nil, fmt.Errorf("scheduler_config.json is not a JSON object: %w", err)
	}
	chosen, err := choose(keys, name)
	if err != nil {
		return nil, err
	}
	if steps < 1 {
		return nil, fmt.Errorf("%s: steps must be at least 1, got %d", chosen.name, steps)
	}
	merged, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", chosen.name, err)
	}
	scheduler, err := chosen.new(merged, steps)
	if err != nil {
		return nil, fmt.Errorf("%s with %d steps: %w", chosen.name, steps, err)
	}
	return scheduler, nil
}

// choose returns the class to make and applies the overrides of name to keys.
func choose(keys map[string]json.RawMessage, name string) (class, error) {
	if name == "" {
		return ownClass(keys)
	}
	e, ok := named[name]
	if !ok {
		return class{}, fmt.Errorf("scheduler %q is unknown: want one of %s%s", name, strings.Join(Names(), ", "), didYouMean(name))
	}
	for key, value := range e.overrides {
		text, err := json.Marshal(value)
		if err != nil {
			return class{}, fmt.Errorf("scheduler %s: %s: %w", name, key, err)
		}
		keys[key] = text
	}
	return classes[e.class], nil
}

func ownClass(keys map[string]json.RawMessage) (class, error) {
	var name string
	if err := json.Unmarshal(keys["_class_name"], &name); err != nil {
		return class{}, fmt.Errorf("scheduler configuration has no _class_name: name a scheduler, one of %s", strings.Join(Names(), ", "))
	}
	c, ok := classes[name]
	if !ok {
		return class{}, fmt.Errorf("_class_name %q is not implemented (known: %s): name a scheduler, one of %s",
			name, strings.Join(slices.Sorted(maps.Keys(classes)), ", "), strings.Join(Names(), ", "))
	}
	return c, nil
}

func didYouMean(name string) string {
	nearest := slices.MinFunc(Names(), func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
	if levenshtein.ComputeDistance(name, nearest) > 3 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", nearest)
}

// unscaled is the part of schedulers whose latents keep unit variance, so that the model sees them as they are.
type unscaled struct {
	timesteps []float64
	shares    []float64 // ᾱ before each call
}

// Timesteps returns the time of each model call.
func (s unscaled) Timesteps() []float64 { return s.timesteps }

// Start does nothing: no call looks back.
func (s unscaled) Start(int) error { return nil }

// AddNoise returns √ᾱ·data + √(1-ᾱ)·noise.
func (s unscaled) AddNoise(data, noise []float32, i int) []float32 {
	return blend(data, noise, math.Sqrt(s.shares[i]), math.Sqrt(1-s.shares[i]))
}

// blend returns alpha·data + sigma·noise.
func blend(data, noise []float32, alpha, sigma float64) []float32 {
	out := make([]float32, len(data))
	for j := range out {
		out[j] = float32(alpha*float64(data[j]) + sigma*float64(noise[j]))
	}
	return out
}

// InitNoiseSigma returns 1.
func (s unscaled) InitNoiseSigma() float64 { return 1 }

// ScaleInput returns x.
func (s unscaled) ScaleInput(x []float32, _ int) []float32 { return x }
