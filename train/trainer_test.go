package train_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"regft/models/clip"
	"regft/models/nn"
	"regft/train"
)

const tiny = "finetune-tiny-smoothed"

func TestResumeHasTheSameBits(t *testing.T) {
	g := openGolden(t, tiny)
	lora := train.LoRA{Rank: 2, Alpha: 4, Targets: []string{"q_proj", "fc2"}}
	for name, m := range map[string]train.Method{
		"plain": {Part: train.All},
		"more":  {Part: train.All, Average: true, L2SP: true, Distill: true},
		"lora":  {Part: train.LowRank, LoRA: lora, Average: true, Distill: true},
	} {
		o := g.options()
		o.AverageDecay, o.L2SP, o.Distill, o.Seed = 0.9, 0.1, 0.01, 3
		t.Run(name, func(t *testing.T) { testResume(t, g, m, o) })
		o.MicroBatch = 4
		t.Run(name+" in micro-batches", func(t *testing.T) { testResume(t, g, m, o) })
	}
}

func testResume(t *testing.T, g *golden, m train.Method, o train.Options) {
	whole := g.trainer(g.programOf(m), o)
	wantRecords := g.steps(whole, 0, 6)
	want, err := whole.State()
	must(t, err)

	p := g.programOf(m)
	first := g.trainer(p, o)
	g.steps(first, 0, 3)
	state, err := first.State()
	must(t, err)
	path := filepath.Join(t.TempDir(), "state.safetensors")
	f, err := os.Create(path)
	must(t, err)
	must(t, errors.Join(state.Write(f), f.Close(), first.Close()))

	state, err = train.ReadState(path)
	must(t, err)
	second, err := train.Resume(p, o, g.start, state)
	must(t, err)
	if diff := cmp.Diff(wantRecords[3:], g.steps(second, 3, 6)); diff != "" {
		t.Error(diff)
	}
	got, err := second.State()
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPartsMoveOnlyTheirParameters(t *testing.T) {
	g := openGolden(t, tiny)
	for part, moves := range map[train.Part]func(string) bool{
		train.All:     func(string) bool { return true },
		train.Head:    func(name string) bool { return !clip.IsImageTower(name) },
		train.Encoder: clip.IsImageTower,
	} {
		trainer := g.trainer(g.program(part), g.options())
		g.steps(trainer, 0, 2)
		got, err := trainer.Parameters()
		must(t, err)
		for name, start := range g.start {
			if moved := !slices.Equal(start.Values, got[name].Values); moved != moves(name) {
				t.Errorf("training %s: %s moved is %v", part, name, moved)
			}
		}
	}
	lora := func(targets ...string) train.LoRA { return train.LoRA{Rank: 2, Alpha: 2, Targets: targets} }
	for want, m := range map[string]train.Method{
		`train is "tail"`:                       {Part: "tail"},
		`lora has rank 0`:                       {Part: train.LowRank},
		`"q_prj" is no linear layer`:            {Part: train.LowRank, LoRA: lora("q_proj", "q_prj")},
		`lora has no targets`:                   {Part: train.LowRank, LoRA: lora()},
		`"position_embedding" is no linear`:     {Part: train.LowRank, LoRA: lora("position_embedding")},
		`train: head changes none`:              {Part: train.Head, Distill: true},
		`fc1, fc2, k_proj, out_proj, q_proj, v`: {Part: train.LowRank, LoRA: lora("head")},
	} {
		if _, err := train.NewProgram(g.backend, g.config, g.Classes, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// TestGroupsNameParameters: a pattern that matches nothing is a mistake.
func TestGroupsNameParameters(t *testing.T) {
	g := openGolden(t, tiny)
	for pattern, want := range map[string]string{"haed.*": `"haed.*" matches none`, "[": `"[" is no pattern`} {
		o := g.options()
		o.Groups = []train.Group{{Match: []string{"head.*", pattern}}}
		if _, err := train.NewTrainer(g.program(train.All), o, g.start); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// TestSharedProgram: trainings of other weights, side by side, have the bits that they have alone.
func TestSharedProgram(t *testing.T) {
	g := openGolden(t, tiny)
	p := g.program(train.All)
	weights := []float64{0, 0.16, 5}
	run := func(variance float64) []train.Record {
		o := g.options()
		o.Variance, o.Covariance = variance, variance
		return g.steps(g.trainer(p, o), 0, 3)
	}
	want, got := make([][]train.Record, len(weights)), make([][]train.Record, len(weights))
	for i, w := range weights {
		want[i] = run(w)
	}
	var wg sync.WaitGroup
	for i, w := range weights {
		wg.Go(func() { got[i] = run(w) })
	}
	wg.Wait()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want[0][2].Loss == want[2][2].Loss {
		t.Error("the weights of the regularisers change nothing")
	}
}

func TestDivergenceStops(t *testing.T) {
	g := openGolden(t, tiny)
	trainer := g.trainer(g.program(train.All), g.options())
	g.steps(trainer, 0, 2)
	batch := g.batch(2)
	batch.Pixels = slices.Clone(batch.Pixels)
	batch.Pixels[7] = float32(math.NaN())
	_, err := trainer.Step(context.Background(), batch)
	var diverged *train.NotFiniteError
	if !errors.As(err, &diverged) || diverged.Record.Step != 2 || !strings.HasPrefix(err.Error(), "training diverged at step 2: loss NaN") {
		t.Errorf("got %v, want a NotFiniteError that says step and loss", err)
	}
	if _, err := trainer.State(); !errors.As(err, &diverged) {
		t.Errorf("the state after a divergence was handed out: %v", err)
	}
	if _, err := trainer.Step(context.Background(), g.batch(3)); !errors.As(err, &diverged) {
		t.Errorf("training went on after a divergence: %v", err)
	}
}

func TestBadBatches(t *testing.T) {
	g := openGolden(t, tiny)
	p := g.program(train.All)
	trainer := g.trainer(p, g.options())
	whole := g.batch(0)
	row := len(whole.Pixels) / len(whole.Labels)
	one := train.Batch{Pixels: whole.Pixels[:row], Labels: whole.Labels[:1]}
	for want, batch := range map[string]train.Batch{
		"a batch of one picture":   one,
		"has label 9":              {Pixels: whole.Pixels[:2*row], Labels: []int32{0, 9}},
		"has label -1":             {Pixels: whole.Pixels[:2*row], Labels: []int32{-1, 0}},
		"a batch of 3 labels need": {Pixels: whole.Pixels[:2*row], Labels: []int32{0, 1, 2}},
		"a batch of 0 labels":      {},
	} {
		if _, err := trainer.Step(context.Background(), batch); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if r := g.steps(trainer, 0, 1); r[0].Step != 0 {
		t.Errorf("after refused batches, training goes on at step %d", r[0].Step)
	}
	o := g.options()
	o.Variance, o.Covariance = 0, 0
	r, err := g.trainer(p, o).Step(context.Background(), one)
	if err != nil || r.Variance < 0.9 || r.Covariance != 0 {
		t.Errorf("a batch of one without VC: %+v, %v", r, err)
	}
}

func TestCancel(t *testing.T) {
	g := openGolden(t, tiny)
	trainer := g.trainer(g.program(train.Head), g.options())
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	endless := func(yield func(train.Batch, error) bool) {
		for yield(g.batch(0), nil) {
		}
	}
	err := trainer.Run(ctx, endless, func(train.Record) error {
		if steps++; steps == 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || steps != 2 {
		t.Errorf("cancelled after 2 steps, stopped after %d with %v", steps, err)
	}
	if _, err := trainer.State(); err != nil {
		t.Errorf("a cancelled run has no state: %v", err)
	}
}

func TestRunStopsAtErrors(t *testing.T) {
	g := openGolden(t, tiny)
	broken := errors.New("a broken PNG")
	batches := func(yield func(train.Batch, error) bool) { yield(train.Batch{}, broken) }
	if err := g.trainer(g.program(train.Head), g.options()).Run(context.Background(), batches, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want the batches' error", err)
	}
}

func TestOtherClassifiers(t *testing.T) {
	g := openGolden(t, tiny)
	p := g.program(train.All)
	for want, start := range map[string]nn.Arrays{
		`no parameter "head.`:                   {},
		fmt.Sprintf(`expected [%d]`, g.Classes): {clip.HeadBias: {Shape: []int{g.Classes + 1}, Values: make([]float32, g.Classes+1)}},
		`"extra", which is`:                     {"extra": {Shape: []int{1}, Values: make([]float32, 1)}},
	} {
		arrays := nn.Arrays{}
		if len(start) > 0 {
			for name, a := range g.start {
				arrays[name] = a
			}
		}
		for name, a := range start {
			arrays[name] = a
		}
		if _, err := train.NewTrainer(p, g.options(), arrays); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	good := train.Options{Steps: 10, LearningRate: 1e-3, WarmupSteps: 4, Schedule: train.Constant, LambdaCE: 1}
	must(t, good.Validate())
	for step, want := range map[int]float64{0: 0.25e-3, 3: 1e-3, 4: 1e-3, 9: 1e-3} {
		if got := good.LearningRateAt(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("constant schedule, step %d: %g, want %g", step, got, want)
		}
	}
	bad := train.Options{Schedule: "linear", LearningRate: math.NaN(), LabelSmoothing: 2, WeightDecay: -1}
	err := bad.Validate()
	for _, want := range []string{`"linear"`, "0 steps", "label_smoothing is 2", "learning_rate is NaN", "weight_decay is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}
