package readers

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/datasets"
)

// folder writes files, whose content is their name, and returns their root.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		put(t, filepath.Join(root, name), name)
	}
	return root
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func listed(l *datasets.Listing) (names []string) {
	for _, s := range l.Samples {
		names = append(names, s.Name)
	}
	return names
}

func TestImageFolderRefuses(t *testing.T) {
	root := folder(t, "train/cat/1.png", "val/cat/1.png")
	flat := folder(t, "1.png", "2.png")
	some := folder(t, "cat/1.png", "dog/notes.txt", "fox/1.png")
	for want, r := range map[string]datasets.Request{
		"say which split: train, val":       {Root: root},
		`there is no such split`:            {Root: root, Split: "test"},
		"no class folders, and 2 pictures":  {Root: flat},
		"dog has no pictures":               {Root: some},
		`no class folder for "Cat", "cat "`: {Root: some, Classes: []datasets.Class{{Folder: "Cat", Name: "Cat"}, {Folder: "cat ", Name: "x"}, {Folder: "fox", Name: "fox"}}},
	} {
		r.Format = "imagefolder"
		if _, err := datasets.List(context.Background(), r); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), r.Root) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestMissingClassesHaveANearestName: what differs in case, underscores, encoding or a letter.
func TestMissingClassesHaveANearestName(t *testing.T) {
	root := folder(t, "Golden Retriever/1.png", "cafe\u0301/1.png", "tenhc/1.png", "zebra/1.png")
	for name, want := range map[string]string{
		"golden_retriever": `is it "Golden Retriever" for "golden_retriever"?`, "caf\u00e9": `is it "cafe\u0301" for "caf\u00e9"?`, "tench": `is it "tenhc" for "tench"?`,
		"aquarium": "letter for letter)",
	} {
		_, err := datasets.List(t.Context(), datasets.Request{Format: "imagefolder", Root: root, Classes: []datasets.Class{{Folder: "zebra", Name: "zebra"}, {Folder: name, Name: name}}})
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestMissingPicturesAreLookedFor: the error shows what lies in a listed picture's place.
func TestMissingPicturesAreLookedFor(t *testing.T) {
	for have, want := range map[string]string{"cat/A.JPG": `"cat/a.png"; there is "cat/A.JPG"`, "dog/a.png": "; there is no folder", "Cat/b.png": `: is it "Cat"?`, "cat.tar.gz": "/cat: unpack ", "cat/b.png": `missing: "cat/a.png"`} {
		root := folder(t, have, "fox.png")
		put(t, filepath.Join(root, "split_x.json"), `{"train": [["fox.png", 1, "fox"], ["cat/a.png", 0, "cat"]], "val": [], "test": []}`)
		if _, err := datasets.List(t.Context(), datasets.Request{Format: "coop", Root: root, Split: "train"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", have, err, want)
		}
	}
}

func TestImageFolderOfAClassList(t *testing.T) {
	root := folder(t, "cat/1.png", "dog/notes.txt", "fox/1.png", "fox/sub/2.JPG", "fox/.x.png", "stray.png")
	l, err := datasets.List(context.Background(), datasets.Request{Format: "imagefolder", Root: root, Classes: []datasets.Class{{Folder: "fox", Name: "red fox"}, {Folder: "cat", Name: "cat"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := listed(l); !slices.Equal(got, []string{"fox/1.png", "cat/1.png", "fox/sub/2.JPG"}) || l.Samples[0].Class != "red fox" {
		t.Errorf("%v", l.Samples)
	}
	if l.Skipped != (datasets.Skipped{Hidden: 1}) {
		t.Errorf("skipped %+v", l.Skipped)
	}
	if text := strings.Join(l.Warnings, "\n"); !strings.Contains(text, `1 pictures lie beside the class folders and are left out: "stray.png"`) || !strings.Contains(text, `left out: "dog"`) {
		t.Errorf("warnings %q", l.Warnings)
	}
}

func TestImageFolderOfClassesWithSlashes(t *testing.T) {
	classes := []datasets.Class{{Folder: "F-16A/B", Name: "F-16A/B"}, {Folder: "F/A-18", Name: "F/A-18"}, {Folder: "Yak-42", Name: "Yak-42"}}
	for root, split := range map[string]string{folder(t, "F-16A/B/1.png", "F/A-18/1.png", "Yak-42/1.png"): "", folder(t, "train/F-16A/B/1.png", "train/F/A-18/1.png", "train/Yak-42/1.png"): "train"} {
		l, err := datasets.List(context.Background(), datasets.Request{Format: "imagefolder", Root: root, Split: split, Classes: classes})
		if err != nil {
			t.Fatal(err)
		}
		for label, s := range l.Samples {
			if s.Label != label || s.Class != classes[label].Name {
				t.Errorf("%v", s)
			}
		}
		if len(l.Samples) != 3 || l.Warnings != nil {
			t.Errorf("%v, warnings %q", l.Samples, l.Warnings)
		}
	}
}

func TestImageFolderFollowsLinks(t *testing.T) {
	real, root := folder(t, "pictures/1.png"), folder(t, "fox/1.png")
	if err := os.Symlink(filepath.Join(real, "pictures"), filepath.Join(root, "cat")); err != nil {
		t.Fatal(err)
	}
	l, err := datasets.List(context.Background(), datasets.Request{Format: "imagefolder", Root: root})
	if err != nil || !slices.Equal(listed(l), []string{"cat/1.png", "fox/1.png"}) {
		t.Fatalf("%v, %v", l, err)
	}
	if err := os.Symlink("..", filepath.Join(root, "fox", "up")); err != nil {
		t.Fatal(err)
	}
	if _, err := datasets.List(context.Background(), datasets.Request{Format: "imagefolder", Root: root}); err == nil || !strings.Contains(err.Error(), "does a link lead back?") {
		t.Errorf("got %v", err)
	}
}

// TestCoopFindsTheSplitFile: beside the pictures, as in CoOp's layouts, and among them, as in CaFo's generated sets.
func TestCoopFindsTheSplitFile(t *testing.T) {
	source := filepath.Join(goldens, "caltech101/caltech-101")
	want, err := datasets.List(context.Background(), datasets.Request{Format: "caltech101", Root: source, Split: "train"})
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"split_mine.json", "101_ObjectCategories/dalle_caltech.json"} {
		root := t.TempDir()
		if err := os.CopyFS(root, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "split_zhou_Caltech101.json"), filepath.Join(root, place)); err != nil {
			t.Fatal(err)
		}
		l, err := datasets.List(context.Background(), datasets.Request{Format: "coop", Root: root, Split: "train"})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(listed(l), listed(want)) || !slices.Equal(l.Classes, want.Classes) {
			t.Errorf("%s: %v, want %v", place, l.Samples, want.Samples)
		}
	}
}

func TestSplitFilesRefuse(t *testing.T) {
	for text, want := range map[string]string{
		`{"train": [["a.png", 0, "cat"]], "val": []}`:                                  `has no "test"`,
		`{"train": [["a.png", 0.5, "cat"]], "val": [], "test": []}`:                    "train[0]: label 0.5",
		`{"train": [], "val": [["a.png", -1, "cat"]], "test": []}`:                     "val[0]: label -1",
		`{"train": [], "val": [], "test": [["a.png", 1e9, "cat"]]}`:                    "test[0]: label 1e+09",
		`{"train": [["../a.png", 0, "cat"]], "val": [], "test": []}`:                   "want a path within the dataset",
		`{"train": [["cats\\\\a.png", 0, "cat"]], "val": [], "test": []}`:              `those of Windows, write / for each \`,
		`{"train": [["/data/cats/a.png", 0, "cat"]], "val": [], "test": []}`:           "take away what is above the folder",
		`{"train": [["a.png", 0]], "val": [], "test": []}`:                             "want [path, label, class]",
		`{"train": [["a.png", 0, "cat"], ["b.png", 0, "dog"]], "val": [], "test": []}`: `label 0 is "cat" and, at b.png of train, "dog"`,
		`{"train": {}, "val": [], "test": []}`:                                         "want a list",
		`{"train": [["a.png", 0, "cat"], ["c.png", 0, "cat"]], "val": [], "test": []}`: `missing: "c.png"`,
		`{`: "unexpected end",
	} {
		root := folder(t, "a.png", "b.png")
		put(t, filepath.Join(root, "split_x.json"), text)
		if _, err := datasets.List(context.Background(), datasets.Request{Format: "coop", Root: root, Split: "train"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	root := folder(t, "a.png")
	if _, err := datasets.List(context.Background(), datasets.Request{Format: "coop", Root: root, Split: "train"}); err == nil || !strings.Contains(err.Error(), "there are 0") {
		t.Errorf("got %v", err)
	}
	if _, err := datasets.List(context.Background(), datasets.Request{Format: "coop", Root: root}); err == nil {
		t.Error("no split is taken for one")
	}
}

// TestClassFolders: a class's folder is the one its pictures alone are in.
func TestClassFolders(t *testing.T) {
	file := map[string][][3]any{"train": {{"a/1.png", 0, "cat"}, {"b/1.png", 1, "dog"}, {"c/1.png", 2, "fox"}, {"c/2.png", 4, "owl"}}, "val": {{"b/2.png", 1, "dog"}, {"d/1.png", 0, "cat"}}, "test": {}}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	root := folder(t, "a/1.png", "b/1.png", "c/1.png", "c/2.png")
	put(t, filepath.Join(root, "split_x.json"), string(text))
	l, err := datasets.List(context.Background(), datasets.Request{Format: "coop", Root: root, Split: "train"})
	if err != nil {
		t.Fatal(err)
	}
	want := []datasets.Class{{Folder: "cat", Name: "cat"}, {Folder: "b", Name: "dog"}, {Folder: "fox", Name: "fox"}, {Folder: "class 3", Name: "class 3"}, {Folder: "owl", Name: "owl"}}
	if !slices.Equal(l.Classes, want) {
		t.Errorf("%v, want %v", l.Classes, want)
	}
}

// TestFoldersOfClasses: copies with a folder for each class, as people make them where links are dead. Labels are the published ones.
func TestFoldersOfClasses(t *testing.T) {
	for _, c := range []struct {
		format string
		files  map[string]int // with the label, -1 for none
	}{
		{"stanfordcars", map[string]int{"train/Acura RL Sedan 2012/1.jpg": 1, "train/AM General Hummer SUV 2000/2.jpg": 0, "train/smart fortwo Convertible 2012/3.jpg": 195,
			"train/Ram C-V Cargo Van Minivan 2012/4.jpg": 173}},
		{"caltech101", map[string]int{"101_ObjectCategories/train/Faces/1.jpg": 0, "101_ObjectCategories/train/Faces_easy/1.jpg": -1, "101_ObjectCategories/train/car_side/1.jpg": 18,
			"101_ObjectCategories/train/BACKGROUND_Google/1.jpg": -1, "101_ObjectCategories/train/yin_yang/2.jpg": 99}},
		{"eurosat", map[string]int{"train/SeaLake/1.jpg": 9, "train/Annual Crop Land/1.jpg": 0}},
		{"ucf101", map[string]int{"train/ApplyEyeMakeup/1.jpg": 0, "train/YoYo/1.jpg": 100}},
		{"fgvcaircraft", map[string]int{"train/F-16A_B/1.jpg": 72, "train/F-A-18/1.jpg": 73, "train/707-320/1.jpg": 0}},
		{"flowers102", map[string]int{"train/1/1.jpg": 0, "train/102/1.jpg": 101, "train/10/1.jpg": 9}},
		{"food101", map[string]int{"train/apple_pie/1.jpg": 0, "train/waffles/1.jpg": 100}},
		{"sun397", map[string]int{"train/abbey/1.jpg": 0, "train/youth_hostel/1.jpg": 396}},
		{"dtd", map[string]int{"train/polka-dotted/1.jpg": 30, "train/zigzagged/1.jpg": 46}},
		{"oxfordpets", map[string]int{"train/Yorkshire_Terrier/1.jpg": 36, "train/abyssinian/1.jpg": 0}},
	} {
		var names []string
		for name := range c.files {
			names = append(names, name)
		}
		root := folder(t, names...)
		l, err := datasets.List(t.Context(), datasets.Request{Format: c.format, Root: root, Split: "train"})
		if err != nil {
			t.Errorf("%s: %v", c.format, err)
			continue
		}
		got := map[string]int{}
		for _, s := range l.Samples {
			got[s.Name] = s.Label
		}
		for name, label := range c.files {
			if have, ok := got[name]; ok != (label >= 0) || ok && have != label {
				t.Errorf("%s: %s has label %d (%v), want %d", c.format, name, have, ok, label)
			}
		}
		if text := strings.Join(l.Warnings, "\n"); !strings.Contains(text, "classes have no pictures") || !strings.Contains(text, "published lists' splits") {
			t.Errorf("%s: warnings %q", c.format, l.Warnings)
		}
		if _, err := datasets.List(t.Context(), datasets.Request{Format: c.format, Root: root, Split: "test"}); !errors.Is(err, datasets.ErrNoSplit) {
			t.Errorf("%s: %v", c.format, err)
		}
		put(t, filepath.Join(root, filepath.Dir(filepath.Dir(names[0])), "no class", "1.jpg"), "")
		if _, err := datasets.List(t.Context(), datasets.Request{Format: c.format, Root: root, Split: "train"}); err == nil || !strings.Contains(err.Error(), "is called as no class of") {
			t.Errorf("%s: %v", c.format, err)
		}
	}
}
