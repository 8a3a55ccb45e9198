package train_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gomlx "github.com/gomlx/compute"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/merge"
	"regft/models/nn"
	"regft/models/safetensors"
	"regft/train"
)

// A golden is a run of the reference, as goldens.py's finetune writes it.
type golden struct {
	Clip           string     `json:"clip"`
	Classes        int        `json:"classes"`
	Batch          int        `json:"batch"`
	Steps          int        `json:"steps"`
	LR             float64    `json:"lr"`
	WD             float64    `json:"wd"`
	Warmup         int        `json:"warmup"`
	LabelSmoothing float64    `json:"label_smoothing"`
	LambdaCE       float64    `json:"lambda_ce"`
	VC             [2]float64 `json:"vc_reg"`
	Alphas         []float64  `json:"alphas"`
	LayerDecay     float64    `json:"layer_decay"`
	L2SP           float64    `json:"l2_sp"`
	Distill        float64    `json:"distill"`
	EMA            *float64   `json:"ema"`
	Groups         []struct {
		Match        []string
		LearningRate *float64 `json:"learning_rate"`
		WeightDecay  *float64 `json:"weight_decay"`
	}
	LoRA *struct {
		Rank    int
		Alpha   float64
		Targets []string
	}
	Log []struct {
		LR         float64 `json:"lr"`
		CE         float64 `json:"ce"`
		Variance   float64 `json:"variance"`
		Covariance float64 `json:"covariance"`
		Loss       float64 `json:"loss"`
		GradNorm   float64 `json:"grad_norm"`
		Distance   float64 `json:"distance"`
		L2SP       float64 `json:"l2_sp"`
	} `json:"steps_log"`

	t       testing.TB
	tensors *safetensors.File
	backend gomlx.Backend
	config  clip.Config
	start   nn.Arrays
}

const goldens = "../testdata/goldens"

func openGolden(t testing.TB, name string) *golden {
	t.Helper()
	g := &golden{t: t}
	text, err := os.ReadFile(filepath.Join(goldens, name, "golden.json"))
	must(t, err)
	must(t, json.Unmarshal(text, g))
	g.tensors, err = safetensors.Open(filepath.Join(goldens, name, "golden.safetensors"))
	must(t, err)
	t.Cleanup(func() { g.tensors.Close() })
	g.backend, err = compute.New("")
	must(t, err)
	t.Cleanup(g.backend.Finalize)
	files, err := checkpoint.DirFiles(filepath.Join(goldens, g.Clip))
	must(t, err)
	c, err := clip.Open(g.backend, files)
	must(t, err)
	defer c.Close()
	g.config = c.Config
	g.start, err = c.ImageTower()
	must(t, err)
	g.start[clip.HeadWeight] = nn.Array{Shape: []int{g.Classes, c.Config.Projection}, Values: g.floats("head.weight")}
	g.start[clip.HeadBias] = nn.Array{Shape: []int{g.Classes}, Values: g.floats("head.bias")}
	return g
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (g *golden) floats(name string) []float32 {
	g.t.Helper()
	v, err := g.tensors.Float32s(name)
	must(g.t, err)
	return v
}

func (g *golden) options() train.Options {
	o := train.Options{
		Steps: g.Steps, LearningRate: g.LR, WarmupSteps: g.Warmup, Schedule: train.Cosine, WeightDecay: g.WD,
		LabelSmoothing: g.LabelSmoothing, LambdaCE: g.LambdaCE, Variance: g.VC[0], Covariance: g.VC[1], ClipGradNorm: 1,
		LayerDecay: g.LayerDecay, L2SP: g.L2SP, Distill: g.Distill,
	}
	if g.EMA != nil {
		o.AverageDecay = *g.EMA
	}
	for _, group := range g.Groups {
		o.Groups = append(o.Groups, train.Group(group))
	}
	return o
}

// method is what the golden trains, and how.
func (g *golden) method() train.Method {
	m := train.Method{Part: train.All, Average: g.EMA != nil, L2SP: g.L2SP != 0, Distill: g.Distill != 0}
	if g.LoRA != nil {
		m.Part, m.LoRA = train.LowRank, train.LoRA(*g.LoRA)
	}
	return m
}

func (g *golden) batch(step int) train.Batch {
	g.t.Helper()
	labels, err := g.tensors.Tensor("labels")
	must(g.t, err)
	all, err := labels.Int64s()
	must(g.t, err)
	b := train.Batch{}
	for _, l := range all[step*g.Batch : (step+1)*g.Batch] {
		b.Labels = append(b.Labels, int32(l))
	}
	pixels := g.floats("pixel_values")
	row := len(pixels) / g.Steps
	b.Pixels = pixels[step*row : (step+1)*row]
	return b
}

func (g *golden) program(part train.Part) *train.Program {
	g.t.Helper()
	return g.programOf(train.Method{Part: part})
}

func (g *golden) programOf(m train.Method) *train.Program {
	g.t.Helper()
	p, err := train.NewProgram(g.backend, g.config, g.Classes, m)
	must(g.t, err)
	return p
}

func (g *golden) trainer(p *train.Program, o train.Options) *train.Trainer {
	g.t.Helper()
	trainer, err := train.NewTrainer(p, o, g.start)
	must(g.t, err)
	return trainer
}

// steps runs the steps of [from, to).
func (g *golden) steps(t *train.Trainer, from, to int) (records []train.Record) {
	g.t.Helper()
	batches := func(yield func(train.Batch, error) bool) {
		for step := from; step < to && yield(g.batch(step), nil); step++ {
		}
	}
	must(g.t, t.Run(context.Background(), batches, func(r train.Record) error {
		records = append(records, r)
		return nil
	}))
	return records
}

func TestGoldens(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(goldens, "finetune-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			g := openGolden(t, filepath.Base(dir))
			testGolden(t, g, g.options())
			testMerged(t, g)
		})
	}
}

