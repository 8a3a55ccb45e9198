package builtin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/stages"
)

// alternatives are ways of training beside the published one.
var alternatives = map[string]string{
	"groups":      "groups: [{match: head.*, learning_rate: 1e-2, weight_decay: 0}, {match: ['*.bias', '*norm*']}], layer_decay: 0.5",
	"ema":         "ema: 0.5",
	"l2_sp":       "l2_sp: 10, weight_decay: 0",
	"distill":     "distill: 1",
	"micro_batch": "micro_batch: 3",
	"tip_adapter": "augment: tip_adapter",
	"lora":        "train: lora, lora: {rank: 2, alpha: 8, targets: [q_proj, fc1]}",
	"all of them": "ema: 0.5, l2_sp: 1, distill: 1, micro_batch: 2, layer_decay: 0.5, groups: [{match: '*lora_B*', weight_decay: 0}], train: lora",
}

// TestFineTuneAlternatives: each trains otherwise than the published way, goes on from a checkpoint to the same bytes, and
// has a key of its own; what is accumulated is what the batch gives.
func TestFineTuneAlternatives(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 5, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	inputs := given("classifier", classifier, "data", data, "validate", data)
	const params = "epochs: 2, batch_size: 5, warmup_steps: 0, learning_rate: 1e-3, checkpoint_every: 1, seed: 5"
	plain := l.run("finetune", "{"+params+"}", inputs)
	const tower, layer = "model-00002-of-00002.safetensors", "vision_model.encoder.layers.0.self_attn.q_proj.weight"
	published := floats(t, only(plain), tower, layer)
	for name, more := range alternatives {
		t.Run(name, func(t *testing.T) {
			all := "{" + params + ", " + more + "}"
			whole := l.run("finetune", all, inputs)
			got := floats(t, only(whole), tower, layer)
			if slices.Equal(got, published) {
				t.Error("it trains as without")
			}
			if alike := near(published, got, 1e-4); alike != (name == "micro_batch") {
				t.Errorf("its weights are those of the whole batch: %v", alike)
			}
			if slices.Equal(l.lines("finetune", all, inputs, false), l.lines("finetune", "{"+params+"}", inputs, false)) {
				t.Error("it has the key of the training without")
			}
			l.goesOn(t, all, inputs, whole)
			scores := l.run("evaluate", "", given("classifier", only(whole), "data", data))
			if a, b := number(t, whole, "validate_top1"), number(t, scores, "top1"); a != b {
				t.Errorf("validate_top1 is %v, evaluate gives %v", a, b)
			}
		})
	}
}

// goesOn kills a training after its second step of four, and wants the rest to give the same.
func (l *lab) goesOn(t *testing.T, params string, inputs map[string][]stages.Input, whole outcome) {
	t.Helper()
	l.partial = t.TempDir()
	ctx, cancel := context.WithCancel(l.ctx)
	defer func(ctx context.Context) { l.ctx, l.stepped, l.partial = ctx, nil, "" }(l.ctx)
	l.stepped = func(step int, _ map[string]float64) {
		if step == 1 {
			cancel()
		}
	}
	alive := l.ctx
	l.ctx = ctx
	if _, err := l.try("finetune", params, inputs); !errors.Is(err, context.Canceled) {
		t.Fatalf("killed at step 1: %v", err)
	}
	l.ctx = alive
	if rest := l.run("finetune", params, inputs); only(rest).Digest != only(whole).Digest || len(rest.series) >= len(whole.series) {
		t.Errorf("killed at step 1, it goes on with %d of %d series to another classifier", len(rest.series), len(whole.series))
	}
}

// TestFineTuneRecordsItsParts: every step tells the parts of its loss.
func TestFineTuneRecordsItsParts(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 5, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	o := l.run("finetune", "{epochs: 1, batch_size: 5, warmup_steps: 0, learning_rate: 1e-3, l2_sp: 10, distill: 2}", given("classifier", classifier, "data", data))
	want := []string{"covariance", "cross_entropy", "distance", "feature_variance", "grad_norm", "l2_sp", "learning_rate", "loss", "variance"}
	for step, s := range o.series {
		if got := sortedNames(s); !slices.Equal(got, want) {
			t.Errorf("step %d tells %v, want %v", step, got, want)
		}
		parts := s["cross_entropy"] + 0.16*s["variance"] + 0.02*s["covariance"] + 2*s["distance"] + s["l2_sp"]
		if d := s["loss"] - parts; d > 1e-4*parts || d < -1e-4*parts || (step > 0) != (s["l2_sp"] > 0) {
			t.Errorf("step %d has loss %v, its parts %v", step, s["loss"], s)
		}
	}
}

