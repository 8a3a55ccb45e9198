package builtin_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/models/safetensors"
	"regft/stages"
)

// scoredAs are scores of pictures with labels, by a classifier that is sure of predictions.
func scoredAs(l *lab, classes int, labels, predictions []int) stages.Artifact {
	l.t.Helper()
	dir := l.t.TempDir()
	logits := make([]float32, 0, len(labels)*classes)
	wide := make([]int64, 0, len(labels))
	for i, p := range predictions {
		for k := range classes {
			logits = append(logits, float32(-math.Abs(float64(k-p))))
		}
		wide = append(wide, int64(labels[i]))
	}
	writeSafetensors(l.t, filepath.Join(dir, "logits.safetensors"), map[string]safetensors.Tensor{
		"logits": safetensors.FromFloat32s(logits, len(labels), classes), "labels": safetensors.FromInt64s(wide, len(wide)),
	})
	m, err := l.store.PutFolder(l.ctx, dir)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.artifact(stages.Scores, m.Files, nil)
}

func TestAssess(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 4, "cat", "dog", "owl")) // in turn: cat, dog, owl, cat, …
	labels := []int{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}
	now := scoredAs(l, 3, labels, []int{0, 1, 2, 0, 1, 2, 0, 2, 2, 1, 1, 0})    // 9 right: 3, 3, 3 of 4
	before := scoredAs(l, 3, labels, []int{0, 2, 2, 0, 2, 2, 0, 2, 2, 0, 1, 2}) // 9 right: 4, 1, 4 of 4
	inputs := given("scores", now, "data", data, "baseline", before)
	o := l.run("assess", "{metrics: [top1, mean_per_class], bootstrap: 500, seed: 3}", inputs)
	for name, want := range map[string]float64{
		"top1": 0.75, "top1_gain": 0, "mean_per_class": 0.75, "classes_better": 1, "classes_worse": 2, "worst_class_gain": -0.25,
	} {
		if got := number(t, o, name); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	low, high := number(t, o, "top1_low"), number(t, o, "top1_high")
	// Binomial of 12 at 0.75: 95 % lies within 0.5 and 1.
	if low < 0.4 || low > 0.6 || high < 0.9 || high > 1 {
		t.Errorf("top1 is within %v and %v", low, high)
	}
	if number(t, o, "top1_gain_low") >= 0 || number(t, o, "top1_gain_high") <= 0 {
		t.Errorf("no gain is within %v and %v", o.metrics["top1_gain_low"], o.metrics["top1_gain_high"])
	}
	again := l.run("assess", "{metrics: [top1, mean_per_class], bootstrap: 500, seed: 3}", inputs)
	other := l.run("assess", "{metrics: [top1, mean_per_class], bootstrap: 500, seed: 4}", inputs)
	if a, b, c := stages.CanonicalJSON(o.metrics), stages.CanonicalJSON(again.metrics), stages.CanonicalJSON(other.metrics); a != b || a == c {
		t.Errorf("seed 3 gives %s and %s, seed 4 %s", a, b, c)
	}
	_, r, err := l.decode("assess", "{metrics: [top1, mean_per_class], bootstrap: 500, seed: 3}", inputs)
	if err != nil {
		t.Fatal(err)
	}
	want := r.(stages.Measurer).MetricNames()
	if slices.Sort(want); !slices.Equal(sortedKeys(o.metrics), want) {
		t.Errorf("metrics %v, announced %v", sortedKeys(o.metrics), want)
	}
	testAssessFiles(t, published(t, only(o)))
	plain := l.run("assess", "{bootstrap: 0}", given("scores", now, "data", data))
	if got := sortedKeys(plain.metrics); !slices.Equal(got, []string{"top1"}) {
		t.Errorf("without a baseline and resamplings there is %v", got)
	}
}

