package builtin_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"regft/stages"
)

// TestMix: the first of each set, then the second of each, as many as weights and per_class say.
func TestMix(t *testing.T) {
	l := newLab(t)
	a, b := l.dataset(folderOf(t, 4, "cat", "dog")), l.dataset(folderOf(t, 2, "cat", "dog"))
	mix := func(params string, sets ...stages.Artifact) outcome {
		inputs := map[string][]stages.Input{}
		for _, s := range sets {
			inputs["data"] = append(inputs["data"], one(s)...)
		}
		return l.run("mix", params, inputs)
	}
	da, db := digests(t, a), digests(t, b)
	all := mix("", a, b)
	want := slices.Concat([]any{da[0], db[0], da[1], db[1], da[2], db[2], da[3], db[3]}, []any{da[4], da[5], da[6], da[7]})
	var got []any
	for _, d := range digests(t, only(all)) {
		got = append(got, d)
	}
	if !slices.Equal(got, want) || number(t, all, "images") != 12 {
		t.Errorf("mixed: %v, want %v", got, want)
	}
	for params, want := range map[string][2]int{
		"{per_class: 2}": {1, 1}, "{per_class: 4, weights: [0.75, 0.25]}": {3, 1}, "{per_class: 2, weights: [1, 1]}": {2, 2}, "{per_class: 3, weights: [1, 0]}": {3, 0},
	} {
		o := mix(params, a, b)
		cats := 0
		for _, r := range rows(t, only(o)) {
			if r.Class == "cat" {
				cats++
			}
			if r.Origin != "dataset" || !strings.HasPrefix(r.FileName, r.Class+"/0000_") {
				t.Errorf("a row is %+v", r)
			}
		}
		if n := want[0] + want[1]; cats != n || number(t, o, "images") != float64(2*n) {
			t.Errorf("%s: %d cats, %v pictures, want %d and %d", params, cats, o.metrics["images"], n, 2*n)
		}
	}
	for params, want := range map[string]string{
		"{per_class: 8}": "data 2: class cat has 2 pictures", "{per_class: 2, weights: [1]}": "there are 1, for 2 sets",
		"{weights: [1, 2]}": "give per_class", "{per_class: 1, weights: [-1, 2]}": "-1 is no weight",
	} {
		_, err := l.try("mix", params, map[string][]stages.Input{"data": append(one(a), one(b)...)})
		wantError(t, err, want)
	}
	_, err := l.try("mix", "", map[string][]stages.Input{"data": append(one(a), one(l.dataset(folderOf(t, 1, "cat", "owl")))...)})
	wantError(t, err, "data 1 and data 2", `"owl"`)
}

// TestFeatures: features are the tower's, unnormalised, in the set's order: the head makes evaluate's logits of them.
func TestFeatures(t *testing.T) {
	for _, checkpoint := range clips(t) {
		l := newLab(t)
		data, classifier := l.dataset(folderOf(t, 11, "cat", "dog")), l.zeroshot(checkpoint, "cat", "dog")
		inputs := given("classifier", classifier, "data", data)
		a := only(l.run("features", "{batch_size: 5}", inputs))
		features := tensor(t, a, "features.safetensors", "features")
		weight, x := head(t, classifier), floats(t, a, "features.safetensors", "features")
		n, dim := features.Shape[0], features.Shape[1]
		if n != 22 || dim != len(weight)/2 {
			t.Fatalf("features are %v", features.Shape)
		}
		labels, err := tensor(t, a, "features.safetensors", "labels").Int64s()
		if err != nil {
			t.Fatal(err)
		}
		logits := floats(t, only(l.run("evaluate", "", inputs)), "logits.safetensors", "logits")
		want := make([]float32, 2*n)
		for i := range n {
			if labels[i] != int64(i%2) {
				t.Fatalf("labels are %v", labels)
			}
			norm := 0.0
			for k := range dim {
				norm += float64(x[i*dim+k]) * float64(x[i*dim+k])
			}
			for c := range 2 {
				sum := 0.0
				for k := range dim {
					sum += float64(x[i*dim+k]) * float64(weight[c*dim+k])
				}
				want[2*i+c] = float32(sum / math.Sqrt(norm))
			}
		}
		if !near(want, logits, 1e-5) {
			t.Error("the head on the features gives other logits than evaluate")
		}
		if again := only(l.run("features", "{batch_size: 64}", inputs)); again.Digest != a.Digest {
			t.Error("features depend on batch_size")
		}
	}
}

