package prompts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/datasets"
)

func class(names ...string) (classes []datasets.Class) {
	for _, n := range names {
		classes = append(classes, datasets.Class{Folder: n, Name: n})
	}
	return classes
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFill(t *testing.T) {
	if got := Fill("a photo of a {}, {}.", "red_fox"); got != "a photo of a red fox, red fox." {
		t.Error(got)
	}
	if got := fmt.Sprint(FillAll([]string{"a {}", "{}s"}, class("tench", "red_fox"))); got != "[[a tench tenchs] [a red fox red foxs]]" {
		t.Error(got)
	}
	if CheckTemplate("a photo") == nil || CheckTemplate("a {}") != nil {
		t.Error("CheckTemplate")
	}
}

// TestSets checks the number of templates of every published set, and that the goldens of the datasets name the same ones.
func TestSets(t *testing.T) {
	for name, want := range map[string]int{"openai_imagenet": 80, "simple": 1, "imagenet": 7} {
		set, err := Set(name)
		if err != nil || len(set) != want {
			t.Errorf("%s: %d templates, %v", name, len(set), err)
		}
	}
	for name, set := range sets() {
		for _, template := range set {
			if err := CheckTemplate(template); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(set) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	if _, err := Set("openai_imgnet"); err == nil || !strings.Contains(err.Error(), `did you mean "openai_imagenet"`) {
		t.Error(err)
	}
}

func TestSetsAreThoseOfTheGoldens(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/goldens/datasets/*/expected.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Format   string
			Template struct {
				CoOp string
				Tip  []string `json:"tip_adapter"`
			}
		}
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatal(err)
		}
		want := golden.Template.Tip
		if want == nil && golden.Template.CoOp != "" {
			want = []string{golden.Template.CoOp}
		}
		if want == nil { // imagefolder, webdataset and objectnet have none
			continue
		}
		if got, err := Set(golden.Format); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", golden.Format, got, err, want)
		}
	}
}

func TestReadStyle(t *testing.T) {
	path := file(t, `{"dtd": {"template": "a photo of a {} texture.", "classnames": ["banded", "polka-dotted"]},
		"imagenet": {"template": "a photo of a {}.", "classnames": ["missile", "missile"], "save_subdir": ["n03773504", "n04008634"]}}`)
	style, err := ReadStyle(path, "imagenet")
	if err != nil || style.Template != "a photo of a {}." || style.Classes[1] != (datasets.Class{Folder: "n04008634", Name: "missile"}) {
		t.Errorf("%v, %v", style, err)
	}
	if style, err = ReadStyle(path, "dtd"); err != nil || !slices.Equal(style.Classes, class("banded", "polka-dotted")) {
		t.Errorf("%v, %v", style, err)
	}
}

func TestReadStyleRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"dtdx": {}}`:                                    `did you mean "dtdx"`,
		"{\n  \"dtd\": x}":                                ":2:10",
		`{"dtd": {"classnames": ["a"]}}`:                  "no template",
		`{"dtd": {"template": "a {}"}}`:                   "no classnames",
		`{"dtd": {"template": "a", "classnames": ["a"]}}`: "no {}",
		`{"dtd": {"template": "{}", "classnames": ["a"], "save_subdir": ["b", "c"]}}`: "1 classnames and 2 save_subdir",
		`{"dtd": {"template": "{}", "classnames": ["a", ""]}}`:                        "class 1 has no name",
		`{"dtd": {"template": "{}", "classnames": "a"}}`:                              "string",
	} {
		path := file(t, text)
		if _, err := ReadStyle(path, "dtd"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q and the file's name", text, err, want)
		}
	}
}

func TestSentences(t *testing.T) {
	path := file(t, `{"red fox": ["A fox.", "A fox.", "Red."], "golden_retriever": ["A dog."]}`)
	s, err := ReadSentences(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.For(class("golden retriever", "red_fox"))
	if err != nil || fmt.Sprint(got) != "[[A dog.] [A fox. A fox. Red.]]" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.For(class("red_fox", "tench", "acorn")); err == nil || !strings.Contains(err.Error(), `2 of 3 classes: "tench", "acorn"`) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestReadSentencesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"a\": [\"x\"],\n\"b\": \"x\"}": ":3:",
		"{\n\"a\": [\"x\"\n":                ":",
		`{"a_b": ["x"], "a b": ["y"]}`:      `"a b" is there twice`,
		`{"a": []}`:                         `"a" has no sentences`,
		`{"a": ["x", ""]}`:                  `"a" has no sentences`,
		`["a"]`:                             "want an object",
		`{"a": ["x"]} {}`:                   "more after the object",
		``:                                  "EOF",
	} {
		path := file(t, text)
		if _, err := ReadSentences(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q and the file's name", text, err, want)
		}
	}
}

// FuzzReadSentences looks for texts on which reading panics.
func FuzzReadSentences(f *testing.F) {
	f.Add(`{"red fox": ["A fox."], "x": []}`)
	f.Add(`{"a": [1]}`)
	f.Add(`[`)
	path := filepath.Join(f.TempDir(), "file.json")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := ReadSentences(path); err == nil && s.texts == nil {
			t.Error("nothing, and no error")
		}
	})
}
