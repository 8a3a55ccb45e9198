package builtin_test

import (
	"encoding/binary"
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

// head is a classifier's weight matrix.
func head(t testing.TB, a stages.Artifact) []float32 {
	return floats(t, a, "head.safetensors", "weight")
}

func near(a, b []float32, tolerance float64) bool {
	largest, worst := 0.0, 0.0
	for i := range a {
		largest = max(largest, math.Abs(float64(a[i])))
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return len(a) == len(b) && worst <= tolerance*largest
}

// TestZeroShotSentences: templates, prompt files and styles are ways of writing the same sentences.
func TestZeroShotSentences(t *testing.T) {
	dir := t.TempDir()
	prompts := write(t, `{"red fox": ["a photo of a red fox.", "art of a red fox."], "tench": ["a photo of a tench.", "art of a tench."], "daisy": ["x"]}`, dir, "prompts.json")
	styles := write(t, `{"two": {"template": "a photo of a {}.", "classnames": ["red_fox", "tench"]}}`, dir, "prompt_styles.json")
	l := newLab(t)
	for _, checkpoint := range clips(t) {
		make := func(params string) stages.Artifact { return only(l.run("zeroshot", params, from(checkpoint))) }
		both := make(`{classes: [red_fox, tench], templates: ["a photo of a {}.", "art of a {}."]}`)
		if got := make(fmt.Sprintf(`{classes: [red_fox, tench], prompts: %q}`, prompts)); !near(head(t, got), head(t, both), 1e-6) {
			t.Error("sentences of a file give another head than the same of templates")
		}
		one := make(`{classes: [red_fox, tench], templates: ["a photo of a {}."]}`)
		if got := make(fmt.Sprintf(`{styles: %q, dataset: two}`, styles)); !slices.Equal(head(t, got), head(t, one)) {
			t.Error("the template of styles gives another head than the same template")
		}
		if got := make(`{classes: [red_fox, tench], templates: simple}`); !slices.Equal(head(t, got), head(t, one)) {
			t.Error("the named set simple gives another head than its template")
		}
		if near(head(t, one), head(t, both), 1e-6) {
			t.Error("a second template changes nothing")
		}
		if got := text(t, both, "classes.txt"); got != "red_fox\ntench\n" {
			t.Errorf("classes.txt is %q", got)
		}
		for _, b := range floats(t, both, "head.safetensors", "bias") {
			if b != 0 {
				t.Errorf("the bias is %v, want 0", b)
			}
		}
	}
}

func TestZeroShotRefuses(t *testing.T) {
	dir := t.TempDir()
	prompts := write(t, `{"red fox": ["x"]}`, dir, "prompts.json")
	l := newLab(t)
	for params, want := range map[string]string{
		fmt.Sprintf(`{classes: [red_fox, tench, daisy], prompts: %q}`, prompts): `prompts.json has no sentences for 2 of 3 classes: "tench", "daisy"`,
		`{classes: [x], templates: openai_imgnet}`:                              `no set of templates is called "openai_imgnet"`,
		`{classes: [x], templates: ["a photo of a {}", "a photo"]}`:             `"a photo" has no {}`,
		`{classes: [x], templates: a photo}`:                                    `"a photo" has no {}`,
		`{classes: [x], templates: []}`:                                         "empty list",
		`{classes: [x]}`:                                                        "templates or prompts",
		`{classes: [x], templates: ["{}"], prompts: p.json}`:                    "give one of them",
		`{templates: ["{}"]}`:                                                   "in one way",
		`{classes: [x], styles: s.json, dataset: a}`:                            "in one way",
		`{classes: ["a\nb"], templates: ["{}"]}`:                                "names of folders",
	} {
		_, err := l.try("zeroshot", params, from(clips(t)[0]))
		if err == nil {
			t.Errorf("%s: no error", params)
			continue
		}
		wantError(t, err, want)
	}
}

// TestZeroShotOfClassifier: a classifier in place of a checkpoint lends its image tower and its source's text tower.
func TestZeroShotOfClassifier(t *testing.T) {
	l := newLab(t)
	tuned := tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-3}", clips(t)[0])
	again := only(l.run("zeroshot", `{classes: [bus, cat, sun], templates: ["a photo of a {}."]}`, given("checkpoint", tuned)))
	want := l.zeroshot(clips(t)[0], "bus", "cat", "sun")
	if !slices.Equal(head(t, again), head(t, want)) {
		t.Error("the head is not the text tower's")
	}
	const shard = "model-00002-of-00002.safetensors"
	if text(t, again, shard) != text(t, tuned, shard) || text(t, again, shard) == text(t, want, shard) {
		t.Error("the image tower is not the tuned one")
	}
	if got := text(t, again, "classes.txt"); got != "bus\ncat\nsun\n" {
		t.Errorf("classes.txt is %q", got)
	}
}

// TestZeroShotShares: classifiers of one source have the text tower in common, and the folder has all that it says.
func TestZeroShotShares(t *testing.T) {
	l := newLab(t)
	a, b := l.zeroshot(clips(t)[0], "red_fox"), l.zeroshot(clips(t)[0], "tench", "daisy")
	for _, name := range []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "vocab.json", "config.json", "model.safetensors.index.json"} {
		fa, _ := a.Manifest.Lookup(name)
		fb, ok := b.Manifest.Lookup(name)
		if !ok || fa.Digest != fb.Digest {
			t.Errorf("%s is not shared", name)
		}
	}
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal([]byte(text(t, a, "model.safetensors.index.json")), &index); err != nil {
		t.Fatal(err)
	}
	source, err := safetensors.Open(filepath.Join(clips(t)[0], "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	for name, shard := range index.Map {
		want, _ := source.Lookup(name)
		if string(tensor(t, a, shard, name).Data) != string(want.Data) {
			t.Errorf("%s is not the checkpoint's", name)
		}
	}
}

// TestZeroShotLayouts: the layouts that checkpoints are published in give one head.
func TestZeroShotLayouts(t *testing.T) {
	source := clips(t)[0]
	want := head(t, newLab(t).zeroshot(source, "red_fox", "tench"))
	for name, layout := range map[string]func(dir string, all map[string]safetensors.Tensor){
		"shards": func(dir string, all map[string]safetensors.Tensor) {
			parts, index := []map[string]safetensors.Tensor{{}, {}}, map[string]string{}
			for i, name := range names(all) {
				parts[i%2][name], index[name] = all[name], fmt.Sprintf("part-%d.safetensors", i%2)
			}
			for i, part := range parts {
				writeSafetensors(t, filepath.Join(dir, fmt.Sprintf("part-%d.safetensors", i)), part)
			}
			list, _ := json.Marshal(map[string]any{"weight_map": index})
			write(t, string(list), dir, "model.safetensors.index.json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyFolder(t, source)
			all := readSafetensors(t, filepath.Join(dir, "model.safetensors"))
			if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
				t.Fatal(err)
			}
			layout(dir, all)
			if got := head(t, newLab(t).zeroshot(dir, "red_fox", "tench")); !slices.Equal(got, want) {
				t.Error("another head")
			}
		})
	}
	half := newLab(t).zeroshot(inBFloat16(t, source), "red_fox", "tench")
	if got := head(t, half); !near(want, got, 3e-2) || slices.Equal(got, want) {
		t.Error("bfloat16 gives another head, or the same bits")
	}
	if strings.Contains(text(t, half, "config.json"), "bfloat16") {
		t.Error("the config of a classifier says bfloat16, which would cut what is trained and merged")
	}
}

func names(all map[string]safetensors.Tensor) []string {
	var out []string
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func readSafetensors(t testing.TB, path string) map[string]safetensors.Tensor {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]safetensors.Tensor{}
	for _, name := range f.Names() {
		all[name], _ = f.Lookup(name)
	}
	return all
}

func writeSafetensors(t testing.TB, path string, all map[string]safetensors.Tensor) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := safetensors.WriteTensors(f, all); err != nil {
		t.Fatal(err)
	}
}

// bfloat16 cuts a float32 tensor; other tensors are kept.
func bfloat16(t *testing.T, x safetensors.Tensor) safetensors.Tensor {
	t.Helper()
	if x.DType != safetensors.F32 {
		return x
	}
	values, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, uint16(math.Float32bits(v)>>16))
	}
	return safetensors.Tensor{DType: safetensors.BF16, Shape: x.Shape, Data: data}
}