func sortedKeys(m map[string]any) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func testAssessFiles(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]string{
		"confusion.csv": "[[class cat dog owl] [cat 3 1 0] [dog 0 3 1] [owl 1 0 3]]",
		"per_class.csv": "[[label class pictures top1 baseline difference] [0 cat 4 0.75 1 -0.25] [1 dog 4 0.75 0.25 0.5] [2 owl 4 0.75 1 -0.25]]",
	} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if f.Close(); err != nil || fmt.Sprint(rows) != want {
			t.Errorf("%s holds %v, %v, want %s", name, rows, err, want)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cat as dog (1)", `style="--share:0.750"`, "-25.0", "&#43;50.0", `class="bar loss"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("report.html lacks %q", want)
		}
	}
	if strings.Contains(string(page), "ZgotmplZ") {
		t.Error("report.html has values that its template refused")
	}
	var kept map[string]any
	content, err := os.ReadFile(filepath.Join(dir, "assessment.json"))
	if err != nil || json.Unmarshal(content, &kept) != nil || len(kept["confusion"].([]any)) != 3 {
		t.Errorf("assessment.json: %v, %s", err, content)
	}
}

// TestEffectiveRobustness: the line is that of numpy.polyfit(logit(x), logit(y), 1), here through
// (0.6, 0.4), (0.7, 0.52), (0.8, 0.61); at 0.75 it gives 0.5571208647800987 (numpy 2.4.6).
func TestEffectiveRobustness(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 5, "cat", "dog"))
	labels := []int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}
	right := func(n int) []int {
		p := slices.Clone(labels)
		for i := n; i < len(p); i++ {
			p[i] = 1 - p[i]
		}
		return p
	}
	shifted := scoredAs(l, 2, labels, right(7))
	four := []int{0, 1, 0, 1}
	inDomain := scoredAs(l, 2, four, []int{0, 1, 0, 0})
	inputs := given("scores", shifted, "data", data, "in_domain", inDomain)
	o := l.run("assess", "{bootstrap: 0, reference: [[0.6, 0.4], [0.7, 0.52], [0.8, 0.61]]}", inputs)
	if got := number(t, o, "expected_top1"); math.Abs(got-0.5571208647800987) > 1e-9 {
		t.Errorf("expected_top1 is %.10f, numpy gives %.10f", got, 0.5571208647800987)
	}
	if got := number(t, o, "effective_robustness"); math.Abs(got-(0.7-0.5571208647800987)) > 1e-9 || number(t, o, "in_domain_top1") != 0.75 {
		t.Errorf("effective_robustness is %v at %v", got, o.metrics["in_domain_top1"])
	}
	// The same from scores: reference models with 6 and 8 of 10 in domain, 5 and 7 of 10 on data.
	inputs["reference_in_domain"] = append(one(scoredAs(l, 2, labels, right(6))), one(scoredAs(l, 2, labels, right(8)))...)
	inputs["reference_data"] = append(one(scoredAs(l, 2, labels, right(5))), one(scoredAs(l, 2, labels, right(7)))...)
	a := l.run("assess", "{bootstrap: 0}", inputs)
	delete(inputs, "reference_in_domain")
	delete(inputs, "reference_data")
	b := l.run("assess", "{bootstrap: 0, reference: [[0.6, 0.5], [0.8, 0.7]]}", inputs)
	if stages.CanonicalJSON(a.metrics) != stages.CanonicalJSON(b.metrics) {
		t.Errorf("reference scores give %v, their accuracies %v", a.metrics, b.metrics)
	}
	for params, want := range map[string]string{
		"{bootstrap: 0, reference: [[0.6, 0.4], [0.6, 0.5]]}": "no line goes through the 2 reference models",
		"{bootstrap: 0, reference: [[0.6, 0.4, 1]]}":          "no pair of accuracies",
		"{bootstrap: 0, reference: [[60, 40]]}":               "no pair of accuracies",
		"{bootstrap: 0}":                                      "needs both in_domain and reference models",
	} {
		_, err := l.try("assess", params, inputs)
		wantError(t, err, want)
	}
}

func TestAssessRefuses(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 2, "cat", "dog"))
	labels := []int{0, 1, 0, 1}
	good := scoredAs(l, 2, labels, labels)
	for want, in := range map[string]map[string][]stages.Input{
		"scores: they are not of data":   given("scores", scoredAs(l, 2, []int{0, 1}, []int{0, 1}), "data", data),
		"baseline: they are not of data": given("scores", good, "data", data, "baseline", scoredAs(l, 2, []int{1, 0, 0, 1}, labels)),
		"other classes than its 2":       given("scores", scoredAs(l, 3, labels, labels), "data", data),
	} {
		_, err := l.try("assess", "", in)
		wantError(t, err, want)
	}
}
