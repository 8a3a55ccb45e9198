package builtin_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"regft/stages"
)

// An adaptLab is a classifier with shots and pictures to choose by.
type adaptLab struct {
	*lab
	classifier, shots, pictures stages.Artifact
}

// newAdaptLab is over the pictures of the method's golden.
func newAdaptLab(t *testing.T) adaptLab {
	l, dir := newLab(t), filepath.Join(goldens, "method-tiny")
	classes := filepath.Join(dir, "classes.txt")
	data := func(split string, shots int) stages.Artifact {
		return only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %s, classes: %s, shots: %d}", filepath.Join(dir, split), classes, shots), nil))
	}
	classifier := only(l.run("zeroshot", fmt.Sprintf(`{classes: %s, templates: ["a photo of a {}."]}`, classes), from(clips(t)[0])))
	return adaptLab{l, classifier, data("train", 3), data("test", 6)}
}

// adapt runs adapt without augmentation, validated on the pictures unless inputs are given.
func (l adaptLab) adapt(params string, more ...any) outcome {
	l.t.Helper()
	inputs := append([]any{"classifier", l.classifier, "data", l.shots, "validate", l.pictures}, more...)
	return l.run("adapt", params, given(inputs...))
}

func (l adaptLab) evaluate(classifier stages.Artifact) outcome {
	l.t.Helper()
	return l.run("evaluate", "", given("classifier", classifier, "data", l.pictures))
}

// rowsOf are the unit features of pictures by the features stage, and their labels.
func (l adaptLab) rowsOf(data stages.Artifact) (rows [][]float64, labels []int64) {
	l.t.Helper()
	a := only(l.run("features", "", given("classifier", l.classifier, "data", data)))
	labels, err := tensor(l.t, a, "features.safetensors", "labels").Int64s()
	if err != nil {
		l.t.Fatal(err)
	}
	values := floats(l.t, a, "features.safetensors", "features")
	for row := range slices.Chunk(values, len(values)/len(labels)) {
		length := 0.0
		for _, x := range row {
			length += float64(x) * float64(x)
		}
		var unit []float64
		for _, x := range row {
			unit = append(unit, float64(x)/math.Sqrt(length))
		}
		rows = append(rows, unit)
	}
	return rows, labels
}

// TestAdaptTip computes a Tip-Adapter from the features that the features stage gives.
func TestAdaptTip(t *testing.T) {
	l := newAdaptLab(t)
	const beta, alpha = 2.5, 3
	tip := l.adapt(fmt.Sprintf("{method: tip, augment: none, beta: %v, alpha: %v}", beta, alpha))
	got := l.evaluate(only(tip))
	logits := floats(t, only(got), "logits.safetensors", "logits")
	keys, labels := l.rowsOf(l.shots)
	queries, _ := l.rowsOf(l.pictures)
	zero := floats(t, only(l.evaluate(l.classifier)), "logits.safetensors", "logits")
	classes := len(logits) / len(queries)
	for i, q := range queries {
		want := make([]float64, classes)
		for j, k := range keys {
			affinity := 0.0
			for d := range q {
				affinity += q[d] * k[d]
			}
			want[labels[j]] += alpha * math.Exp(-beta*(1-affinity))
		}
		for c := range want {
			if x := float64(logits[i*classes+c]); math.Abs(x-want[c]-float64(zero[i*classes+c])) > 1e-4 {
				t.Fatalf("picture %d, class %d: logit %g, want %g", i, c, x, want[c]+float64(zero[i*classes+c]))
			}
		}
	}
	if a, b := number(t, tip, "validate_top1"), number(t, got, "top1"); a != b {
		t.Errorf("validate_top1 is %g, evaluate gives %g", a, b)
	}
}

