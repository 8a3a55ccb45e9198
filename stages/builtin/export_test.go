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

// TestOpenCLIP: exported classifiers load in open_clip with every tensor in its place, and give the image features that
// ours give, of pictures that open_clip preprocessed, and the text features of transformers.
func TestOpenCLIP(t *testing.T) {
	program := python(t)
	if out, err := exec.CommandContext(t.Context(), program, "-c", "import open_clip").CombinedOutput(); err != nil {
		t.Skipf("%s has no open_clip: %s", program, bytes.TrimSpace(out))
	}
	l := newLab(t)
	data := l.dataset(folderOf(t, 5, "cat", "dog"))
	args := []string{filepath.Join("testdata", "load_openclip.py"), published(t, data)}
	var names []string
	var ours [][]float32
	for _, checkpoint := range append(clips(t), abs(t, "../../examples/shapes/checkpoints/clip-nano")) {
		zeroshot, tuned := l.zeroshot(checkpoint, "cat", "dog"), tune(l, "{epochs: 1, batch_size: 5, warmup_steps: 0, learning_rate: 1e-3}", checkpoint)
		for name, a := range map[string]stages.Artifact{"zero-shot": zeroshot, "ensemble": l.merge(0.4, zeroshot, tuned)} {
			exported := published(t, only(l.run("export", "{format: open_clip}", given("classifier", a))))
			names, args = append(names, name+" of "+filepath.Base(checkpoint)), append(args, exported+"="+published(t, a))
			ours = append(ours, floats(t, only(l.run("features", "", given("classifier", a, "data", data))), "features.safetensors", "features"))
			if got := readSafetensors(t, filepath.Join(exported, "head.safetensors")); len(got) != 2 {
				t.Errorf("%s: the head has tensors %v", name, got)
			}
		}
	}
	var printed bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr = &printed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed.String())
	}
	var got struct {
		Versions map[string]string
		Loaded   []struct {
			Wrong            []string
			Features, Text   []float32
			TransformersText []float32 `json:"transformers_text"`
		}
	}
	if err := json.Unmarshal(out, &got); err != nil || len(got.Loaded) != len(names) {
		t.Fatalf("%d of %d classifiers are loaded: %v: %s", len(got.Loaded), len(names), err, out)
	}
	t.Logf("%d classifiers with %v", len(got.Loaded), got.Versions)
	for i, c := range got.Loaded {
		if len(c.Wrong) > 0 || !near(ours[i], c.Features, 1e-4) {
			t.Errorf("%s: wrong tensors %v, our features begin %v, open_clip's %v", names[i], c.Wrong, ours[i][:4], c.Features[:4])
		}
		if !near(c.TransformersText, c.Text, 1e-4) {
			t.Errorf("%s: text features begin %v in open_clip, %v in transformers", names[i], c.Text[:4], c.TransformersText[:4])
		}
	}
}

// TestOpenCLIPRefuses: what open_clip's config cannot say is an error.
func TestOpenCLIPRefuses(t *testing.T) {
	l := newLab(t)
	dir := copyFolder(t, clips(t)[0])
	content, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config := string(content)
	at := strings.LastIndex(config, `"gelu"`)
	write(t, config[:at]+`"quick_gelu"`+config[at+len(`"gelu"`):], dir, "config.json")
	_, err = l.try("export", "{format: open_clip}", given("classifier", l.zeroshot(dir, "cat")))
	wantError(t, err, "open_clip has one activation for both towers")
}
