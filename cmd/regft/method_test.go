package main

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMethod runs the method through a spec and the binary, from folders of pictures to accuracies, and wants those of
// the reference in PyTorch, at every alpha exactly.
func TestMethod(t *testing.T) {
	dirs, _ := filepath.Glob("../../testdata/goldens/method-*")
	if len(dirs) == 0 {
		t.Fatal("no golden method-*")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { testMethod(t, dir) })
	}
}

func testMethod(t *testing.T, dir string) {
	golden := map[string]any{}
	readJSON(t, filepath.Join(dir, "golden.json"), &golden)
	work := t.TempDir()
	spec := methodSpec(t, dir, golden)
	if err := os.WriteFile(filepath.Join(work, "method.yaml"), []byte(spec), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("regft", "run", "method.yaml")
	cmd.Dir, cmd.Env = work, append(os.Environ(), "REGFT_CACHE="+filepath.Join(work, "cache"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, spec)
	}
	found := top1ByAlpha(t, filepath.Join(work, "runs", "method", "latest", "results.jsonl"))
	for _, r := range golden["results"].([]any) {
		want := r.(map[string]any)
		got, ok := found[want["alpha"].(float64)]
		if !ok || math.Abs(got-want["top1"].(float64)) > 1e-7 {
			t.Errorf("alpha %v: top1 %v (there: %v), want %v", want["alpha"], got, ok, want["top1"])
		}
	}
}

// methodSpec is the golden's experiment in the spec language. JSON is YAML, so lists go in as they are.
func methodSpec(t *testing.T, dir string, golden map[string]any) string {
	text := func(key string) string {
		b, err := json.Marshal(golden[key])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	vc := golden["vc_reg"].([]any)
	b := func(v any) string { s, _ := json.Marshal(v); return string(s) }
	return strings.NewReplacer("DIR", abs, "CLIP", filepath.Join(filepath.Dir(abs), golden["clip"].(string)),
		"TEMPLATES", text("templates"), "ALPHAS", text("alphas"), "EPOCHS", text("epochs"), "BATCH", text("batch"),
		"RATE", text("lr"), "DECAY", text("wd"), "WARMUP", text("warmup"), "SMOOTHING", text("label_smoothing"),
		"VARIANCE", b(vc[0]), "COVARIANCE", b(vc[1])).Replace(`version: 1
sweep: {axes: {alpha: ALPHAS}}
stages:
  zeroshot: {uses: zeroshot, with: {checkpoint: CLIP, classes: DIR/classes.txt, templates: TEMPLATES}}
  train: {uses: dataset, with: {format: imagefolder, path: DIR, split: train, classes: DIR/classes.txt}}
  test: {uses: dataset, with: {format: imagefolder, path: DIR/test, classes: DIR/classes.txt}}
  tuned:
    uses: finetune
    with:
      classifier: stages.zeroshot
      data: stages.train
      epochs: EPOCHS
      batch_size: BATCH
      learning_rate: RATE
      weight_decay: DECAY
      warmup_steps: WARMUP
      label_smoothing: SMOOTHING
      vc_reg: {variance: VARIANCE, covariance: COVARIANCE}
      augment: none
      shuffle: false
  merged: {uses: ensemble, with: {from: stages.zeroshot, to: stages.tuned, alpha: "${sweep.alpha}"}}
  scores: {uses: evaluate, with: {classifier: stages.merged, data: stages.test}}
`)
}

// top1ByAlpha reads the accuracies of the stage scores.
func top1ByAlpha(t *testing.T, path string) map[float64]float64 {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[float64]float64{}
	for line := range strings.Lines(string(content)) {
		var r struct {
			Stage   string
			Point   map[string]float64
			Metrics struct{ Test struct{ Top1 float64 } }
		}
		if strings.Contains(line, `"stage":"scores"`) {
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			found[r.Point["alpha"]] = r.Metrics.Test.Top1
		}
	}
	return found
}

func readJSON(t *testing.T, path string, into any) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}
