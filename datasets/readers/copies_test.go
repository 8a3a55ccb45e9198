package readers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/datasets"

	"github.com/google/go-cmp/cmp"
)

// The copies that people have differ from the published ones by what their systems do to files.

// golden is a small copy of a dataset.
type golden struct{ Format, Root string }

// copies calls f with every golden dataset, and a function that copies it.
func copies(t *testing.T, f func(t *testing.T, g golden, copied func() string)) {
	paths, err := filepath.Glob(goldens + "/*/expected.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(data, &g); err != nil {
			t.Fatal(err)
		}
		t.Run(g.Format, func(t *testing.T) {
			f(t, g, func() string {
				root := filepath.Join(t.TempDir(), filepath.Base(g.Root))
				if err := os.CopyFS(root, os.DirFS(filepath.Join(filepath.Dir(p), g.Root))); err != nil {
					t.Fatal(err)
				}
				return root
			})
		})
	}
}

// listings are what a format lists of every split that it has, without paths of this machine.
func listings(t *testing.T, format, root string) map[string]*datasets.Listing {
	t.Helper()
	all := map[string]*datasets.Listing{}
	for _, split := range []string{"", "train", "val", "test"} {
		l, err := datasets.List(t.Context(), datasets.Request{Format: format, Root: root, Split: split})
		if err == nil {
			l.Root = ""
			all[split] = l
		}
	}
	if len(all) == 0 {
		_, err := datasets.List(t.Context(), datasets.Request{Format: format, Root: root, Split: "test"})
		t.Fatalf("%s of %s lists nothing: %v", format, root, err)
	}
	return all
}

// rewritten changes the content of files with an extension.
func rewritten(t *testing.T, root, extension string, change func([]byte) []byte) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != extension {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, change(data), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, want, got map[string]*datasets.Listing) {
	t.Helper()
	for _, l := range got {
		l.Skipped = datasets.Skipped{}
	}
	for _, l := range want {
		l.Skipped = datasets.Skipped{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// TestListsOfWindows: lists with \r\n at their lines' ends, and with a byte order mark, are the same lists.
func TestListsOfWindows(t *testing.T) {
	copies(t, func(t *testing.T, g golden, copied func() string) {
		want := listings(t, g.Format, copied())
		ends := copied()
		rewritten(t, ends, ".txt", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) })
		same(t, "line ends", want, listings(t, g.Format, ends))
		mark := copied()
		rewritten(t, mark, ".txt", func(b []byte) []byte { return append([]byte("\ufeff"), b...) })
		same(t, "byte order mark", want, listings(t, g.Format, mark))
	})
}

// TestLitter: what Finder, Explorer and unzip leave in folders is nothing of the dataset's.
func TestLitter(t *testing.T) {
	copies(t, func(t *testing.T, g golden, copied func() string) {
		root := copied()
		want := listings(t, g.Format, root)
		var folders []string
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				folders = append(folders, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			for _, name := range []string{".DS_Store", "._0001.jpg", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/0001-checkpoint.jpg", "__MACOSX/._0002.jpg", "__MACOSX/0002.jpg", "@eaDir/0001.jpg"} {
				put(t, filepath.Join(folder, name), name)
			}
		}
		got := listings(t, g.Format, root)
		for split, l := range got {
			if g.Format != "webdataset" && l.Skipped.Hidden+l.Skipped.Other <= want[split].Skipped.Hidden+want[split].Skipped.Other && l.Skipped != (datasets.Skipped{}) {
				t.Errorf("%s: %+v of the litter is counted", split, l.Skipped)
			}
		}
		same(t, "litter", want, got)
	})
}

// TestLinkedCopies: a folder of links to the parts of a copy is a copy.
func TestLinkedCopies(t *testing.T) {
	copies(t, func(t *testing.T, g golden, copied func() string) {
		root, linked := copied(), filepath.Join(t.TempDir(), "linked")
		if err := os.Mkdir(linked, 0o755); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Symlink(filepath.Join(root, e.Name()), filepath.Join(linked, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "links", listings(t, g.Format, root), listings(t, g.Format, linked))
	})
}

// TestUpperCaseExtensions: a picture is one whatever case its extension has, where folders say what it is.
func TestUpperCaseExtensions(t *testing.T) {
	copies(t, func(t *testing.T, g golden, copied func() string) {
		if !strings.HasPrefix(g.Format, "image") {
			return // a split file lists names as they are
		}
		root := copied()
		want := listings(t, g.Format, root)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			extension := filepath.Ext(path)
			if err != nil || e.IsDir() || extension == ".txt" {
				return err
			}
			return os.Rename(path, strings.TrimSuffix(path, extension)+strings.ToUpper(extension))
		})
		if err != nil {
			t.Fatal(err)
		}
		for split, l := range listings(t, g.Format, root) {
			if len(l.Samples) != len(want[split].Samples) {
				t.Errorf("%q: %d pictures, want %d", split, len(l.Samples), len(want[split].Samples))
			}
		}
	})
}