func sortedNames(values map[string]float64) (names []string) {
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestLoRAFiles: low-rank updates are merged into the classifier and lie beside it, and what is made of the classifier
// does not have them.
func TestLoRAFiles(t *testing.T) {
	l := newLab(t)
	start := l.zeroshot(clips(t)[0], "cat", "dog")
	tuned := tune(l, "{epochs: 1, batch_size: 5, warmup_steps: 0, learning_rate: 1e-2, train: lora, lora: {rank: 2, alpha: 6, targets: [fc2]}}", clips(t)[0])
	dir := published(t, tuned)
	adapters := readSafetensors(t, filepath.Join(dir, "lora", "adapter_model.safetensors"))
	const tower, layer = "model-00002-of-00002.safetensors", "vision_model.encoder.layers.1.mlp.fc2"
	a, errA := adapters["base_model.model."+layer+".lora_A.weight"].Float32s()
	b, errB := adapters["base_model.model."+layer+".lora_B.weight"].Float32s()
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	before, after := floats(t, start, tower, layer+".weight"), floats(t, tuned, tower, layer+".weight")
	in := len(a) / 2
	for i := range before {
		row, col := i/in, i%in
		before[i] += 3 * (b[row*2]*a[col] + b[row*2+1]*a[in+col])
	}
	if !near(before, after, 1e-5) {
		t.Error("the weights are not those of the start with the updates")
	}
	if !slices.Equal(head(t, start), head(t, tuned)) {
		t.Error("the head moved")
	}
	for name, made := range map[string]stages.Artifact{
		"an ensemble": l.merge(0.5, start, tuned),
		"a training":  only(l.run("finetune", "{epochs: 1, batch_size: 5}", given("classifier", tuned, "data", l.dataset(folderOf(t, 5, "cat", "dog"))))),
	} {
		for _, f := range made.Manifest.Files {
			if strings.Contains(f.Name, "lora") {
				t.Errorf("%s has %s", name, f.Name)
			}
		}
	}
}

// TestPeft: peft loads the updates over the classifier that training began with, and gives our features.
func TestPeft(t *testing.T) {
	program := python(t)
	if out, err := exec.CommandContext(t.Context(), program, "-c", "import peft").CombinedOutput(); err != nil {
		t.Skipf("%s has no peft: %s", program, bytes.TrimSpace(out))
	}
	l := newLab(t)
	data := l.dataset(folderOf(t, 5, "cat", "dog"))
	var names, dirs []string
	var ours [][]float32
	for _, checkpoint := range append(clips(t), abs(t, "../../examples/shapes/checkpoints/clip-nano")) {
		for _, targets := range []string{"[q_proj, v_proj]", "[fc1, out_proj, visual_projection]"} {
			start := published(t, l.zeroshot(checkpoint, "cat", "dog"))
			tuned := tune(l, fmt.Sprintf("{epochs: 2, batch_size: 5, warmup_steps: 0, learning_rate: 1e-2, train: lora, lora: {rank: 3, alpha: 5, targets: %s}}", targets), checkpoint)
			names, dirs = append(names, filepath.Base(checkpoint)+" "+targets), append(dirs, start+"+"+filepath.Join(published(t, tuned), "lora"))
			ours = append(ours, floats(t, only(l.run("features", "", given("classifier", tuned, "data", data))), "features.safetensors", "features"))
		}
	}
	for i, got := range load(t, program, published(t, data), dirs) {
		if len(got.Wrong) > 0 || !near(ours[i], got.Features, 1e-4) {
			t.Errorf("%s: wrong tensors %v, our features begin %v, peft's %v", names[i], got.Wrong, ours[i][:4], got.Features[:4])
		}
	}
}

func TestFineTuneRefusesAlternatives(t *testing.T) {
	l := newLab(t)
	inputs := given("classifier", l.zeroshot(clips(t)[0], "cat", "dog"), "data", l.dataset(folderOf(t, 5, "cat", "dog")))
	for params, want := range map[string]string{
		"{lora: {rank: 2}}":                                      "lora is for train: lora, and train is all",
		"{train: head, distill: 1}":                              "train: head changes none",
		"{batch_size: 5, train: lora, lora: {targets: [qproj]}}": `"qproj" is no linear layer of the image tower`,
		"{groups: [{learning_rate: 1}]}":                         "a group needs match",
		"{groups: [{match: head.*, lr: 1}]}":                     `unknown key "lr"`,
		"{groups: [{match: head.*, weight_decay: -1}]}":          "weight_decay of a group is -1",
		"{batch_size: 5, groups: [{match: heads.*}]}":            `"heads.*" matches none`,
		"{ema: 2}":         "outside [0, 1]",
		"{micro_batch: 0}": "outside [1",
		"{batch_size: 5, train: head, groups: [{match: '*.fc1.*'}]}": `"*.fc1.*" matches none of the 2 parameters`,
	} {
		_, err := l.try("finetune", params, inputs)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
}
