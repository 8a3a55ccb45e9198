package builtin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"

	"regft/datasets/featurestats"
	"regft/stages"
)

// plain is a PNG of one colour.
func plain(t *testing.T, value uint8) string {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, 20, 24))
	for i := range im.Pix {
		im.Pix[i] = value
	}
	im.SetGray(3, 3, color.Gray{Y: value + 1})
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// inspections are the lines of pictures.jsonl.
func inspections(t *testing.T, a stages.Artifact) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text(t, a, "pictures.jsonl")) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// withFlaws is a set of noise with a copy, two blank pictures, a broken one and one that is in the reference.
func withFlaws(t *testing.T, l *lab) (data, reference stages.Artifact) {
	t.Helper()
	dir, real := t.TempDir(), t.TempDir()
	for i, content := range []string{picture(t, 1), picture(t, 2), picture(t, 1), plain(t, 0), plain(t, 200), "\x89PNG\r\n\x1a\nno more", picture(t, 50), picture(t, 3)} {
		write(t, content, dir, "cat", fmt.Sprintf("%d.png", i))
	}
	for i := range 6 {
		write(t, picture(t, uint64(48+i)), real, "cat", fmt.Sprintf("%d.png", i))
	}
	return l.dataset(dir), l.dataset(real)
}

func TestInspectPixels(t *testing.T) {
	l := newLab(t)
	data, reference := withFlaws(t, l)
	o := l.run("inspect", "", given("data", data, "reference", reference))
	for name, want := range map[string]float64{"images": 8, "broken": 1, "blank": 2, "leaks": 1} {
		if got := number(t, o, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if _, ok := o.metrics["effective_rank"]; ok {
		t.Error("features are measured without a classifier")
	}
	lines := inspections(t, only(o))
	for i, r := range rows(t, data) {
		if lines[i]["file_name"] != r.FileName {
			t.Fatalf("line %d is of %v, want %s", i, lines[i]["file_name"], r.FileName)
		}
		_, broken := lines[i]["broken"]
		_, blank := lines[i]["blank"]
		if broken != (i == 5) || blank != (i == 3 || i == 4) {
			t.Errorf("picture %d: %v", i, lines[i])
		}
	}
	copied, leaked := lines[2]["duplicate"].(map[string]any), lines[6]["leak"].(map[string]any)
	if copied["distance"] != 0.0 || copied["file_name"] != rows(t, data)[0].FileName {
		t.Errorf("the copy's nearest is %v", copied)
	}
	if leaked["distance"] != 0.0 || leaked["file_name"] != rows(t, reference)[2].FileName {
		t.Errorf("the leak's nearest is %v", leaked)
	}
	var kept map[string]float64
	decodeJSON(t, text(t, only(o), "inspect.json"), &kept)
	if kept["blank"] != 2 || len(kept) != len(o.metrics) {
		t.Errorf("inspect.json has %v", kept)
	}
	strict := number(t, l.run("inspect", "{max_bits: 0}", given("data", data)), "duplicates")
	loose := number(t, l.run("inspect", "{max_bits: 64}", given("data", data)), "duplicates")
	if strict < 1 || loose != 6 { // all but the first of the seven that can be decoded
		t.Errorf("at 0 bits there are %v duplicates, at 64 %v", strict, loose)
	}
}

// TestInspectFeatures: the statistics are those of what the features stage gives.
func TestInspectFeatures(t *testing.T) {
	l := newLab(t)
	classifier := l.zeroshot(clips(t)[0], "cat", "dog")
	data, reference := l.dataset(folderOf(t, 9, "cat", "dog")), l.dataset(folderOf(t, 5, "cat", "dog"))
	fit := func(a stages.Artifact) featurestats.Gaussian {
		features := only(l.run("features", "", given("classifier", classifier, "data", a)))
		g, err := featurestats.Fit(floats(t, features, "features.safetensors", "features"), tensor(t, features, "features.safetensors", "features").Shape[1])
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	a, b := fit(data), fit(reference)
	distance, err := featurestats.Frechet(a, b)
	if err != nil {
		t.Fatal(err)
	}
	rank, err := a.EffectiveRank()
	if err != nil {
		t.Fatal(err)
	}
	o := l.run("inspect", "", given("data", data, "reference", reference, "classifier", classifier))
	for name, want := range map[string]float64{
		"frechet_distance": distance, "feature_deviation": a.Deviation(), "effective_rank": rank, "reference_feature_deviation": b.Deviation(), "clip_leaks": 10,
	} {
		if got := number(t, o, name); math.Abs(got-want) > 1e-6*max(1, want) && name != "clip_leaks" || name == "clip_leaks" && got < want { // the ten of reference are in data
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	itself := l.run("inspect", "", given("data", data, "reference", data, "classifier", classifier))
	if d := number(t, itself, "frechet_distance"); d > 1e-4*distance {
		t.Errorf("the distance of a set to itself is %v", d)
	}
}

// TestInspectFeaturesOfFlaws: broken pictures have no features, and shift nobody else's.
func TestInspectFeaturesOfFlaws(t *testing.T) {
	l := newLab(t)
	data, reference := withFlaws(t, l)
	o := l.run("inspect", "{min_cosine: 0.999999}", given("data", data, "reference", reference, "classifier", l.zeroshot(clips(t)[0], "cat")))
	lines := inspections(t, only(o))
	if _, ok := lines[5]["clip_leak"]; ok {
		t.Error("a broken picture has a feature")
	}
	for line, want := range map[int]string{2: rows(t, data)[0].FileName, 6: rows(t, reference)[2].FileName} {
		name := map[int]string{2: "clip_duplicate", 6: "clip_leak"}[line]
		if got := lines[line][name].(map[string]any); got["file_name"] != want || got["distance"].(float64) > 1e-6 {
			t.Errorf("the nearest of picture %d is %v, want %s", line, got, want)
		}
	}
	broken := t.TempDir()
	write(t, "\x89PNG\r\n\x1a\nno more", broken, "cat", "0.png")
	_, err := l.try("inspect", "", given("data", l.dataset(broken), "classifier", l.zeroshot(clips(t)[0], "cat")))
	wantError(t, err, "data", "none of 1 pictures can be decoded")
}
