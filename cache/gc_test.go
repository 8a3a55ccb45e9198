package cache_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"regft/cache"
	"regft/cache/storetest"
)

// putResult stores a result with one output of the files given, and its recipe.
func putResult(t testing.TB, d *cache.Dir, key string, contents ...[]byte) *cache.Result {
	t.Helper()
	var files []cache.File
	for i, c := range contents {
		files = append(files, cache.File{Name: fmt.Sprint(i), Digest: put(t, d, c), Size: int64(len(c))})
	}
	m, err := cache.NewManifest(files)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := d.PutManifest(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	r := &cache.Result{Action: cache.NewActionID(key), Key: key, Outputs: map[string]cache.Digest{"": digest}, Log: put(t, d, []byte("log of "+key))}
	if err := d.PutResult(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := d.PutRecipe(t.Context(), cache.NewRecipeID(key), r.Action); err != nil {
		t.Fatal(err)
	}
	return r
}

// makeOld makes everything in the store as old as age says.
func makeOld(t testing.TB, d *cache.Dir, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	err := filepath.WalkDir(d.Root(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func collect(t testing.TB, d *cache.Dir, keep cache.Keep) (*cache.Garbage, int64) {
	t.Helper()
	g, err := d.FindGarbage(t.Context(), keep)
	if err != nil {
		t.Fatal(err)
	}
	freed, err := d.Collect(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return g, freed
}

// whole fails the test unless all that r refers to is there and right.
func whole(t testing.TB, d *cache.Dir, r *cache.Result) {
	t.Helper()
	got, err := d.Result(t.Context(), r.Action)
	if err != nil {
		t.Fatal(err)
	}
	wholeContent(t, d, got)
}

func wholeContent(t testing.TB, d *cache.Dir, r *cache.Result) {
	t.Helper()
	for _, digest := range r.Outputs {
		m, err := d.Manifest(t.Context(), digest)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.Files {
			if _, err := read(t, d, f.Digest); err != nil {
				t.Errorf("%s: %v", r.Key, err)
			}
		}
	}
	if _, err := read(t, d, r.Log); err != nil {
		t.Errorf("log of %s: %v", r.Key, err)
	}
}

// TestCollectTakesWhatNothingNeeds keeps one of two results that share content.
func TestCollectTakesWhatNothingNeeds(t *testing.T) {
	d := openDir(t, t.TempDir())
	shared, big := storetest.Content(1, 100), storetest.Content(2, 2<<20)
	kept := putResult(t, d, "kept", shared)
	gone := putResult(t, d, "gone", shared, big)
	loose := put(t, d, []byte("nobody refers to it"))
	makeOld(t, d, 48*time.Hour)
	g, freed := collect(t, d, cache.Keep{Actions: map[cache.ActionID]bool{kept.Action: true}})
	whole(t, d, kept)
	if _, err := d.Result(t.Context(), gone.Action); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("the other result: %v, want a miss", err)
	}
	if _, err := d.Recipe(t.Context(), cache.NewRecipeID("gone")); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("its recipe: %v, want a miss", err)
	}
	if _, err := d.Recipe(t.Context(), cache.NewRecipeID("kept")); err != nil {
		t.Errorf("the recipe of what stays: %v", err)
	}
	for _, digest := range []cache.Digest{loose, cache.SumBytes(big), gone.Log} {
		if has, err := d.Has(t.Context(), digest); has || err != nil {
			t.Errorf("%s: there %t, %v", digest, has, err)
		}
	}
	if len(g.Results.Paths) != 1 || len(g.Recipes.Paths) != 1 || len(g.Blobs.Paths) != 4 || g.KeptResults != 1 || g.KeptBlobs != 3 {
		t.Errorf("garbage %+v", g)
	}
	if freed < g.Bytes() || g.Bytes() < int64(len(big)) {
		t.Errorf("freed %d bytes of %d", freed, g.Bytes())
	}
	if left, _ := filepath.Glob(filepath.Join(d.Root(), "blobs", "*", "*.xxh64")); len(left) != 0 {
		t.Errorf("checksums without a blob: %v", left)
	}
}

// TestFindGarbageRemovesNothing compares every file of the store.
func TestFindGarbageRemovesNothing(t *testing.T) {
	d := openDir(t, t.TempDir())
	putResult(t, d, "a", []byte("x"))
	makeOld(t, d, 48*time.Hour)
	before := storeFiles(t, d)
	if _, err := d.FindGarbage(t.Context(), cache.Keep{}); err != nil {
		t.Fatal(err)
	}
	if after := storeFiles(t, d); !slices.Equal(before, after) {
		t.Errorf("files %v: want %v", after, before)
	}
}

func storeFiles(t testing.TB, d *cache.Dir) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(d.Root(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestCollectLeavesTheYoung finds nothing in a store of this day, nor in one whose results Since keeps.
func TestCollectLeavesTheYoung(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		keep cache.Keep
	}{
		"of this day": {time.Hour, cache.Keep{}},
		"since":       {48 * time.Hour, cache.Keep{Since: time.Now().Add(-72 * time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDir(t, t.TempDir())
			r := putResult(t, d, "a", []byte("x"))
			if _, err := d.Partial("a"); err != nil {
				t.Fatal(err)
			}
			makeOld(t, d, c.age)
			if g, freed := collect(t, d, c.keep); freed != 0 || len(g.Partial.Paths) != 0 {
				t.Errorf("freed %d bytes, %+v", freed, g)
			}
			whole(t, d, r)
		})
	}
}

// TestWhatIsPutAgainStays is what a running regft does between the two halves of a collection.
func TestWhatIsPutAgainStays(t *testing.T) {
	for _, size := range []int{10, 2 << 20} {
		d := openDir(t, t.TempDir())
		content := storetest.Content(3, size)
		old := putResult(t, d, "old", content)
		makeOld(t, d, 48*time.Hour)
		g, err := d.FindGarbage(t.Context(), cache.Keep{})
		if err != nil || len(g.Blobs.Paths) != 3 {
			t.Fatalf("garbage %+v, %v", g, err)
		}
		running := openDir(t, d.Root())
		fresh := putResult(t, running, "new", content)
		if _, err := d.Collect(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		whole(t, running, fresh)
		if _, err := d.Result(t.Context(), old.Action); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("the old result: %v, want a miss", err)
		}
	}
}

// TestWhatARunningActionPutStays holds an action's lock since longer than a day.
func TestWhatARunningActionPutStays(t *testing.T) {
	d := openDir(t, t.TempDir())
	before := put(t, d, []byte("put before it began"))
	makeOld(t, d, 100*time.Hour)
	unlock, err := d.Lock(t.Context(), cache.NewActionID("long"))
	if err != nil {
		t.Fatal(err)
	}
	digest := put(t, d, []byte("early"))
	for path, age := range map[string]time.Duration{
		filepath.Join(d.Root(), "locks", cache.NewActionID("long").String()[7:]): 60 * time.Hour,
		blobPath(d, digest): 50 * time.Hour,
	} {
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	collect(t, d, cache.Keep{})
	if has, _ := d.Has(t.Context(), digest); !has {
		t.Error("what the running action has put is gone")
	}
	if has, _ := d.Has(t.Context(), before); has {
		t.Error("what was put before it began is there")
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	collect(t, d, cache.Keep{})
	if has, _ := d.Has(t.Context(), digest); has {
		t.Error("it is there although nobody needs it any more")
	}
}

func blobPath(d *cache.Dir, digest cache.Digest) string {
	name := digest.String()[len("sha256:"):]
	return filepath.Join(d.Root(), "blobs", name[:2], name[2:])
}

// TestPartialWorkAndQuarantineGoByAge has an old and a young one of each.
func TestPartialWorkAndQuarantineGoByAge(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, key := range []string{"old", "young"} {
		dir, err := d.Partial(key)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "checkpoint"), []byte("half"))
	}
	quarantine := filepath.Join(d.Root(), "quarantine")
	oldAside := writeFile(t, filepath.Join(quarantine, "ab-cd.xxh64.20200102T150405.000000000"), []byte("bad"))
	youngAside := writeFile(t, filepath.Join(quarantine, "ab-ef."+time.Now().UTC().Format("20060102T150405.000000000")), []byte("bad"))
	makeOld(t, d, 48*time.Hour)
	if _, err := d.Partial("young"); err != nil { // somebody goes on from it
		t.Fatal(err)
	}
	collect(t, d, cache.Keep{})
	left, err := os.ReadDir(filepath.Join(d.Root(), "partial"))
	if err != nil || len(left) != 1 || left[0].Name() != cache.NewActionID("young").String()[7:] {
		t.Errorf("partial work: %v, %v", left, err)
	}
	if _, err := os.Stat(oldAside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an entry set aside years ago: %v", err)
	}
	if _, err := os.Stat(youngAside); err != nil {
		t.Errorf("an entry set aside now: %v", err)
	}
}

// TestPins stores, replaces, removes and damages pins.
func TestPins(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, name := range []string{"runs/a b", "é[x=1]", "runs/a b"} {
		if err := d.PutPin(cache.Pin{Name: name, Actions: []cache.ActionID{cache.NewActionID(name)}}); err != nil {
			t.Fatal(err)
		}
	}
	pins, err := d.Pins()
	if err != nil || len(pins) != 2 || pins[0].Actions[0] != cache.NewActionID(pins[0].Name) {
		t.Fatalf("pins %+v, %v", pins, err)
	}
	if err := d.RemovePin("runs/a b"); err != nil {
		t.Fatal(err)
	}
	if err := d.RemovePin("runs/a b"); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("removed again: %v, want a miss", err)
	}
	paths, _ := filepath.Glob(filepath.Join(d.Root(), "pins", "*"))
	if len(paths) != 1 {
		t.Fatalf("files of pins: %v", paths)
	}
	if err := os.Chmod(paths[0], 0o666); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range content {
		content[i] ^= 4
		writeFile(t, paths[0], content)
		if _, err := d.Pins(); err == nil || errors.Is(err, cache.ErrMiss) {
			t.Fatalf("with byte %d changed: %v, want an error", i, err)
		}
		content[i] ^= 4
	}
}

// TestRunsOfAnyFolder finds runs wherever they lie, and those that moved away.
func TestRunsOfAnyFolder(t *testing.T) {
	d := openDir(t, t.TempDir())
	a, b := t.TempDir(), filepath.Join(t.TempDir(), "b")
	if err := os.Mkdir(b, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{a, b, a} {
		if err := d.AddRun(folder); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	there, gone, err := d.Runs()
	if err != nil || !slices.Equal(there, []string{a}) || !slices.Equal(gone, []string{b}) {
		t.Errorf("there %v, gone %v, %v", there, gone, err)
	}
}
