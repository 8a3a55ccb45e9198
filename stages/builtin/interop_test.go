package builtin_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"regft/stages"
)

// python is a Python that has transformers: $REGFT_PYTHON, or python3.
func python(t *testing.T) string {
	t.Helper()
	program, chosen := os.LookupEnv("REGFT_PYTHON")
	if !chosen {
		program = "python3"
	}
	out, err := exec.CommandContext(t.Context(), program, "-c", "import transformers, torch, PIL").CombinedOutput()
	if err != nil && chosen {
		t.Fatalf("REGFT_PYTHON=%s has no transformers, torch and Pillow: %v\n%s", program, err, out)
	}
	if err != nil {
		t.Skipf("%s has no transformers, torch and Pillow: name one that has in REGFT_PYTHON", program)
	}
	return program
}

// loaded is what testdata/load_classifier.py says of a classifier.
type loaded struct {
	Wrong    []string // tensors that are missing, too many, or of another shape
	DType    string
	Features []float32
	Head     []float32 // made of the texts, as zeroshot does
}

// TestTransformers: published classifiers load in transformers.CLIPModel and give the features that ours give, of
// pictures that transformers preprocessed; and a zero-shot head is made of its tokens and text tower.
func TestTransformers(t *testing.T) {
	program := python(t)
	l := newLab(t)
	classes := []string{"cat", "dog"}
	data := l.dataset(folderOf(t, 5, classes...))
	var names, dirs []string
	var ours, heads [][]float32
	for _, checkpoint := range append(clips(t), inBFloat16(t, clips(t)[0]), abs(t, "../../examples/shapes/checkpoints/clip-nano")) {
		zeroshot := l.zeroshot(checkpoint, classes...)
		tuned := tune(l, "{epochs: 1, batch_size: 5, warmup_steps: 0, learning_rate: 1e-3}", checkpoint)
		merged := l.merge(0.4, zeroshot, tuned)
		for name, a := range map[string]stages.Artifact{
			"zero-shot": zeroshot, "fine-tuned": tuned, "ensemble": merged, "ensemble of ensembles": l.merge(0.5, merged, tuned),
		} {
			names, dirs = append(names, name+" of "+filepath.Base(checkpoint)), append(dirs, published(t, a))
			ours = append(ours, floats(t, only(l.run("features", "", given("classifier", a, "data", data))), "features.safetensors", "features"))
			heads = append(heads, head(t, zeroshot))
		}
	}
	for i, got := range load(t, program, published(t, data), dirs) {
		if len(got.Wrong) > 0 || got.DType != "torch.float32" {
			t.Errorf("%s loads as %s, with wrong tensors %v", names[i], got.DType, got.Wrong)
		}
		if !near(ours[i], got.Features, 1e-4) {
			t.Errorf("%s: our features begin %v, transformers' %v", names[i], ours[i][:4], got.Features[:4])
		}
		if !near(heads[i], got.Head, 1e-4) {
			t.Errorf("%s: our zero-shot head begins %v, transformers' %v", names[i], heads[i][:4], got.Head[:4])
		}
	}
}

func load(t *testing.T, program, pictures string, classifiers []string) []loaded {
	t.Helper()
	args := append([]string{filepath.Join("testdata", "load_classifier.py"), pictures, `["a photo of a cat.", "a photo of a dog."]`}, classifiers...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	var printed bytes.Buffer
	cmd.Stderr = &printed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed.String())
	}
	var got struct {
		Versions map[string]string
		Loaded   []loaded
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(got.Loaded) != len(classifiers) {
		t.Fatalf("%d of %d classifiers are loaded", len(got.Loaded), len(classifiers))
	}
	t.Logf("%d classifiers with %v", len(got.Loaded), got.Versions)
	return got.Loaded
}

// inBFloat16 is a copy of a CLIP folder in bfloat16, whose config says so.
func inBFloat16(t *testing.T, source string) string {
	t.Helper()
	dir := copyFolder(t, source)
	path := filepath.Join(dir, "model.safetensors")
	all := readSafetensors(t, path)
	for name, x := range all {
		all[name] = bfloat16(t, x)
	}
	writeSafetensors(t, path, all)
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, strings.Replace(string(config), "{", `{"dtype": "bfloat16", `, 1), dir, "config.json")
	return dir
}
