package builtin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"regft/stages"
)

// TestOutcomes guards versions: what each type makes of small inputs may only change, beyond the tolerances of the
// goldens, together with the type's version.
func TestOutcomes(t *testing.T) {
	got := outcomes(t)
	path := filepath.Join("testdata", "outcomes.json")
	if *update {
		content, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		write(t, string(content)+"\n", path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{}
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	for name, values := range got {
		if !alike(values, want[name]) {
			t.Errorf("%s gives %v, recorded is %v", name, values, want[name])
		}
	}
	if t.Failed() {
		t.Log("If results are meant to change, raise the type's Version in its registration, so that old results answer no new question. Then run: " +
			"go test ./stages/builtin -run TestOutcomes -update")
	}
}

// alike tells whether values agree within 1e-3 of the largest.
func alike(a, b []float64) bool {
	largest := 0.0
	for _, x := range b {
		largest = max(largest, math.Abs(x))
	}
	for i := range a {
		if i >= len(b) || !(math.Abs(a[i]-b[i]) <= 1e-3*largest) {
			return false
		}
	}
	return len(a) == len(b)
}

// outcomes are a few numbers of each type's result, by type and version.
func outcomes(t *testing.T) map[string][]float64 {
	l := newLab(t)
	out := map[string][]float64{}
	record := func(name string, values ...float64) {
		out[fmt.Sprintf("%s v%d", name, mustLookup(t, name).Version)] = values
	}
	data := l.dataset(folderOf(t, 5, "cat", "dog"))
	classifier := l.zeroshot(clips(t)[0], "cat", "dog")
	tuned := l.run("finetune", "{epochs: 2, batch_size: 5, warmup_steps: 1, learning_rate: 1e-3, seed: 3}", given("classifier", classifier, "data", data))
	merged := l.merge(0.3, classifier, only(tuned))
	scores := l.run("evaluate", "", given("classifier", merged, "data", data))
	shots := rows(t, only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q, shots: 2, skip: 1, seed: 4}", folderOf(t, 9, "cat", "dog")), nil)))
	mixed := l.run("mix", "{per_class: 4, weights: [0.75, 0.25]}", map[string][]stages.Input{"data": append(one(data), one(data)...)})

	record("zeroshot", moments(head(t, classifier))...)
	record("finetune", tuned.series[0]["loss"], tuned.series[3]["loss"], tuned.series[3]["grad_norm"])
	record("ensemble", moments(floats(t, only(l.run("features", "", given("classifier", merged, "data", data))), "features.safetensors", "features"))...)
	record("features", moments(floats(t, only(l.run("features", "", given("classifier", classifier, "data", data))), "features.safetensors", "features"))...)
	record("evaluate", number(t, scores, "top1"), number(t, scores, "top5"), number(t, scores, "mean_per_class"), number(t, scores, "nll"), number(t, scores, "ece"))
	record("dataset", float64(len(shots)), float64(shots[0].Label), float64(shots[1].Label))
	record("mix", number(t, mixed, "images"))
	information := l.run("fisher", "{seed: 2}", given("classifier", classifier, "data", data))
	record("fisher", number(t, information, "images"), number(t, information, "trace"))
	best := ratings(t, only(l.run("filter", "{by: clip_score, keep: {fraction: 0.4}}", given("data", data, "classifier", classifier))))
	record("filter", float64(len(best)), best[0].Score, best[0].Confidence, best[3].Score)
	looked := l.run("inspect", "", given("data", data, "reference", l.dataset(folderOf(t, 3, "cat", "dog")), "classifier", classifier))
	record("inspect", number(t, looked, "effective_rank"), number(t, looked, "feature_deviation"), number(t, looked, "duplicates"))
	adapted := l.run("adapt", "{method: tip_f, augment_epochs: 2, epochs: 2, batch_size: 4, learning_rate: 1e-2, seed: 5}", given("classifier", classifier, "data", data))
	record("adapt", append(moments(floats(t, only(adapted), "adapter.safetensors", "keys.0")), number(t, adapted, "loss"))...)
	record("generate", pixels(t, only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, classes: [fox], prompt: "a {}", images_per_class: 1, steps: 3, batch_size: 1, seed: 6}`, diffusions(t)[0]), nil)))...)
	return out
}

// moments are mean, mean square, and the first values.
func moments(values []float32) []float64 {
	mean, square := 0.0, 0.0
	for _, x := range values {
		mean += float64(x) / float64(len(values))
		square += float64(x) * float64(x) / float64(len(values))
	}
	return []float64{mean, math.Sqrt(square), float64(values[0]), float64(values[1])}
}

// pixels are the mean red, green and blue of a set's first picture.
func pixels(t *testing.T, a stages.Artifact) []float64 {
	t.Helper()
	im, err := png.Decode(bytes.NewReader([]byte(text(t, a, rows(t, a)[0].FileName))))
	if err != nil {
		t.Fatal(err)
	}
	sums, n := [3]float64{}, 0.0
	for y := range im.Bounds().Dy() {
		for x := range im.Bounds().Dx() {
			r, g, b, _ := im.At(x, y).RGBA()
			sums[0], sums[1], sums[2], n = sums[0]+float64(r>>8), sums[1]+float64(g>>8), sums[2]+float64(b>>8), n+1
		}
	}
	return []float64{sums[0] / n, sums[1] / n, sums[2] / n}
}
