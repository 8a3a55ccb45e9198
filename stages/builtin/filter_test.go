package builtin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/cache"
	"regft/stages"
)

// rated is a line of scores.jsonl.
type rated struct {
	FileName  string  `json:"file_name"`
	Score     float64 `json:"score"`
	Rank      float64 `json:"rank"`
	ClipScore float64 `json:"clip_score"`
	Confidence,
	Margin float64
	Predicted int
	Correct   *bool
}

// ratings are the lines of scores.jsonl, which must go with those of metadata.jsonl.
func ratings(t *testing.T, a stages.Artifact) []rated {
	t.Helper()
	var out []rated
	for line := range strings.Lines(text(t, a, "scores.jsonl")) {
		var r rated
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	for i, r := range rows(t, a) {
		if len(out) <= i || out[i].FileName != r.FileName {
			t.Fatalf("line %d of scores.jsonl is not of %s", i+1, r.FileName)
		}
	}
	return out
}

// attribute is image.NAME.
func attribute(vars map[string]any, name string) (any, error) {
	v, ok := vars["image"].(map[string]any)[name]
	if !ok {
		return nil, fmt.Errorf("no image.%s", name)
	}
	return v, nil
}

// keepIf is a filter whose condition is a function.
func (l *lab) keepIf(params string, inputs map[string][]stages.Input, keep func(vars map[string]any) (any, error)) (outcome, error) {
	l.t.Helper()
	l.expr = map[string]func(map[string]any) (any, error){"keep": keep}
	defer func() { l.expr = nil }()
	return l.try("filter", params, inputs)
}

func always(map[string]any) (any, error) { return true, nil }

// TestFilterInOrder: without by the set's own order ranks.
func TestFilterInOrder(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 4, "cat", "dog")) // cat, dog, cat, dog, …
	all := digests(t, data)
	for params, want := range map[string][]cache.Digest{
		"{keep: {per_class: 1}}":     all[:2],
		"{keep: {per_class: 3}}":     all[:6],
		"{keep: {per_class: 9}}":     all,
		"{keep: {fraction: 0.5}}":    all[:4],
		"{keep: {fraction: 0.3}}":    all[:3], // what begins within it
		"{keep: {fraction: 1}}":      all,
		"{keep: {fraction: 0.0001}}": all[:1],
	} {
		o := l.run("filter", params, given("data", data))
		if got := digests(t, only(o)); !slices.Equal(got, want) || int(number(t, o, "images")) != len(want) {
			t.Errorf("%s keeps %d pictures, want the first %d", params, len(got), len(want))
		}
		ratings(t, only(o))
	}
	o, err := l.keepIf("", given("data", data), func(vars map[string]any) (any, error) {
		class, err := attribute(vars, "class")
		return class == "dog", err
	})
	if err != nil || len(rows(t, only(o))) != 4 || rows(t, only(o))[0].Class != "dog" {
		t.Errorf("image.class == dog keeps %v, %v", rows(t, only(o)), err)
	}
	o, err = l.keepIf("", given("data", data), func(map[string]any) (any, error) { return false, nil })
	if err != nil || number(t, o, "images") != 0 || text(t, only(o), "classes.txt") != text(t, data, "classes.txt") {
		t.Errorf("false keeps %v, %v", o.metrics, err)
	}
}

// TestFilterByCLIP: scores are those of the classifier's features and logits, and ranks are their order.
// TestFilterTellsOfEmptiedClasses: what comes after would have nothing to learn them from.
func TestFilterTellsOfEmptiedClasses(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 4, "cat", "dog"))
	for want, class := range map[string]string{`1 of 2 classes without pictures: \"dog\"`: "cat", "none of the 8 pictures": "cow"} {
		l.told.Reset()
		_, err := l.keepIf("", given("data", data), func(vars map[string]any) (any, error) {
			is, err := attribute(vars, "class")
			return is == class, err
		})
		if err != nil || !strings.Contains(l.told.String(), want) {
			t.Errorf("%v, told %q, want %q", err, l.told.String(), want)
		}
	}
}

