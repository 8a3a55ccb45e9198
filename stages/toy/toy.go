// Package toy holds stage types that run in no time, for tests of specs and engine: const, sum, fail, slow, score, pick.
package toy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"regft/cache"
	"regft/stages"
)

// Const gives a number: metric value, and a file value.txt that holds it.
type Const struct {
	Value float64     `yaml:"value" doc:"the number"`
	Size  int         `yaml:"size" default:"0" min:"0" unit:"bytes" doc:"length of a second file, padding.bin"`
	Noise bool        `yaml:"noise" default:"false" doc:"whether the seed is added to the number"`
	Note  string      `yaml:"note" default:"" key:"-" doc:"text that changes nothing"`
	Seed  stages.Seed `yaml:"seed" doc:"added to the number where noise is true"`
}

var _ = stages.Register[Const](stages.Type{Name: "const", Doc: "A number.", Version: 1, Out: stages.Files})

// Draws implements stages.Drawer.
func (c *Const) Draws() bool { return c.Noise }

// MetricNames implements stages.Measurer.
func (*Const) MetricNames() []string { return []string{"value"} }

// Run implements stages.Runner.
func (c *Const) Run(ctx context.Context, env *stages.Env) error {
	value := c.Value
	if c.Noise {
		value += float64(c.Seed)
	}
	if c.Size > 0 {
		if err := env.WriteFile("padding.bin", make([]byte, c.Size)); err != nil {
			return err
		}
	}
	return result(env, value)
}

// result writes value as a stage's file and metric.
func result(env *stages.Env, value float64) error {
	env.Host.Metric("value", value)
	return env.WriteFile("value.txt", fmt.Appendf(nil, "%v\n", value))
}

// Sum adds the values of its inputs.
type Sum struct {
	Inputs []stages.Input `yaml:"inputs" in:"any" doc:"what is added up"`
	Plus   float64        `yaml:"plus" default:"0" doc:"added to the sum"`
}

var _ = stages.Register[Sum](stages.Type{Name: "sum", Doc: "The sum of its inputs' values.", Version: 1, Out: stages.Files})

// MetricNames implements stages.Measurer.
func (*Sum) MetricNames() []string { return []string{"value"} }

// Run implements stages.Runner.
func (s *Sum) Run(ctx context.Context, env *stages.Env) error {
	total, err := valueOf(s.Inputs)
	if err != nil {
		return err
	}
	return result(env, s.Plus+total)
}

// valueOf adds the metric value of every input.
func valueOf(inputs []stages.Input) (float64, error) {
	total := 0.0
	for _, in := range inputs {
		for _, a := range in.Parts {
			x, ok := cache.DecodeFloat(a.Metrics["value"])
			if !ok {
				return 0, fmt.Errorf("an input has no metric value, only %v", a.Metrics)
			}
			total += x
		}
	}
	return total, nil
}

// Fail ends with an error.
type Fail struct {
	Message string         `yaml:"message" default:"it failed" doc:"the error's text"`
	After   float64        `yaml:"after" default:"0" min:"0" unit:"s" doc:"how long it works before that"`
	Inputs  []stages.Input `yaml:"inputs" optional:"true" in:"any" doc:"what it waits for"`
}

var _ = stages.Register[Fail](stages.Type{Name: "fail", Doc: "Always an error.", Version: 1, Out: stages.Files})

// Run implements stages.Runner.
func (f *Fail) Run(ctx context.Context, env *stages.Env) error {
	if err := sleep(ctx, f.After); err != nil {
		return err
	}
	return errors.New(f.Message)
}

// Slow takes its time.
type Slow struct {
	Seconds float64        `yaml:"seconds" min:"0" unit:"s" doc:"how long it takes"`
	Value   float64        `yaml:"value" default:"0" doc:"added to the sum of the inputs"`
	Cores   int            `yaml:"cores" default:"1" min:"1" key:"-" doc:"how many cores it says it needs"`
	Inputs  []stages.Input `yaml:"inputs" optional:"true" in:"any" doc:"what is added up"`
}

var _ = stages.Register[Slow](stages.Type{Name: "slow", Doc: "The sum of its inputs' values, after a while.", Version: 1, Out: stages.Files})

// MetricNames implements stages.Measurer.
func (*Slow) MetricNames() []string { return []string{"value"} }

// Scale implements stages.Scaler.
func (s *Slow) Scale() (time, size float64) { return s.Seconds, 1 }

// Needs implements stages.Sizer.
func (s *Slow) Needs() stages.Resources { return stages.Resources{Cores: s.Cores} }

// Run implements stages.Runner.
func (s *Slow) Run(ctx context.Context, env *stages.Env) error {
	const steps = 10
	for i := range steps {
		env.Host.Progress(i, steps, "steps")
		if err := sleep(ctx, s.Seconds/steps); err != nil {
			return err
		}
	}
	env.Host.Progress(steps, steps, "steps")
	total, err := valueOf(s.Inputs)
	if err != nil {
		return err
	}
	env.Log.Info().Str("waited", strings.TrimSpace(fmt.Sprint(s.Seconds, " s"))).Msg("done")
	return result(env, s.Value+total)
}

func sleep(ctx context.Context, seconds float64) error {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
