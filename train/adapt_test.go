package train_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"regft/compute"
	"regft/models/adapter"
	"regft/models/nn"
	"regft/models/safetensors"
	"regft/train"
)

// An adapterGolden is one of testdata/goldens/adapters*: fixed features, and runs of Tip-Adapter-F and CaFo on them.
type adapterGolden struct {
	TipF adapterRuns `json:"tip_f"`
	CaFo adapterRuns `json:"cafo"`

	Rounding map[string]float64 `json:"float64_difference"` // what float32 alone does to the golden's tensors

	t       *testing.T
	tensors *safetensors.File
}

type adapterRuns struct {
	Beta, Alpha   float64
	LearningRate  float64 `json:"learning_rate"`
	Epochs, Batch int
	Search        struct {
		To    [2]float64
		Steps [2]int
	}
	Published, Validated struct {
		LR, Loss     []float64
		ValCorrect   []int `json:"epoch_val_correct"`
		TestCorrect  []int `json:"epoch_test_correct"`
		Epoch        int
		Search       struct{ Beta, Alpha float64 }
		FinalCorrect int `json:"test_correct"`
	}
}

func (g *adapterGolden) array(name string) nn.Array {
	g.t.Helper()
	tensor, err := g.tensors.Tensor(name)
	must(g.t, err)
	values, err := tensor.Float32s()
	must(g.t, err)
	return nn.Array{Shape: tensor.Shape, Values: values}
}

func (g *adapterGolden) ints(name string) []int {
	g.t.Helper()
	tensor, err := g.tensors.Tensor(name)
	must(g.t, err)
	wide, err := tensor.Int64s()
	must(g.t, err)
	out := make([]int, len(wide))
	for i, v := range wide {
		out[i] = int(v)
	}
	return out
}

// passes are the features of shots: [n, dim] of each pass.
func (g *adapterGolden) passes(name string) []nn.Array {
	all := g.array(name)
	n := all.Shape[1] * all.Shape[2]
	out := make([]nn.Array, all.Shape[0])
	for p := range out {
		out[p] = nn.Array{Shape: all.Shape[1:], Values: all.Values[p*n : (p+1)*n]}
	}
	return out
}

func (g *adapterGolden) samples(split string, encoders []string) *adapter.Samples {
	s := &adapter.Samples{Labels: g.ints(split + ".labels")}
	for _, e := range encoders {
		s.Features = append(s.Features, adapter.Unit(g.array(e+"."+split)))
	}
	return s
}

// shots are a set with the golden's features, pass 0, and its order.
func (g *adapterGolden) shots(method, set string, encoders []string) train.Shots {
	var features []nn.Array
	for _, e := range encoders {
		features = append(features, adapter.Unit(g.passes(e + "." + set)[0]))
	}
	labels, order := g.ints(set+".labels"), g.ints(method+".order."+set)
	return train.Shots{
		Labels:   labels,
		Features: func(context.Context, int) ([]nn.Array, error) { return features, nil },
		Order:    func(epoch int) []int { return order[epoch*len(labels) : (epoch+1)*len(labels)] },
	}
}

func (g *adapterGolden) adapter(method adapter.Method, runs adapterRuns, encoders, sets []string) *adapter.Adapter {
	text := g.array("text")
	for i := range text.Values {
		text.Values[i] *= 100
	}
	a := &adapter.Adapter{
		Method: method, Head: adapter.Head{Weight: text, Bias: make([]float32, text.Shape[0])},
		Point: adapter.Point{Beta: runs.Beta, Alpha: runs.Alpha}, Temperature: 1,
	}
	for _, e := range encoders {
		var keys []nn.Array
		for _, set := range sets {
			keys = append(keys, adapter.MeanKeys(g.passes(e+"."+set)))
		}
		a.Keys = append(a.Keys, adapter.Join(keys...))
	}
	for _, set := range sets {
		a.Labels = append(a.Labels, g.ints(set+".labels")...)
	}
	return a
}

func TestAdaptation(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(goldens, "adapters*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, dir := range dirs {
		g := &adapterGolden{}
		text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
		must(t, err)
		must(t, json.Unmarshal(text, g))
		g.tensors, err = safetensors.Open(filepath.Join(dir, "golden.safetensors"))
		must(t, err)
		t.Cleanup(func() { g.tensors.Close() })
		for _, published := range []bool{true, false} {
			name := map[bool]string{true: "published", false: "validated"}[published]
			t.Run(filepath.Base(dir)+"/tip_f/"+name, func(t *testing.T) {
				g.t = t
				testAdaptation(g, adapter.TipF, g.TipF, published, []string{"clip"}, []string{"shots"})
			})
			t.Run(filepath.Base(dir)+"/cafo/"+name, func(t *testing.T) {
				g.t = t
				testAdaptation(g, adapter.CaFo, g.CaFo, published, []string{"clip", "second"}, []string{"shots", "generated"})
			})
		}
	}
}