func TestFilterByCLIP(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 7, "cat", "cow", "dog")), l.zeroshot(clips(t)[0], "cat", "cow", "dog")
	scores := only(l.run("evaluate", "", given("classifier", classifier, "data", data)))
	features := floats(t, only(l.run("features", "", given("classifier", classifier, "data", data))), "features.safetensors", "features")
	logits, weight := floats(t, scores, "logits.safetensors", "logits"), floats(t, classifier, "head.safetensors", "weight")
	dim := len(weight) / 3
	for _, by := range []string{"clip_score", "clip_confidence", "clip_margin"} {
		o, err := l.keepIf("{by: "+by+"}", given("data", data, "classifier", classifier), always)
		if err != nil {
			t.Fatal(err)
		}
		got := ratings(t, only(o))
		if len(got) != 21 {
			t.Fatalf("%d pictures of 21 are kept", len(got))
		}
		for i, r := range got {
			label := i % 3
			p, predicted := softmax(logits[3*i : 3*i+3])
			other := max(p[(label+1)%3], p[(label+2)%3])
			cos := 1 - cosineDistance(features[i*dim:(i+1)*dim], weight[label*dim:(label+1)*dim])
			want := map[string]float64{"clip_score": cos, "clip_confidence": p[predicted], "clip_margin": p[label] - other}[by]
			if math.Abs(r.ClipScore-cos) > 1e-6 || math.Abs(r.Confidence-p[predicted]) > 1e-6 || math.Abs(r.Margin-(p[label]-other)) > 1e-6 || math.Abs(r.Score-want) > 1e-6 {
				t.Errorf("%s of picture %d: %+v, want cosine %v, probabilities %v", by, i, r, cos, p)
			}
			if r.Predicted != predicted || *r.Correct != (predicted == label) {
				t.Errorf("picture %d of class %d: %+v, want %d", i, label, r, predicted)
			}
			better := 0
			for j, other := range got {
				if other.Score > r.Score || other.Score == r.Score && j < i {
					better++
				}
			}
			if r.Rank != float64(better)/21 {
				t.Errorf("%s: picture %d has rank %v, and %d of 21 are better", by, i, r.Rank, better)
			}
		}
	}
}

func softmax(logits []float32) (p []float64, predicted int) {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x))
	}
	for k, x := range logits {
		p = append(p, math.Exp(float64(x))/sum)
		if x > logits[predicted] {
			predicted = k
		}
	}
	return p, predicted
}

func cosineDistance(a, b []float32) float64 {
	dot, aa, bb := 0.0, 0.0, 0.0
	for k := range a {
		dot, aa, bb = dot+float64(a[k])*float64(b[k]), aa+float64(a[k])*float64(a[k]), bb+float64(b[k])*float64(b[k])
	}
	return 1 - dot/math.Sqrt(aa*bb)
}

// TestFilterBands: bands of rank share out the set, best first, and the classifier is asked once for all of them.
func TestFilterBands(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 10, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	inputs := given("data", data, "classifier", classifier)
	l.partial, l.opened = t.TempDir(), map[cache.Digest]int{}
	above, total := math.Inf(1), 0
	for band := range 4 {
		o, err := l.keepIf("{by: clip_confidence}", inputs, func(vars map[string]any) (any, error) {
			rank, err := attribute(vars, "rank")
			return err == nil && rank.(float64) >= float64(band)/4 && rank.(float64) < float64(band+1)/4, err
		})
		if err != nil {
			t.Fatal(err)
		}
		lowest := above
		for _, r := range ratings(t, only(o)) {
			if r.Score > above {
				t.Errorf("band %d has confidence %v, the band before ends at %v", band, r.Score, above)
			}
			lowest = min(lowest, r.Score)
		}
		above, total = lowest, total+int(number(t, o, "images"))
	}
	if total != 20 {
		t.Errorf("the four bands have %d pictures of 20", total)
	}
	asked := func() int { return l.opened[digests(t, data)[0]] }
	once := asked()
	sure, err := l.keepIf("{by: clip_margin}", inputs, func(vars map[string]any) (any, error) {
		margin, err := attribute(vars, "margin")
		if err != nil {
			return nil, err
		}
		score, err := attribute(vars, "score")
		return margin == score && margin.(float64) > 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ratings(t, only(sure)) {
		if !*r.Correct || r.Margin <= 0 {
			t.Errorf("%s has a margin of %v", r.FileName, r.Margin)
		}
	}
	o, err := l.keepIf("{by: clip_score}", inputs, func(vars map[string]any) (any, error) { return attribute(vars, "correct") })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ratings(t, only(o)) {
		if !*r.Correct {
			t.Errorf("%s is not correct", r.FileName)
		}
	}
	if once != 1 || asked() != once {
		t.Errorf("the classifier was shown a picture %d times for the bands, and %d more for another score", once, asked()-once)
	}
	top := l.run("filter", "{by: clip_confidence, keep: {per_class: 2}}", inputs)
	perClass := map[string]int{}
	for _, r := range rows(t, only(top)) {
		perClass[r.Class]++
	}
	if perClass["cat"] != 2 || perClass["dog"] != 2 {
		t.Errorf("per_class: 2 keeps %v", perClass)
	}
}

// TestFilterPartialKey: what the classifier found is kept for every by and keep, not for other pictures.
func TestFilterPartialKey(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 1, "cat"))
	want := l.lines("filter", "{keep: {per_class: 1}}", given("data", data), true)
	if got := l.lines("filter", "{keep: {fraction: 0.5}, by: duplicate}", given("data", data), true); !slices.Equal(got, want) {
		t.Errorf("partial work has the key %q, and for other parameters %q", want, got)
	}
}