// TestAFolderMore: archives that unpack into a folder of their own put the layout one or two folders deeper. The error says where it is.
func TestAFolderMore(t *testing.T) {
	copies(t, func(t *testing.T, g golden, copied func() string) {
		if g.Format == "imagefolder" || g.Format == "webdataset" {
			return // any folder is of these
		}
		inner := copied()
		split := ""
		for name := range listings(t, g.Format, inner) {
			split = max(split, name)
		}
		for _, above := range []string{"", "more"} {
			root := filepath.Join(t.TempDir(), "outer")
			put(t, filepath.Join(root, ".hidden", "x"), "")
			put(t, filepath.Join(root, "README.md"), "")
			place := filepath.Join(root, above, "unpacked")
			if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(place, os.DirFS(inner)); err != nil {
				t.Fatal(err)
			}
			l, err := datasets.List(t.Context(), datasets.Request{Format: g.Format, Root: root, Split: split})
			if err == nil || !strings.Contains(err.Error(), "the layout is that of "+place) {
				t.Errorf("%d folders more: %v, %v", 1+len(above)/4, l, err)
			}
		}
	})
}

// TestAFolderMoreOfClasses: a folder of class folders lists as one class, with a warning.
func TestAFolderMoreOfClasses(t *testing.T) {
	l, err := datasets.List(t.Context(), datasets.Request{Format: "imagefolder", Root: folder(t, "animals/cat/1.png", "animals/dog/1.png")})
	if err != nil || !strings.Contains(strings.Join(l.Warnings, " "), "if those are the classes, give that folder as path") {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err = datasets.List(t.Context(), datasets.Request{Format: "imagefolder", Root: folder(t, "cat/1.png", "cat/more/2.png", "cat/most/3.png")}); err != nil || l.Warnings != nil {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestKagglesImageNet has its folders below ILSVRC/Data/CLS-LOC, and its validation pictures in no folders.
func TestKagglesImageNet(t *testing.T) {
	root := folder(t, "ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_1.JPEG", "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG", "LOC_synset_mapping.txt")
	l, err := datasets.List(t.Context(), datasets.Request{Format: "imagenet", Root: root, Split: "train"})
	if err != nil || len(l.Samples) != 1 || l.Samples[0].Label != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err = datasets.List(t.Context(), datasets.Request{Format: "imagenet", Root: root, Split: "val"}); err == nil || !strings.Contains(err.Error(), "valprep.sh") {
		t.Errorf("%v", err)
	}
}

// TestNeitherSplitFileNorLists: the error says what a folder for each class is.
func TestNeitherSplitFileNorLists(t *testing.T) {
	for _, format := range []string{"stanfordcars", "oxfordpets", "flowers102", "sun397", "ucf101", "dtd", "food101", "eurosat", "caltech101"} {
		_, err := datasets.List(t.Context(), datasets.Request{Format: format, Root: folder(t, "train/a/1.jpg", "test/a/1.jpg"), Split: "train"})
		if err == nil || !strings.Contains(err.Error(), "there is neither split_zhou_") || !strings.Contains(err.Error(), "format imagefolder") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// TestOtherSplitFile: a folder that has another dataset's split file is not read as if its own were missing.
func TestOtherSplitFile(t *testing.T) {
	root := filepath.Join(t.TempDir(), "dtd")
	if err := os.CopyFS(root, os.DirFS(filepath.Join(goldens, "dtd/dtd"))); err != nil {
		t.Fatal(err)
	}
	_, err := datasets.List(t.Context(), datasets.Request{Format: "food101", Root: root, Split: "train"})
	if err == nil || !strings.Contains(err.Error(), "split_zhou_DescribableTextures.json, and no split_zhou_Food101.json: is it another dataset") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestGeneratedSets: a folder of generated pictures as CaFo has them is no dataset without its split file, and lacks val and test.
func TestGeneratedSets(t *testing.T) {
	root := filepath.Join(t.TempDir(), "dalle_eurosat")
	if err := os.CopyFS(root, os.DirFS(filepath.Join(goldens, "eurosat/eurosat"))); err != nil {
		t.Fatal(err)
	}
	var all map[string][]any
	data, err := os.ReadFile(filepath.Join(root, "split_zhou_EuroSAT.json"))
	if err == nil {
		err = json.Unmarshal(bytes.Replace(data, []byte(`"an unknown key"`), []byte("[]"), 1), &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	all["val"], all["test"] = []any{}, []any{}
	if data, err = json.Marshal(all); err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(root, "2750/dalle_eurosat.json"), data, 0o600), os.Remove(filepath.Join(root, "split_zhou_EuroSAT.json")))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		format, split, want string
		kind                error
	}{
		{"coop", "train", "", nil},
		{"coop", "val", "dalle_eurosat.json lists nothing as val", datasets.ErrNoSplit},
		{"eurosat", "train", "format: coop", fs.ErrNotExist},
	} {
		l, err := datasets.List(t.Context(), datasets.Request{Format: c.format, Root: root, Split: c.split})
		if c.want == "" && (err != nil || len(l.Samples) != len(all["train"])) || c.want != "" && (!errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %s: got %v, want %q", c.format, c.split, err, c.want)
		}
	}
}

// TestShardsOfOtherPrograms: without nshards.txt all .tar files count, by name; compressed ones are refused.
func TestShardsOfOtherPrograms(t *testing.T) {
	root := filepath.Join(t.TempDir(), "shards")
	if err := os.CopyFS(root, os.DirFS(filepath.Join(goldens, "webdataset/shards"))); err != nil {
		t.Fatal(err)
	}
	before, err := datasets.List(t.Context(), datasets.Request{Format: "webdataset", Root: root, Split: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "test/0.tar"), filepath.Join(root, "test/part-000.tar")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "test/nshards.txt")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ missing, want string }{{"", ""}, {classNamesFile, "write them to"}} {
		if c.missing != "" {
			if err := os.Remove(filepath.Join(root, c.missing)); err != nil {
				t.Fatal(err)
			}
		}
		l, err := datasets.List(t.Context(), datasets.Request{Format: "webdataset", Root: root, Split: "test"})
		if c.want == "" && (err != nil || len(l.Samples) != len(before.Samples)) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("without %q: %v", c.missing, err)
		}
	}
	if err := os.Rename(filepath.Join(root, "test/part-000.tar"), filepath.Join(root, "test/part-000.tar.gz")); err != nil {
		t.Fatal(err)
	}
	if _, err := (&tree{root: root}).tarFiles(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "is compressed") {
		t.Errorf("got %v", err)
	}
}
