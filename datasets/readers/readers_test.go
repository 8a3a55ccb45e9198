package readers

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"regft/datasets"
	"regft/datasets/readertest"
)

const goldens = "../../testdata/goldens/datasets"

// TestGoldens: where the published readers disagree, or all go wrong, what is right is said here.
func TestGoldens(t *testing.T) {
	noPictures := readertest.Outcome{Rows: "coop", Warning: "classes have no pictures"}
	same := readertest.Outcome{}
	readertest.Run(t, goldens, readertest.Cases{
		"caltech101":   {"a listed picture is missing": {Error: "are missing"}},
		"dtd":          {"no training picture of label 1": noPictures},
		"fgvcaircraft": {"a variant twice": {Error: "already"}},
		"food101":      {"a row twice": {Rows: "coop"}},
		"imagefolder": {
			"a folder without pictures":         {Error: "docs has no pictures"},
			"a hidden folder among the classes": same,
			"a hidden folder in a class":        same,
		},
		"imagenet": {
			"a folder that is no class":                 {Error: "extra is no class of ImageNet"},
			"an empty class folder":                     {Error: "has no pictures"},
			"another file in a class folder":            same,
			"val lacks a class":                         noPictures,
			"val not sorted into folders":               {Error: "valprep.sh"},
			"the folder of val is called val_in_folder": {Rows: "wise_ft"},
			"a class is missing in classnames.txt":      {Error: "classnames.txt has no line for"},
		},
		"imagenet_a":      {"a class folder is missing": noPictures, "another file among the class folders": same},
		"imagenet_r":      {"a class folder is missing": noPictures, "another file among the class folders": same},
		"imagenet_sketch": {"another file among the class folders": same},
		"imagenet_v2":     {"a line before the names": same, "an upper-case extension": {Rows: "coop"}},
		"objectnet":       {"an unknown folder": same, "an empty unmapped folder": {Error: "zzz has no pictures"}},
		"webdataset": {
			"a key without .cls":        {Error: "has no .cls"},
			"a hidden file in a folder": {Other: true},
			"a label that is no number": {Error: "want a label"},
		},
	})
}

// TestWebDatasetPassesOverHiddenMembers: wherever they lie. The published reader chokes on those in folders.
func TestWebDatasetPassesOverHiddenMembers(t *testing.T) {
	root := filepath.Join(t.TempDir(), "shards")
	if err := os.CopyFS(root, os.DirFS(filepath.Join(goldens, "webdataset/shards"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "bad/2.tar"), filepath.Join(root, "test/0.tar")); err != nil {
		t.Fatal(err)
	}
	l, err := datasets.List(context.Background(), datasets.Request{Format: "webdataset", Root: root, Split: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Samples) != 1 || l.Skipped.Hidden != 1 {
		t.Errorf("%v, skipped %+v", l.Samples, l.Skipped)
	}
}