// TestFilterDuplicates: copies are 0 bits from the first of their kind, whatever their class and file.
func TestFilterDuplicates(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	for i, key := range []uint64{1, 2, 1, 3, 2, 4} { // the third and the fifth are copies
		write(t, picture(t, key), dir, "cat", fmt.Sprintf("%d.png", i))
	}
	data, classifier := l.dataset(dir), l.zeroshot(clips(t)[0], "cat")
	for params, inputs := range map[string]map[string][]stages.Input{
		"{by: duplicate, keep: {fraction: 0.5}}":  given("data", data),
		"{by: duplicate, keep: {fraction: 0.50}}": given("data", data, "classifier", classifier),
	} {
		o, err := l.keepIf("{by: duplicate}", inputs, always)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range ratings(t, only(o)) {
			if copied := i == 2 || i == 4; copied != (r.Score < 1e-6) {
				t.Errorf("picture %d is %v from the nearest before", i, r.Score)
			}
		}
		last := ratings(t, only(o))
		if !(last[2].Rank > 0.5 && last[4].Rank > 0.5) || last[0].Rank != 0 {
			t.Errorf("copies do not come last: %+v", last)
		}
		kept := l.run("filter", params, inputs)
		if number(t, kept, "images") != 3 {
			t.Errorf("%s keeps %v of 6", params, kept.metrics["images"])
		}
	}
	o, err := l.keepIf("{by: duplicate}", given("data", data), func(vars map[string]any) (any, error) {
		score, err := attribute(vars, "score")
		return err == nil && score.(float64) > 0, err
	})
	all := digests(t, data)
	if err != nil || !slices.Equal(digests(t, only(o)), []cache.Digest{all[0], all[1], all[3], all[5]}) {
		t.Errorf("image.score > 0 keeps %v, %v", rows(t, only(o)), err)
	}
}

// unlabelled is a set of pictures that were made from prompts.
func unlabelled(t *testing.T, l *lab, n int) stages.Artifact {
	t.Helper()
	dir := t.TempDir()
	var metadata strings.Builder
	for i := range n {
		name := fmt.Sprintf("%d.png", i)
		write(t, picture(t, uint64(i)), dir, name)
		fmt.Fprintf(&metadata, "{\"file_name\": %q, \"label\": -1}\n", name)
	}
	write(t, metadata.String(), dir, "metadata.jsonl")
	write(t, "", dir, "classes.txt")
	return l.folder(stages.Images, dir)
}

// TestFilterUnlabelled: the class of a picture without one is the likeliest.
func TestFilterUnlabelled(t *testing.T) {
	l := newLab(t)
	data, classifier := unlabelled(t, l, 5), l.zeroshot(clips(t)[0], "cat", "dog")
	for _, by := range []string{"clip_score", "clip_confidence", "duplicate"} {
		o := l.run("filter", "{by: "+by+", keep: {fraction: 0.4}}", given("data", data, "classifier", classifier))
		got := ratings(t, only(o))
		if len(got) != 2 || got[0].Correct != nil || got[0].Margin < 0 {
			t.Errorf("%s keeps %+v", by, got)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 2, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "cow")
	_, err := l.try("filter", "{by: clip_score, keep: {per_class: 1}}", given("data", data))
	wantError(t, err, "needs a classifier")
	_, err = l.try("filter", "{by: clip_score, keep: {per_class: 1}}", given("data", data, "classifier", classifier))
	wantError(t, err, `"cow"`)
	for _, keep := range []string{"{per_class: 0}", "{fraction: 1.5}", "{per_class: 1, fraction: 0.5}", "{best: 1}"} {
		_, err = l.try("filter", "{keep: "+keep+"}", given("data", data))
		wantError(t, err, "keep")
	}
	_, err = l.keepIf("", given("data", data), func(map[string]any) (any, error) { return 1.5, nil })
	wantError(t, err, "1.5", "true or false")
	_, err = l.keepIf("", given("data", data), func(vars map[string]any) (any, error) { return attribute(vars, "score") })
	wantError(t, err, "image.score", "picture cat/")
	broken := folderOf(t, 2, "cat", "dog")
	write(t, "\x89PNG\r\n\x1a\nno more", broken, "dog", "00.png")
	_, err = l.try("filter", "{by: duplicate, keep: {per_class: 1}}", given("data", l.dataset(broken)))
	wantError(t, err, "dog/", filepath.Join(broken, "dog", "00.png"))
	stop := errors.New("stop")
	_, err = l.keepIf("", given("data", data), func(map[string]any) (any, error) { return nil, stop })
	if !errors.Is(err, stop) {
		t.Errorf("an error of the condition becomes %v", err)
	}
}
