package builtin_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"regft/stages"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

func mustLookup(t testing.TB, name string) stages.Type {
	t.Helper()
	ty, ok := stages.Lookup(name)
	if !ok {
		t.Fatalf("no stage type %q", name)
	}
	return ty
}

// TestDefaults guards versions: a result's key leaves out what has its default, so a default may only change together
// with the type's version.
func TestDefaults(t *testing.T) {
	var lines []string
	for _, name := range stages.Names() {
		ty := mustLookup(t, name)
		for _, f := range ty.Fields() {
			lines = append(lines, fieldLines(fmt.Sprintf("%s v%d", name, ty.Version), f)...)
		}
	}
	path := filepath.Join("testdata", "defaults.txt")
	if *update {
		write(t, strings.Join(lines, "\n")+"\n", path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(strings.TrimSpace(string(content)), "\n")
	for _, line := range lines {
		if !slices.Contains(known, line) {
			t.Errorf("new or changed: %s", line)
		}
	}
	for _, line := range known {
		if !slices.Contains(lines, line) {
			t.Errorf("gone: %s", line)
		}
	}
	if t.Failed() {
		t.Log("A parameter that is new changes no key while it has its default, and needs none. A default or a key tag that changes gives old results to new questions: " +
			"raise the type's Version in its registration. Then run: go test ./stages/builtin -run TestDefaults -update")
	}
}

func fieldLines(owner string, f stages.Field) []string {
	def := "required"
	switch {
	case f.HasDefault:
		def = "default " + f.Default
	case !f.Required:
		def = "optional"
	}
	notes := ""
	if !f.InKey {
		notes += " key:-"
	}
	if !f.Partial {
		notes += " partial:-"
	}
	lines := []string{fmt.Sprintf("%s %s: %s%s", owner, f.Name, def, notes)}
	for _, sub := range f.Sub {
		lines = append(lines, fieldLines(owner+" "+f.Name, sub)...)
	}
	return lines
}

// TestSpeedIsInNoKey: parameters that change speed alone.
func TestSpeedIsInNoKey(t *testing.T) {
	l := newLab(t)
	dir := folderOf(t, 1, "cat")
	data, classifier := l.dataset(dir), l.zeroshot(clips(t)[0], "cat")
	both := given("classifier", classifier, "data", data)
	generate := fmt.Sprintf(`{checkpoint: %q, prompts: [x], `, diffusions(t)[0])
	for _, c := range []struct {
		name, a, b string
		inputs     map[string][]stages.Input
		same       bool
	}{
		{"generate", generate + "batch_size: 1}", generate + "batch_size: 9}", nil, true},
		{"generate", generate + "images_per_class: 1}", generate + "images_per_class: 2}", nil, false},
		{"generate", generate + "size: 224}", generate + "steps: 50}", nil, true},
		{"generate", generate + "size: null}", generate + "size: 224}", nil, false},
		{"generate", generate + "guidance_scale: 5}", generate + "guidance_scale: 5.0}", nil, true},
		{"generate", generate + "seed: 1}", generate + "seed: 2}", nil, false},
		{"features", "{batch_size: 1}", "{batch_size: 2}", both, true},
		{"evaluate", "{batch_size: 1}", "{batch_size: 2}", both, true},
		{"evaluate", "{metrics: [top1]}", "{metrics: [nll]}", both, false},
		{"finetune", "{checkpoint_every: 1}", "{checkpoint_every: 7}", both, true},
		{"finetune", "{batch_size: 2}", "{batch_size: 3}", both, false},
		{"finetune", "{vc_reg: {variance: 0.16}}", "{vc_reg: {covariance: 0.02}}", both, true},
		{"finetune", "{seed: 1}", "{seed: 2}", both, false},
		{"finetune", "{seed: 1, shuffle: false, augment: none}", "{seed: 2, shuffle: false, augment: none}", both, true},
		{"exec", "{command: [x], env: [A]}", "{command: [x], env: [B]}", nil, true},
		{"exec", "{command: [x], outputs: {a: b}}", "{command: [x], outputs: {a: {path: b, kind: files}}}", nil, true},
	} {
		a, b := l.lines(c.name, c.a, c.inputs, false), l.lines(c.name, c.b, c.inputs, false)
		if slices.Equal(a, b) != c.same {
			t.Errorf("%s: %s and %s have one key: %v, want %v\n%q\n%q", c.name, c.a, c.b, !c.same, c.same, a, b)
		}
	}
	a, b := l.lines("generate", generate+"images_per_class: 1}", nil, true), l.lines("generate", generate+"images_per_class: 2}", nil, true)
	if !slices.Equal(a, b) {
		t.Error("images_per_class is in the key of partial work")
	}
}

// TestVocabularyKeys: of files of classes, styles and sentences only what is used is in the key.
func TestVocabularyKeys(t *testing.T) {
	dir := t.TempDir()
	list := write(t, "red_fox\ntench\n", dir, "classes.txt")
	styles := write(t, `{"a": {"template": "a {}", "classnames": ["red_fox", "tench"]}, "b": {"template": "{}", "classnames": ["x"]}}`, dir, "styles.json")
	more := write(t, `{"a": {"classnames": ["red_fox", "tench"], "template": "a {}"}}`, dir, "more.json")
	sentences := write(t, `{"red fox": ["x"], "tench": ["y"], "daisy": ["z"]}`, dir, "sentences.json")
	fewer := write(t, `{"tench": ["y"], "red_fox": ["x"]}`, dir, "fewer.json")
	other := write(t, `{"tench": ["y"], "red_fox": ["other"]}`, dir, "other.json")
	l := newLab(t)
	lines := func(format string, args ...any) string {
		return strings.Join(l.lines("zeroshot", fmt.Sprintf(format, args...), from(clips(t)[0]), false), "\n")
	}
	same := func(a, b string) {
		t.Helper()
		if a != b {
			t.Errorf("one content, two keys:\n%s\n\n%s", a, b)
		}
	}
	same(lines(`{classes: %q, templates: ["{}"]}`, list), lines(`{classes: [red_fox, tench], templates: ["{}"]}`))
	same(lines(`{styles: %q, dataset: a}`, styles), lines(`{styles: %q, dataset: a}`, more))
	same(lines(`{classes: %q, prompts: %q}`, list, sentences), lines(`{classes: %q, prompts: %q}`, list, fewer))
	if lines(`{classes: %q, prompts: %q}`, list, other) == lines(`{classes: %q, prompts: %q}`, list, fewer) {
		t.Error("other sentences have the same key")
	}
	if strings.Contains(lines(`{classes: %q, prompts: %q}`, list, sentences), dir) {
		t.Error("a path is in the key")
	}
}

// TestPathsAreSources: every parameter that names a file of the user's is read through Sources, which the key and a
// plan's unknown files come from.
func TestPathsAreSources(t *testing.T) {
	dir := t.TempDir()
	images := folderOf(t, 1, "cat")
	files := map[string]string{
		"classes": write(t, "cat\n", dir, "classes.txt"),
		"styles":  write(t, `{"a": {"template": "a {}", "classnames": ["cat"]}}`, dir, "styles.json"),
		"prompts": write(t, `{"cat": ["x"]}`, dir, "sentences.json"),
	}
	examples := map[string]string{ // of the rest that a parameter needs
		"dataset path": fmt.Sprintf("{format: imagefolder, path: %q}", images), "dataset classes": fmt.Sprintf("{format: imagefolder, path: %q, classes: %q}", images, files["classes"]),
		"generate checkpoint": fmt.Sprintf("{checkpoint: %q, prompts: [x]}", diffusions(t)[0]),
		"generate classes":    fmt.Sprintf(`{checkpoint: %q, classes: %q, prompt: "{}"}`, diffusions(t)[0], files["classes"]),
		"generate styles":     fmt.Sprintf("{checkpoint: %q, styles: %q, dataset: a}", diffusions(t)[0], files["styles"]),
		"generate sentences":  fmt.Sprintf("{checkpoint: %q, classes: %q, sentences: %q}", diffusions(t)[0], files["classes"], files["prompts"]),
		"generate lora":       fmt.Sprintf("{checkpoint: %q, prompts: [x]}", diffusions(t)[0]),
		"zeroshot checkpoint": fmt.Sprintf(`{classes: %q, templates: ["{}"]}`, files["classes"]), "zeroshot classes": fmt.Sprintf(`{classes: %q, templates: ["{}"]}`, files["classes"]),
		"zeroshot styles":  fmt.Sprintf("{styles: %q, dataset: a}", files["styles"]),
		"zeroshot prompts": fmt.Sprintf("{classes: %q, prompts: %q}", files["classes"], files["prompts"]),
		"exec inputs":      "{command: [x]}",
	}
	inputs := map[string]map[string][]stages.Input{"zeroshot": from(clips(t)[0]), "exec": {"inputs": {{Key: "a", Path: files["classes"]}}},
		"generate": {"lora": {{Path: loraFile(t, "peft")}}}}
	for _, name := range stages.Names() {
		ty := mustLookup(t, name)
		for _, f := range ty.Fields() {
			isPath := f.Path || f.Type == reflect.TypeFor[stages.Path]() || f.Type == reflect.TypeFor[stages.ListOrFile]()
			if !isPath || name == "adapt" {
				continue
			}
			params, ok := examples[name+" "+f.Name]
			if !ok {
				t.Errorf("%s %s names a file: give an example of it here", name, f.Name)
				continue
			}
			l := newLab(t)
			_, r, err := l.decode(name, params, inputs[name])
			if err != nil {
				t.Fatalf("%s %s: %v", name, params, err)
			}
			sources, err := r.(stages.Sourcer).Sources(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"dataset classes": "listing", "generate styles": "classes", "zeroshot styles": "classes", "exec inputs": "inputs.a.0"}[name+" "+f.Name]
			if want == "" {
				want = f.Name
			}
			if !slices.ContainsFunc(sources, func(s stages.Source) bool { return s.Param == want }) {
				t.Errorf("%s %s is not among the sources %+v", name, f.Name, sources)
			}
		}
	}
}
