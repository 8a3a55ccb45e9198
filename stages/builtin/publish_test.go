package builtin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regft/datasets"
	"regft/stages"
)

func pathInput(key, path string) stages.Input { return stages.Input{Key: key, Path: path} }

// TestPublishedImages: `regft get` of pictures gives a folder for each class, metadata.jsonl and classes.txt; it is an
// imagefolder with the same labels.
func TestPublishedImages(t *testing.T) {
	l := newLab(t)
	made := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, classes: [red_fox, F-16A/B], prompt: "a {}", images_per_class: 2, steps: 1, batch_size: 4, seed: 12}`, diffusions(t)[0]), nil))
	dir := published(t, made)
	for i, row := range rows(t, made) {
		want := fmt.Sprintf("%s/0012_%06d.png", []string{"red_fox", "F-16A%2FB"}[i%2], i)
		content, err := os.ReadFile(filepath.Join(dir, want))
		if row.FileName != want || err != nil || string(content) != text(t, made, want) {
			t.Errorf("picture %d is %s, %v, want %s", i, row.FileName, err, want)
		}
	}
	for _, name := range []string{datasets.MetadataFile, datasets.ClassesFile} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(content) != text(t, made, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shuffled := only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q}", published(t, l.dataset(folderOf(t, 2, "cat", "dog")))), nil))
	if got := rows(t, shuffled); len(got) != 4 || got[1].Class != "dog" || got[1].Label != 1 {
		t.Errorf("published pictures list as %+v", got)
	}
}

// TestPublishedClassifier: the folder of a classifier is its files.
func TestPublishedClassifier(t *testing.T) {
	l := newLab(t)
	a := l.zeroshot(clips(t)[0], "cat", "dog")
	dir := published(t, a)
	for _, f := range a.Manifest.Files {
		if content, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || string(content) != text(t, a, f.Name) {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}