// TestEvaluate: scores.json holds the metrics asked for, and they do not depend on batch_size.
func TestEvaluate(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 19, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	inputs := given("classifier", classifier, "data", data)
	all := l.run("evaluate", "", inputs)
	if len(all.metrics) != 5 {
		t.Errorf("metrics are %v", all.metrics)
	}
	if got := strings.TrimSpace(text(t, only(all), "scores.json")); got != stages.CanonicalJSON(all.metrics) {
		t.Errorf("scores.json is %s, metrics %v", got, all.metrics)
	}
	for _, size := range []int{1, 7, 40} {
		if o := l.run("evaluate", fmt.Sprintf("{batch_size: %d}", size), inputs); only(o).Digest != only(all).Digest {
			t.Errorf("batch_size %d gives other scores", size)
		}
	}
	some := l.run("evaluate", "{metrics: [nll]}", inputs)
	if got := text(t, only(some), "scores.json"); got != fmt.Sprintf("{\"nll\":%s}\n", stages.CanonicalJSON(all.metrics["nll"])) {
		t.Errorf("scores.json of nll alone is %s", got)
	}
	_, err := l.try("evaluate", "", given("classifier", classifier, "data", l.dataset(folderOf(t, 1, "cat", "owl"))))
	wantError(t, err, "classifier and data", `"owl"`)
}

// TestClassNames: lists that write folders or names, _ or a space, mean one class.
func TestClassNames(t *testing.T) {
	l := newLab(t)
	classifier := l.zeroshot(clips(t)[0], "red fox", "tench")
	l.run("evaluate", "", given("classifier", classifier, "data", l.dataset(folderOf(t, 1, "red_fox", "tench"))))
}

// TestVariants: a classifier of ImageNet's classes is measured on a variant's, which are fewer and in another order.
func TestVariants(t *testing.T) {
	l := newLab(t)
	imagenet := l.zeroshot(clips(t)[0], "n02123045\ttabby cat", "n01440764\ttench", "n02119789\tkit fox")
	variant := l.dataset(folderOf(t, 3, "n01440764", "n02119789"))
	few := l.zeroshot(clips(t)[0], "n01440764\ttench", "n02119789\tkit fox")
	got := l.run("evaluate", "", given("classifier", imagenet, "data", variant))
	want := l.run("evaluate", "", given("classifier", few, "data", variant))
	const file, name = "logits.safetensors", "logits"
	if a, b := tensor(t, only(got), file, name).Shape, tensor(t, only(want), file, name).Shape; !slices.Equal(a, b) {
		t.Fatalf("logits are %v, want %v", a, b)
	}
	if !near(floats(t, only(want), file, name), floats(t, only(got), file, name), 1e-5) || number(t, got, "top1") != number(t, want, "top1") {
		t.Error("projected logits are not those of the classes alone")
	}
	_, err := l.try("evaluate", "", given("classifier", imagenet, "data", l.dataset(folderOf(t, 1, "n01440764", "n99999999"))))
	wantError(t, err, `"n99999999"`)
	_, err = l.try("evaluate", "", given("classifier", l.zeroshot(clips(t)[0], "cat", "dog", "owl"), "data", l.dataset(folderOf(t, 1, "cat", "dog"))))
	wantError(t, err, "3 and 2 classes")
}
