package builtin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/stages"
)

// published writes an artifact as `regft get` does.
func published(t testing.TB, a stages.Artifact) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "got")
	if err := stages.Publish(t.Context(), a, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func folderSize(t *testing.T, dir string) int64 {
	t.Helper()
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func (l *lab) merge(alpha float64, from, to stages.Artifact) stages.Artifact {
	l.t.Helper()
	return only(l.run("ensemble", fmt.Sprintf("{alpha: %v}", alpha), given("from", from, "to", to)))
}

// TestEnsembleIsRecipe: an alpha adds no weights to the store; they are merged when they are used or published.
func TestEnsembleIsRecipe(t *testing.T) {
	l := newLab(t)
	from, to := l.zeroshot(clips(t)[0], "cat", "dog"), tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2}", clips(t)[0])
	before := folderSize(t, l.store.Root())
	alphas := []float64{0.1, 0.3, 0.5, 0.6, 0.8, 0.9}
	var merged []stages.Artifact
	for _, alpha := range alphas {
		merged = append(merged, l.merge(alpha, from, to))
	}
	if grown := folderSize(t, l.store.Root()) - before; grown > int64(len(alphas))*10_000 {
		t.Errorf("%d alphas add %d bytes to the store", len(alphas), grown)
	}
	files := map[string][]string{"model-00002-of-00002.safetensors": {"vision_model.post_layernorm.weight", "visual_projection.weight"}, "head.safetensors": {"weight", "bias"}}
	for i, alpha := range alphas {
		dir := published(t, merged[i])
		for file, tensors := range files {
			all := readSafetensors(t, filepath.Join(dir, file))
			for _, name := range tensors {
				a, b := floats(t, from, file, name), floats(t, to, file, name)
				want := make([]float32, len(a))
				for k := range a {
					want[k] = float32(float32(1-alpha)*a[k]) + float32(float32(alpha)*b[k])
				}
				if got, err := all[name].Float32s(); err != nil || !slices.Equal(got, want) {
					t.Errorf("alpha %v: %s is not the mean, %v", alpha, name, err)
				}
			}
		}
		for _, name := range []string{"merge.json", "from", "to"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%s is published", name)
			}
		}
	}
}

// TestEnsembleOfEnsembles: an ensemble of ensembles is that of their weights.
func TestEnsembleOfEnsembles(t *testing.T) {
	l := newLab(t)
	from, to := l.zeroshot(clips(t)[0], "cat", "dog"), tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2}", clips(t)[0])
	quarter, half := l.merge(0.25, from, to), l.merge(0.5, from, to)
	nested := published(t, l.merge(0.5, l.merge(0.5, from, half), l.merge(0.5, half, to))) // 0.25 and 0.75
	plain := published(t, half)
	const file, name = "model-00002-of-00002.safetensors", "visual_projection.weight"
	read := func(dir string) []float32 {
		values, err := readSafetensors(t, filepath.Join(dir, file))[name].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	if !near(read(plain), read(nested), 1e-6) {
		t.Error("0.5 of 0.25 and 0.75 is not 0.5")
	}
	if got := read(published(t, l.merge(0.5, from, half))); !near(read(published(t, quarter)), got, 1e-6) || near(read(plain), got, 1e-6) {
		t.Error("0.5 of 0 and 0.5 is not 0.25")
	}
}

// TestEnsembleOfPrograms: classifiers that a program wrote, in one file, are merged as ours are.
func TestEnsembleOfPrograms(t *testing.T) {
	l := newLab(t)
	from, to := l.zeroshot(clips(t)[0], "cat", "dog"), tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2}", clips(t)[0])
	foreign := func(a stages.Artifact) stages.Artifact {
		dir := published(t, a)
		tensors := readSafetensors(t, filepath.Join(dir, "model-00001-of-00002.safetensors"))
		for name, x := range readSafetensors(t, filepath.Join(dir, "model-00002-of-00002.safetensors")) {
			tensors[name] = x
		}
		for _, name := range []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		writeSafetensors(t, filepath.Join(dir, "model.safetensors"), tensors)
		o := l.run("exec", `{command: [cp, -r, inputs/model, made], outputs: {model: {path: made, kind: classifier}}}`,
			map[string][]stages.Input{"inputs": {{Key: "model", Path: dir}}})
		return o.artifacts["model"]
	}
	a, b := foreign(from), foreign(to)
	if a.Digest != from.Digest || b.Digest != to.Digest {
		t.Error("a classifier that went through a program is another")
	}
	if l.merge(0.5, a, b).Digest != l.merge(0.5, from, to).Digest {
		t.Error("merged classifiers of a program are other than ours")
	}
}

func TestEnsembleRefuses(t *testing.T) {
	l := newLab(t)
	all := clips(t)
	from := l.zeroshot(all[0], "cat", "dog")
	other := copyFolder(t, all[0])
	tensors := readSafetensors(t, filepath.Join(other, "model.safetensors"))
	x := tensors["logit_scale"]
	x.Data = append([]byte{1}, x.Data[1:]...)
	tensors["logit_scale"] = x
	writeSafetensors(t, filepath.Join(other, "model.safetensors"), tensors)
	for to, want := range map[*stages.Artifact]string{
		ptr(l.zeroshot(all[1], "cat", "dog")): "different checkpoints",
		ptr(l.zeroshot(other, "cat", "dog")):  "different checkpoints",
		ptr(l.zeroshot(all[0], "cat", "cow")): `"cow"`,
		ptr(l.zeroshot(all[0], "cat")):        "2 and 1 classes",
	} {
		_, err := l.try("ensemble", "{alpha: 0.5}", given("from", from, "to", *to))
		wantError(t, err, want)
	}
	for params, want := range map[string]string{"{alpha: 1.5}": "outside [0, 1]", "{}": "needs from, to and alpha"} {
		_, err := l.try("ensemble", params, given("from", from, "to", from))
		wantError(t, err, want)
	}
}

func ptr[T any](v T) *T { return &v }

// TestCopies: the ends of the line are the classifiers themselves.
func TestCopies(t *testing.T) {
	l := newLab(t)
	from := l.zeroshot(clips(t)[0], "cat")
	for alpha, want := range map[string]string{"0": "from", "1": "to", "0.5": ""} {
		_, r, err := l.decode("ensemble", "{alpha: "+alpha+"}", given("from", from, "to", from))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.(stages.Copier).CopyOf(); got != want {
			t.Errorf("alpha %s is a copy of %q, want %q", alpha, got, want)
		}
	}
}

// TestExport: the exported folder is the published one.
func TestExport(t *testing.T) {
	l := newLab(t)
	from, to := l.zeroshot(clips(t)[0], "cat", "dog"), tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2}", clips(t)[0])
	merged := l.merge(0.5, from, to)
	exported := published(t, only(l.run("export", "", given("classifier", merged))))
	got := published(t, merged)
	entries, err := os.ReadDir(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		a, errA := os.ReadFile(filepath.Join(got, e.Name()))
		b, errB := os.ReadFile(filepath.Join(exported, e.Name()))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s differs: %v, %v", e.Name(), errA, errB)
		}
	}
	if len(entries) < 9 || !strings.Contains(fmt.Sprint(entries), "classes.txt") {
		t.Errorf("the folder has %v", entries)
	}
}