func testAdaptation(g *adapterGolden, method adapter.Method, runs adapterRuns, published bool, encoders, sets []string) {
	t, want, name := g.t, runs.Validated, string(method)+".validated"
	if published {
		want, name = runs.Published, string(method)+".published"
	}
	backend, err := compute.New("")
	must(t, err)
	t.Cleanup(backend.Finalize)
	a := g.adapter(method, runs, encoders, sets)
	a.Published = published
	step := 0
	r := train.Adaptation{
		Backend: backend, LearningRate: runs.LearningRate, WeightDecay: 0.01, Epsilon: 1e-4, Epochs: runs.Epochs, BatchSize: runs.Batch,
		Validation: g.samples("val", encoders), Test: g.samples("test", encoders),
		Grid: adapter.Grid{
			Beta:  adapter.Line{From: 0.1, To: runs.Search.To[0], Steps: runs.Search.Steps[0]},
			Alpha: adapter.Line{From: 0.1, To: runs.Search.To[1], Steps: runs.Search.Steps[1]},
			Gamma: adapter.Fixed(0),
		},
		Stepped: func(r train.KeyRecord) {
			if r.Step != step || math.Abs(r.LearningRate-want.LR[step]) > 1e-12 || math.Abs(float64(r.Loss)-want.Loss[step]) > 1e-4 {
				t.Fatalf("step %+v, want %d: lr %g, loss %g", r, step, want.LR[step], want.Loss[step])
			}
			step++
		},
	}
	for _, set := range sets {
		r.Shots = append(r.Shots, g.shots(string(method), set, encoders))
	}
	got, err := r.Run(context.Background(), a)
	must(t, err)
	if step != len(want.Loss) {
		t.Errorf("%d steps, want %d", step, len(want.Loss))
	}
	if got.Epoch != want.Epoch || !slices.Equal(got.ValidationCorrect, want.ValCorrect) || !slices.Equal(got.TestCorrect, want.TestCorrect) {
		t.Errorf("epoch %d by %v and %v, want %d by %v and %v", got.Epoch, got.ValidationCorrect, got.TestCorrect, want.Epoch, want.ValCorrect, want.TestCorrect)
	}
	if a.Point.Beta != want.Search.Beta || a.Point.Alpha != want.Search.Alpha {
		t.Errorf("found %+v, want %+v", a.Point, want.Search)
	}
	for b, encoder := range encoders {
		g.near(name+"."+encoder+".keys.last", got.Last[b].Values, 1e-4)
		g.near(name+"."+encoder+".keys.chosen", a.Keys[b].Values, 1e-4)
	}
	if correct, err := a.Correct(context.Background(), *r.Test); err != nil || correct != want.FinalCorrect {
		t.Errorf("%d test samples right, want %d (%v)", correct, want.FinalCorrect, err)
	}
	tolerance := map[adapter.Method]float64{adapter.TipF: 1e-4, adapter.CaFo: 1e-3}[method]
	logits, err := a.Logits(context.Background(), r.Test.Features)
	must(t, err)
	g.near(name+".logits.test", logits, tolerance)
}

// near compares with a tensor: within the tolerance beyond the golden's own rounding.
func (g *adapterGolden) near(name string, got []float32, tolerance float64) {
	g.t.Helper()
	want := g.array(name).Values
	if len(got) != len(want) {
		g.t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i]-w)) <= tolerance+g.Rounding[name]) {
			g.t.Fatalf("%s: value %d is %g, want %g", name, i, got[i], w)
		}
	}
}

func TestAdaptationStopsWithItsContext(t *testing.T) {
	backend, err := compute.New("")
	must(t, err)
	t.Cleanup(backend.Finalize)
	one := nn.Array{Shape: []int{2, 2}, Values: []float32{1, 0, 0, 1}}
	a := &adapter.Adapter{
		Method: adapter.TipF, Head: adapter.Head{Weight: one, Bias: make([]float32, 2)}, Keys: []nn.Array{one}, Labels: []int{0, 1},
		Point: adapter.Point{Beta: 1, Alpha: 1},
	}
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	r := train.Adaptation{
		Backend: backend, LearningRate: 1e-3, Epsilon: 1e-4, Epochs: 1000, BatchSize: 1,
		Shots: []train.Shots{{
			Labels:   a.Labels,
			Features: func(context.Context, int) ([]nn.Array, error) { return a.Keys, nil },
			Order:    func(int) []int { return []int{0, 1} },
		}},
		Stepped: func(train.KeyRecord) {
			if steps++; steps == 3 {
				cancel()
			}
		},
	}
	if _, err := r.Run(ctx, a); !errors.Is(err, context.Canceled) || steps != 3 {
		t.Errorf("%v after %d steps", err, steps)
	}
}
