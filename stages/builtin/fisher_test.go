package builtin_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/models/nn"
	"regft/models/safetensors"
	"regft/stages"
)

func decodeJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// information is what a fisher artifact holds.
func information(t *testing.T, a stages.Artifact) nn.Arrays {
	t.Helper()
	f, err := safetensors.Parse([]byte(text(t, a, "fisher.safetensors")))
	if err != nil {
		t.Fatal(err)
	}
	out := nn.Arrays{}
	for _, name := range f.Names() {
		x, _ := f.Lookup(name)
		values, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = nn.Array{Shape: x.Shape, Values: values}
	}
	return out
}

// folder is the artifact of kind k that a folder holds.
func (l *lab) folder(k stages.Kind, dir string) stages.Artifact {
	l.t.Helper()
	m, err := l.store.PutFolder(l.t.Context(), dir)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.artifact(k, m.Files, nil)
}

// TestFisherStageGolden: the stage gives the reference's information, for the labels that the reference drew. They are
// given as the labels of a set in which each picture is there once for each pass.
func TestFisherStageGolden(t *testing.T) {
	for _, dir := range folders(t, "ensembles*/golden.json") {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			l := newLab(t)
			golden := readSafetensors(t, filepath.Join(dir, "golden.safetensors"))
			drawn, err := golden["fisher.labels"].Int64s()
			if err != nil {
				t.Fatal(err)
			}
			classifier := l.folder(stages.Classifier, filepath.Join(dir, "classifier"))
			classes := text(t, classifier, "classes.txt")
			list := filepath.Join(dir, "classifier", "classes.txt")
			data := only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q, classes: %q}", filepath.Join(dir, "pictures"), list), nil))
			relabelled := t.TempDir()
			pictures := rows(t, data)
			var metadata strings.Builder
			for i, label := range drawn {
				name := fmt.Sprintf("%04d.png", i)
				write(t, text(t, data, pictures[i%len(pictures)].FileName), relabelled, name)
				fmt.Fprintf(&metadata, "{\"file_name\": %q, \"label\": %d}\n", name, label)
			}
			write(t, metadata.String(), relabelled, "metadata.jsonl")
			write(t, classes, relabelled, "classes.txt")
			got := information(t, only(l.run("fisher", "{labels: given}", given("classifier", classifier, "data", l.folder(stages.Images, relabelled)))))
			for name, x := range golden {
				name, ok := strings.CutPrefix(name, "fisher.classifier.")
				if !ok || strings.HasSuffix(name, "k_proj.bias") { // in theory it has none
					continue
				}
				want, err := x.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				largest := float64(slices.Max(want))
				if len(got[name].Values) != len(want) {
					t.Fatalf("%s has %d values, want %d", name, len(got[name].Values), len(want))
				}
				for i, w := range want {
					if d := math.Abs(float64(w - got[name].Values[i])); !(d <= 1e-4*largest) {
						t.Errorf("%s is off by %g, largest %g", name, d, largest)
						break
					}
				}
			}
		})
	}
}

// TestFisherDraws: labels depend on (seed, pass, sample) alone, so the first pictures give the same whatever follows.
func TestFisherDraws(t *testing.T) {
	l := newLab(t)
	classifier := l.zeroshot(clips(t)[0], "cat", "dog")
	large, small := l.dataset(folderOf(t, 20, "cat", "dog")), l.dataset(folderOf(t, 3, "cat", "dog"))
	run := func(params string, data stages.Artifact) outcome {
		return l.run("fisher", params, given("classifier", classifier, "data", data))
	}
	first := run("{samples: 6, seed: 3}", large)
	if only(first).Digest != only(run("{seed: 3}", small)).Digest {
		t.Error("the first six pictures give something else when more follow")
	}
	if number(t, first, "images") != 6 || !(number(t, first, "trace") > 0) {
		t.Errorf("metrics are %v", first.metrics)
	}
	often := only(run("{seed: 3, passes: 500}", small)) // the classifier is sure of most pictures
	if often.Digest == only(first).Digest {
		t.Error("further passes change nothing")
	}
	if often.Digest == only(run("{seed: 4, passes: 500}", small)).Digest {
		t.Error("another seed draws the same labels")
	}
	_, err := l.try("fisher", "{labels: given, passes: 2}", given("classifier", classifier, "data", small))
	wantError(t, err, "leave passes out")
}

// TestFisherDrawsFromModel: with many passes the mean over drawn labels comes near the expectation over the model's
// probabilities, which is what makes it the true Fisher information: for the head's bias, p·(1 − p).
func TestFisherDrawsFromModel(t *testing.T) {
	l := newLab(t)
	classifier := l.zeroshot(clips(t)[0], "cat", "dog")
	data := l.dataset(folderOf(t, 1, "cat", "dog"))
	scores := only(l.run("evaluate", "", given("classifier", classifier, "data", data)))
	logits := floats(t, scores, "logits.safetensors", "logits")
	want := 0.0
	for i := 0; i < len(logits); i += 2 {
		p := 1 / (1 + math.Exp(float64(logits[i+1]-logits[i])))
		want += p * (1 - p) / 2
	}
	got := information(t, only(l.run("fisher", "{passes: 20000}", given("classifier", classifier, "data", data))))["head.bias"].Values
	for _, x := range got {
		if math.Abs(float64(x)-want) > 0.05*want+1e-6 {
			t.Errorf("the information of the head's bias is %v, want about %v", got, want)
		}
	}
}
