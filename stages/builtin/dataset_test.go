package builtin_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/datasets"
	"regft/stages"
)

// key is what the parameters of a stage and what it reads put into its key.
func key(t *testing.T, name, params string, partial bool) string {
	t.Helper()
	return strings.Join(newLab(t).lines(name, params, nil, partial), "\n")
}

// TestDatasetKey: what is read decides, not where it is.
func TestDatasetKey(t *testing.T) {
	dir := folderOf(t, 3, "cat", "dog")
	params := func(dir, rest string) string { return fmt.Sprintf("{format: imagefolder, path: %q%s}", dir, rest) }
	want := key(t, "dataset", params(dir, ""), false)
	moved := copyFolder(t, dir)
	write(t, "no picture", moved, "README.txt")
	write(t, "no picture", moved, "cat", ".hidden.png")
	if got := key(t, "dataset", params(moved, ""), false); got != want {
		t.Errorf("a moved folder has another key:\n%s\nwas\n%s", got, want)
	}
	if got := key(t, "dataset", params(dir, ", seed: 3"), false); got != want {
		t.Error("the seed is in the key, and nothing is drawn")
	}
	if a, b := key(t, "dataset", params(dir, ", shots: 2, seed: 3"), false), key(t, "dataset", params(dir, ", shots: 2, seed: 4"), false); a == b {
		t.Error("the seed of shots is not in the key")
	}
	write(t, picture(t, 99), moved, "cat", "00.png")
	if got := key(t, "dataset", params(moved, ""), false); got == want {
		t.Error("another picture has the same key")
	}
	l := newLab(t)
	l.seed = 9
	skip := params(dir, ", skip: 1, seed: 0")
	if a, b := key(t, "dataset", skip, false), strings.Join(l.lines("dataset", skip, nil, false), "\n"); a == b {
		t.Error("the spec's seed, which skip draws from, is not in the key")
	}
}

func TestDatasetShots(t *testing.T) {
	dir := folderOf(t, 8, "cat", "dog")
	l := newLab(t)
	list := func(rest string) map[string]bool {
		found := map[string]bool{}
		for _, d := range digests(t, only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q, %s}", dir, rest), nil))) {
			found[d.String()] = true
		}
		return found
	}
	three, five, rest := list("shots: 3, seed: 0"), list("shots: 5, seed: 0"), list("skip: 5")
	if len(three) != 6 || len(five) != 10 || len(rest) != 6 {
		t.Fatalf("3 and 5 shots and the rest of 5 give %d, %d and %d pictures", len(three), len(five), len(rest))
	}
	for d := range three {
		if !five[d] {
			t.Error("3 shots are not among 5 shots of the same seed")
		}
	}
	for d := range five {
		if rest[d] {
			t.Error("a skip takes what shots of the spec's seed take")
		}
	}
	if same := list("shots: 3, seed: 1"); equal(same, three) {
		t.Error("two seeds give the same shots")
	}
}