// TestAdapt: each method finds a point at which evaluate gives the accuracy that the search says, a repetition gives
// the same bytes, and augmentation changes them.
func TestAdapt(t *testing.T) {
	l := newAdaptLab(t)
	for _, c := range []struct {
		method, params string
		metrics        []string
	}{
		{"tip", "", nil},
		{"tip_f", "epochs: 3, batch_size: 5,", []string{"epoch", "loss"}},
		{"tip_x", "gamma: {search: {to: 30, steps: 5}},", []string{"gamma"}},
		{"cafo", fmt.Sprintf("epochs: 3, batch_size: 5, second_encoder: %q,", abs(t, filepath.Join(goldens, "resnet-a"))), []string{"epoch", "loss"}},
	} {
		t.Run(c.method, func(t *testing.T) {
			inner := *l.lab
			inner.t = t
			l := adaptLab{&inner, l.classifier, l.shots, l.pictures}
			params := fmt.Sprintf("{method: %s, %s augment_epochs: 2, seed: 3, beta: {search: {to: 30, steps: 20}}, alpha: {init: 1.5, search: {to: 10, steps: 10}}", c.method, c.params)
			first := l.adapt(params+"}", "generated", l.pictures)
			for _, name := range append(c.metrics, "beta", "alpha", "validate_top1") {
				number(t, first, name)
			}
			if a, b := number(t, first, "validate_top1"), number(t, l.evaluate(only(first)), "top1"); a != b {
				t.Errorf("validate_top1 is %g, evaluate gives %g", a, b)
			}
			if again := l.adapt(params+"}", "generated", l.pictures); only(again).Digest != only(first).Digest {
				t.Error("a second run gives other bytes")
			}
			plain := l.adapt(params+", augment: none}", "generated", l.pictures)
			if slices.Equal(floats(t, only(plain), "adapter.safetensors", "keys.0"), floats(t, only(first), "adapter.safetensors", "keys.0")) {
				t.Error("augmentation changes no key")
			}
		})
	}
}

// TestAdaptTrains: training lowers the loss, and each epoch is validated.
func TestAdaptTrains(t *testing.T) {
	l := newAdaptLab(t)
	out := l.adapt("{method: tip_f, augment: none, epochs: 8, batch_size: 6, alpha: 3}")
	var losses, accuracies []float64
	for _, point := range out.series {
		if x, ok := point["loss"]; ok {
			losses = append(losses, x)
		}
		if x, ok := point["validate_top1"]; ok {
			accuracies = append(accuracies, x)
		}
	}
	if len(losses) != 8*3 || len(accuracies) != 8 {
		t.Fatalf("%d steps and %d validations, want 24 and 8", len(losses), len(accuracies))
	}
	if sum(losses[:3]) <= sum(losses[21:]) {
		t.Errorf("losses go from %v to %v", losses[:3], losses[21:])
	}
	epoch := int(number(t, out, "epoch")) - 1
	if best := slices.Max(accuracies); accuracies[epoch] != best || slices.Index(accuracies, best) != epoch {
		t.Errorf("epoch %d of %v is not the first best", epoch, accuracies)
	}
}

