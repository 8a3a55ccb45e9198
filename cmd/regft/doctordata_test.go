package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/datasets"
)

// TestDoctorData: what is there, what is passed over, and what is missing or misnamed, with counts.
func TestDoctorData(t *testing.T) {
	golden := filepath.Join("..", "..", "testdata", "goldens", "datasets")
	copied := func(name string) string {
		dir := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden, name))); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	lacking := copied("oxfordpets/oxford_pets")
	l, err := datasets.List(t.Context(), datasets.Request{Format: "oxfordpets", Root: lacking, Split: "train"})
	if err != nil {
		t.Fatal(err)
	}
	listed := filepath.Join(lacking, l.Samples[0].Name)
	if err := os.Rename(listed, strings.TrimSuffix(listed, ".jpg")+".JPEG"); err != nil {
		t.Fatal(err)
	}
	empty := copied("dtd/dtd")
	pictures, _ := filepath.Glob(filepath.Join(empty, "images", "*", "*.jpg"))
	if err := os.WriteFile(pictures[0], nil, 0o666); err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	if err := os.Rename(copied("fgvcaircraft/fgvc_aircraft"), filepath.Join(unpacked, "fgvc_aircraft")); err != nil {
		t.Fatal(err)
	}
	classes := filepath.Join(t.TempDir(), "classes.txt")
	if err := os.WriteFile(classes, []byte("Banded\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		folder string
		check  dataCheck
		want   []string
		fails  bool
	}{
		{filepath.Join(golden, "oxfordpets/oxford_pets"), dataCheck{decode: true}, []string{": oxfordpets, classes: 3\n  train: 11 pictures, 2 to 6 each\n  val: 3 pictures, 1 each\n"}, false},
		{filepath.Join(golden, "imagefolder/pictures"), dataCheck{}, []string{"passed over: 2 hidden files, 3 other files", "not read: ", `has no folder "test"`}, false},
		{filepath.Join(golden, "webdataset/shards"), dataCheck{split: "train"}, []string{": webdataset, classes: 4\n  train: 4 pictures", `1 of 4 classes have no pictures: "T-shirt"`}, false},
		{lacking, dataCheck{}, []string{"pictures of train are missing: ", ".JPEG\""}, true},
		{empty, dataCheck{}, []string{"cannot be read: images/", ": the file is empty", "1 picture cannot be read"}, true},
		{unpacked, dataCheck{}, []string{"the layout of fgvcaircraft fits ", "name that folder"}, false},
		{filepath.Join(golden, "dtd/dtd/images"), dataCheck{format: "imagefolder", classes: classes}, []string{`no class folder for "Banded"`, `is it "banded" for "Banded"?`}, true},
		{filepath.Join(golden, "dtd"), dataCheck{format: "fod101"}, []string{`did you mean "food101"`}, true},
		{filepath.Join(golden, "nowhere"), dataCheck{}, []string{"nowhere"}, true},
	} {
		var out bytes.Buffer
		err := (&app{out: &out}).checkData(t.Context(), c.folder, c.check)
		text := out.String()
		if err != nil {
			text += err.Error()
		}
		for _, want := range c.want {
			if (err != nil) != c.fails || !strings.Contains(text, want) {
				t.Errorf("%s: %v, %q: want %q", c.folder, err, text, want)
			}
		}
	}
}