func equal(a, b map[string]bool) bool {
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestDatasetOrder: the first of every class, then the second of every class; labels are the class list's.
func TestDatasetOrder(t *testing.T) {
	dir := folderOf(t, 2, "cat", "dog", "extra")
	write(t, picture(t, 7), dir, "cat", "02.PNG")
	l := newLab(t)
	o := l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q, classes: [dog, cat]}", dir), nil)
	var got []string
	for _, r := range rows(t, only(o)) {
		got = append(got, fmt.Sprintf("%s %d %s", r.FileName, r.Label, r.Origin))
	}
	want := []string{"dog/0000_000000.png 0 dataset", "cat/0000_000001.png 1 dataset", "dog/0000_000002.png 0 dataset", "cat/0000_000003.png 1 dataset", "cat/0000_000004.png 1 dataset"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if number(t, o, "images") != 5 {
		t.Errorf("images is %v", o.metrics["images"])
	}
	if text(t, only(o), "cat/0000_000004.png") != picture(t, 7) {
		t.Error("a picture has other bytes")
	}
}

func TestDatasetRefuses(t *testing.T) {
	dir := folderOf(t, 2, "cat", "dog")
	empty := copyFolder(t, dir)
	if err := os.Mkdir(filepath.Join(empty, "bird"), 0o777); err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	for _, c := range []struct{ dir, rest, want string }{
		{dir, ", classes: [cat, dog, bird]", `no class folder for "bird"`},
		{dir, ", classes: [cat, dgo]", `no class folder for "dgo"`},
		{empty, "", "bird has no pictures"},
		{empty, ", classes: [cat, dog, bird]", "bird has no pictures"},
		{dir, ", skip: 2", "skip leaves out 2"},
		{filepath.Join(dir, "cat"), "", "no class folders"},
		{dir, ", split: test", "test"},
		{filepath.Join(dir, "nowhere"), "", "nowhere"},
		{filepath.Join(dir, "cat", "00.png"), "", "is a file"},
	} {
		_, err := l.try("dataset", fmt.Sprintf("{format: imagefolder, path: %q%s}", c.dir, c.rest), nil)
		wantError(t, err, c.want)
	}
}

// TestBrokenPicture: a picture is read when it is used, and then it is named.
func TestBrokenPicture(t *testing.T) {
	dir := folderOf(t, 2, "cat", "dog")
	whole := picture(t, 3)
	broken := write(t, whole[:len(whole)/2], dir, "dog", "01.png")
	l := newLab(t)
	data, classifier := l.dataset(dir), l.zeroshot(clips(t)[0], "cat", "dog")
	for _, stage := range []string{"evaluate", "features", "finetune"} {
		_, err := l.try(stage, "{batch_size: 4}", given("classifier", classifier, "data", data))
		wantError(t, err, "dog/0000_000003.png", broken)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	_, err := newLabOver(l).try("features", "", given("classifier", classifier, "data", data))
	wantError(t, err, broken)
}

// newLabOver is another run over the same store.
func newLabOver(l *lab) *lab {
	return &lab{t: l.t, ctx: l.ctx, store: l.store, shared: stages.NewShared(1 << 30)}
}

// TestDatasetOfShards: pictures in shards become those of an artifact, with the labels beside them.
func TestDatasetOfShards(t *testing.T) {
	root := filepath.Join(abs(t, goldens), "datasets", "webdataset", "shards")
	l := newLab(t)
	a := only(l.run("dataset", fmt.Sprintf("{format: webdataset, path: %q, split: train}", root), nil))
	listing, err := datasets.List(t.Context(), datasets.Request{Format: "webdataset", Root: root, Split: "train"})
	if err != nil {
		t.Fatal(err)
	}
	got := rows(t, a)
	if len(got) != len(listing.Samples) || len(got) == 0 {
		t.Fatalf("%d pictures, want %d", len(got), len(listing.Samples))
	}
	for i, s := range listing.Samples {
		f, err := listing.Open(s)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got[i].Label != s.Label || got[i].Class != s.Class || text(t, a, got[i].FileName) != string(want) || filepath.Ext(got[i].FileName) != filepath.Ext(s.Name) {
			t.Errorf("picture %d is %+v, want %+v", i, got[i], s)
		}
	}
	moved := copyFolder(t, root)
	params := func(dir string) string { return fmt.Sprintf("{format: webdataset, path: %q, split: train}", dir) }
	if key(t, "dataset", params(moved), false) != key(t, "dataset", params(root), false) {
		t.Error("moved shards have another key")
	}
}

// TestDatasetOfCoOpsShots: the pictures that CoOp draws, whatever their folder is called.
func TestDatasetOfCoOpsShots(t *testing.T) {
	root := filepath.Join(abs(t, goldens), "datasets", "dtd", "dtd")
	l := newLab(t)
	a := only(l.run("dataset", fmt.Sprintf("{format: dtd, path: %q, split: train, shots: 2, draw: coop, seed: 2}", root), nil))
	var got []string
	for _, r := range rows(t, a) {
		got = append(got, text(t, a, r.FileName))
	}
	var want []string
	for _, name := range []string{"banded/banded_0264", "polka-dotted/polka-dotted_0072", "waffled/waffled_0078", "banded/banded_0275", "polka-dotted/polka-dotted_0336", "waffled/waffled_0134"} {
		content, err := os.ReadFile(filepath.Join(root, "images", name+".jpg"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(content))
	}
	if !slices.Equal(got, want) {
		t.Error("the pictures are not those of the golden's few_shot")
	}
	for params, want := range map[string]string{"draw: coop": "give shots", "draw: coop, shots: 1, skip: 1": "leave skip out", "draw: coop, shots: 1, split: test": "tests on all pictures"} {
		_, err := l.try("dataset", fmt.Sprintf("{format: dtd, path: %q, %s}", root, params), nil)
		wantError(t, err, want)
	}
}
