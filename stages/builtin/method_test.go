package builtin_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"regft/cache"
	"regft/stages"
)

const goldens = "../../testdata/goldens"

// TestMethod is the whole method on folders of pictures, stage by stage, against the reference in PyTorch.
func TestMethod(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(goldens, "method-*"))
	if len(dirs) == 0 {
		t.Fatal("no golden method-*")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { testMethod(t, dir) })
	}
}

type methodGolden struct {
	Clip           string
	Seed           int
	Templates      []string
	Batch, Epochs  int
	LR, WD         float64
	Warmup         int
	LabelSmoothing float64    `json:"label_smoothing"`
	VCReg          [2]float64 `json:"vc_reg"`
	Losses         []float64
	Results        []struct {
		Alpha, Top1, NLL float64
		MeanPerClass     float64 `json:"mean_per_class"`
	}
}

func testMethod(t *testing.T, dir string) {
	var g methodGolden
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	params := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	templates, _ := json.Marshal(g.Templates)
	classes := filepath.Join(dir, "classes.txt")
	data := func(split string) stages.Artifact {
		return only(l.run("dataset", params("{format: imagefolder, path: %s, classes: %s}", filepath.Join(dir, split), classes), nil))
	}
	zeroshot := only(l.run("zeroshot", params("{classes: %s, templates: %s}", classes, templates),
		map[string][]stages.Input{"checkpoint": {{Path: abs(t, filepath.Join(goldens, g.Clip))}}}))
	tuned := l.run("finetune", params("{epochs: %d, batch_size: %d, learning_rate: %v, weight_decay: %v, warmup_steps: %d, label_smoothing: %v, vc_reg: {variance: %v, covariance: %v}, augment: none, shuffle: false}",
		g.Epochs, g.Batch, g.LR, g.WD, g.Warmup, g.LabelSmoothing, g.VCReg[0], g.VCReg[1]),
		map[string][]stages.Input{"classifier": one(zeroshot), "data": one(data("train"))})
	for i, want := range g.Losses {
		if got := tuned.series[i]["loss"]; math.Abs(got-want) > 1e-3*math.Abs(want) {
			t.Errorf("step %d: loss %v, want %v", i, got, want)
		}
	}
	test := data("test")
	for _, want := range g.Results {
		merged := only(l.run("ensemble", params("{alpha: %v}", want.Alpha), map[string][]stages.Input{"from": one(zeroshot), "to": one(only(tuned))}))
		got := l.run("evaluate", "", map[string][]stages.Input{"classifier": one(merged), "data": one(test)}).metrics
		for name, w := range map[string]float64{"top1": want.Top1, "mean_per_class": want.MeanPerClass} {
			if x, _ := cache.DecodeFloat(got[name]); math.Abs(x-w) > 1e-7 {
				t.Errorf("alpha %v: %s %v, want %v", want.Alpha, name, x, w)
			}
		}
		if x, _ := cache.DecodeFloat(got["nll"]); math.Abs(x-want.NLL) > 1e-3*want.NLL {
			t.Errorf("alpha %v: nll %v, want %v", want.Alpha, x, want.NLL)
		}
	}
}

func abs(t testing.TB, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