func sum(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

// TestAdaptNameOnly: generated shots alone make a cache, over an ensemble too; with alpha 0 its answers are the
// classifier's.
func TestAdaptNameOnly(t *testing.T) {
	l := newAdaptLab(t)
	tuned := only(l.run("finetune", "{epochs: 1, batch_size: 6, warmup_steps: 0}", given("classifier", l.classifier, "data", l.shots)))
	l.classifier = only(l.run("ensemble", "{alpha: 0.5}", given("from", l.classifier, "to", tuned)))
	a := only(l.run("adapt", "{method: tip, alpha: 0}", given("classifier", l.classifier, "generated", l.shots)))
	got := floats(t, only(l.evaluate(a)), "logits.safetensors", "logits")
	want := floats(t, only(l.evaluate(l.classifier)), "logits.safetensors", "logits")
	for i, w := range want {
		if math.Abs(float64(got[i]-w)) > 1e-4 {
			t.Fatalf("logit %d is %g, want %g", i, got[i], w)
		}
	}
}

// TestAdaptPublished: the epoch is chosen on test, and what is reported is the best of all.
func TestAdaptPublished(t *testing.T) {
	l := newAdaptLab(t)
	inputs := given("classifier", l.classifier, "data", l.shots, "validate", l.shots, "test", l.pictures)
	out := l.run("adapt", "{method: tip_f, compat: published, augment: none, epochs: 3, alpha: {search: {to: 5, steps: 5}}}", inputs)
	if a, b := number(t, out, "test_top1"), number(t, l.evaluate(only(out)), "top1"); a != b {
		t.Errorf("test_top1 is %g, evaluate gives %g", a, b)
	}
	if number(t, out, "reported_top1") < number(t, out, "test_top1") {
		t.Error("the larger of two is the smaller")
	}
	_, err := l.try("adapt", "{method: tip_x, compat: published, augment: none}", given("classifier", l.classifier, "data", l.shots, "validate", l.pictures))
	wantError(t, err, "fewer than 100 samples", "compat: published")
}

// TestAdaptViews: the same pictures as real and as generated shots are augmented each in its own way.
func TestAdaptViews(t *testing.T) {
	l := newAdaptLab(t)
	for augment, same := range map[string]bool{"none": true, "random_resized_crop": false} {
		a := only(l.adapt(fmt.Sprintf("{method: tip, augment: %s, augment_epochs: 1}", augment), "generated", l.shots))
		keys := floats(t, a, "adapter.safetensors", "keys.0")
		if half := len(keys) / 2; slices.Equal(keys[:half], keys[half:]) != same {
			t.Errorf("augment: %s: equal keys of equal pictures: %v, want %v", augment, !same, same)
		}
	}
}

// TestAdaptSecondEncoder: a folder, and a file under the name that DINO's has, are one encoder; another gives other keys.
func TestAdaptSecondEncoder(t *testing.T) {
	l := newAdaptLab(t)
	dir := abs(t, filepath.Join(goldens, "resnet-b"))
	content, err := os.ReadFile(filepath.Join(dir, "pytorch_model.bin"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(path string) stages.Artifact {
		return only(l.adapt(fmt.Sprintf("{method: cafo, augment: none, epochs: 1, second_encoder: %q}", path)))
	}
	folder, file := run(dir), run(write(t, string(content), t.TempDir(), "dino_resnet50_pretrain.pth"))
	if folder.Digest != file.Digest {
		t.Error("the file's adapter is not the folder's")
	}
	if run(abs(t, filepath.Join(goldens, "resnet-a"))).Digest == folder.Digest {
		t.Error("another encoder gives the same adapter")
	}
}

func TestAdaptRefuses(t *testing.T) {
	l := newAdaptLab(t)
	resnet := abs(t, filepath.Join(goldens, "resnet-a"))
	shots := given("classifier", l.classifier, "data", l.shots)
	other := only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q}", folderOf(t, 2, "cat", "dog")), nil))
	for _, c := range []struct {
		params string
		inputs map[string][]stages.Input
		want   []string
	}{
		{"{method: tip}", given("classifier", l.classifier), []string{"data (real), generated, or both"}},
		{"{method: cafo}", shots, []string{"second_encoder"}},
		{fmt.Sprintf("{method: tip, second_encoder: %q}", resnet), shots, []string{"for method: cafo"}},
		{"{method: tip, beta: {search: {to: 3, steps: 2}}}", shots, []string{"validate"}},
		{"{method: tip, gamma: 1}", shots, []string{"gamma", "tip_x"}},
		{"{method: tip, temperature: 1}", shots, []string{"temperature", "tip_x and cafo"}},
		{"{method: tip_x, temperature: 0}", shots, []string{"temperature is 0"}},
		{"{method: tip_f}", given("classifier", l.classifier, "data", l.shots, "test", l.shots), []string{"compat: published"}},
		{"{method: tip}", given("classifier", l.classifier, "data", other), []string{"classifier", "data", "cat"}},
		{fmt.Sprintf("{method: cafo, second_encoder: %q}", t.TempDir()), shots, []string{"model.safetensors"}},
		{fmt.Sprintf("{method: cafo, second_encoder: %q}", filepath.Join(clips(t)[0], "model.safetensors")), shots, []string{"second_encoder", "no ResNet"}},
	} {
		_, err := l.try("adapt", c.params, c.inputs)
		wantError(t, err, c.want...)
	}
}