// TestMicroBatches: gradients that are accumulated are those of the whole batch, in whatever parts.
func TestMicroBatches(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(goldens, "finetune-*"))
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			g := openGolden(t, filepath.Base(dir))
			for _, size := range []int{1, 3, g.Batch} {
				o := g.options()
				o.MicroBatch = size
				testGolden(t, g, o)
			}
		})
	}
}

func testGolden(t *testing.T, g *golden, o train.Options) {
	trainer := g.golden(o)
	for i, r := range g.steps(trainer, 0, g.Steps) {
		want := g.Log[i]
		for what, v := range map[string][2]float64{
			"loss": {float64(r.Loss), want.Loss}, "cross-entropy": {float64(r.CrossEntropy), want.CE},
			"variance": {float64(r.Variance), want.Variance}, "covariance": {float64(r.Covariance), want.Covariance},
			"gradient norm": {float64(r.GradNorm), want.GradNorm}, "learning rate": {r.LearningRate, want.LR},
			"distance": {float64(r.Distance), want.Distance}, "L2-SP": {float64(r.L2SP), want.L2SP},
		} {
			if !(math.Abs(v[0]-v[1]) <= 1e-3*math.Abs(v[1])+1e-9) { // a distance of 0 is 0 but for the features' rounding
				t.Errorf("step %d: %s %g, want %g", i, what, v[0], v[1])
			}
		}
	}
	final, err := trainer.Parameters()
	must(t, err)
	for _, name := range final.Names() {
		if strings.HasSuffix(name, "k_proj.bias") {
			continue // zero gradient in theory: AdamW walks on rounding noise
		}
		want := g.start[name].Values // of what a low-rank update leaves as it was
		if _, ok := g.tensors.Lookup("final." + name); ok {
			want = g.floats("final." + name)
		}
		near(t, name, final[name].Values, want, 1e-3)
	}
	adapters, err := trainer.Adapters()
	must(t, err)
	for name, a := range adapters {
		near(t, name, a.Values, g.floats("adapter."+name), 1e-3)
	}
	must(t, trainer.Close())
}

// golden is a trainer at the reference's start; that of low-rank updates is drawn.
func (g *golden) golden(o train.Options) *train.Trainer {
	g.t.Helper()
	p := g.programOf(g.method())
	trainer := g.trainer(p, o)
	if g.LoRA == nil {
		return trainer
	}
	state, err := trainer.State()
	must(g.t, err)
	must(g.t, trainer.Close())
	for name, a := range state.Arrays {
		if plain := strings.TrimPrefix(name, "average."); strings.Contains(name, ".lora_") && !strings.HasPrefix(name, "exp_") {
			state.Arrays[name] = nn.Array{Shape: a.Shape, Values: g.floats("start." + plain)}
		}
	}
	trainer, err = train.Resume(p, o, g.start, state)
	must(g.t, err)
	return trainer
}

// testMerged merges the reference's own end with the start: bits must be equal.
func testMerged(t *testing.T, g *golden) {
	checked := 0
	for _, tensor := range g.tensors.Names() {
		rest, ok := strings.CutPrefix(tensor, "merged.")
		if !ok {
			continue
		}
		for _, alpha := range g.Alphas {
			text := fmt.Sprint(alpha)
			if alpha == math.Trunc(alpha) {
				text = fmt.Sprintf("%.1f", alpha) // as Python prints it
			}
			name, ok := strings.CutPrefix(rest, text+".")
			if !ok {
				continue
			}
			end := nn.Arrays{name: {Shape: g.start[name].Shape, Values: g.floats("final." + name)}}
			merged, err := merge.Linear(nn.Arrays{name: g.start[name]}, end, alpha)
			must(t, err)
			if !slices.Equal(merged[name].Values, g.floats(tensor)) {
				t.Errorf("%s: merged weights have other bits", tensor)
			}
			checked++
		}
	}
	if checked != len(g.Alphas) {
		t.Errorf("%d merged tensors were found for %d alphas", checked, len(g.Alphas))
	}
}

func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, largest := 0.0, 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	if !(worst <= tolerance*largest) {
		t.Errorf("%s: off by %.3g, largest value %.3g", what, worst, largest)
	}
}
