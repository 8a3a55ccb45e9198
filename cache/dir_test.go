package cache_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regft/cache"
	"regft/cache/storetest"
)

func TestDirIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) cache.Store { return openDir(t, t.TempDir()) })
}

func openDir(t testing.TB, path string) *cache.Dir {
	t.Helper()
	d, err := cache.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func put(t testing.TB, s cache.Store, content []byte) cache.Digest {
	t.Helper()
	digest, _, err := s.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func read(t testing.TB, s cache.Store, digest cache.Digest) ([]byte, error) {
	t.Helper()
	content, _, err := s.Open(t.Context(), digest)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

func writeFile(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// files gives the files and empty folders below a folder, relative to it.
func files(t testing.TB, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			name, err := filepath.Rel(root, path)
			found = append(found, name)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("REGFT_CACHE", "/somewhere/else")
	if path, err := cache.DefaultPath(); path != "/somewhere/else" || err != nil {
		t.Errorf("with REGFT_CACHE: %q, %v", path, err)
	}
	t.Setenv("REGFT_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/home/u/.cache")
	folder, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := cache.DefaultPath(); path != filepath.Join(folder, "regft") || err != nil {
		t.Errorf("without REGFT_CACHE: %q, %v", path, err)
	}
}

func TestOpenDirErrors(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "file"), nil)
	if _, err := cache.OpenDir(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("OpenDir of a file: %v, want an error that names it", err)
	}
}

func TestOpenDirRemovesOldTemps(t *testing.T) {
	root := t.TempDir()
	openDir(t, root)
	old := writeFile(t, filepath.Join(root, "tmp", "old"), []byte("half a bl"))
	young := writeFile(t, filepath.Join(root, "tmp", "young"), []byte("half a bl"))
	dayBefore := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, dayBefore, dayBefore); err != nil {
		t.Fatal(err)
	}
	openDir(t, root)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old temporary file is still there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("a temporary file in use was removed: %v", err)
	}
}

// The store holds what docs/cache.md draws, and nothing else: no temporary
// files, and no locks that nobody holds.
func TestLayout(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	small, big := put(t, d, []byte("small")), put(t, d, make([]byte, 1<<20))
	put(t, d, []byte("small"))
	result := &cache.Result{Action: cache.NewActionID("key"), Key: "key", Outputs: map[string]cache.Digest{"": small}}
	recipe := cache.NewRecipeID("recipe")
	unlock, err := d.Lock(t.Context(), result.Action)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.PutResult(t.Context(), result), d.PutRecipe(t.Context(), recipe, result.Action), unlock()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		entry("blobs", small), entry("blobs", big), entry("blobs", big) + ".xxh64",
		entry("results", result.Action), entry("recipes", recipe),
	}
	slices.Sort(want)
	if got := files(t, root); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// entry is where docs/cache.md says that an entry is.
func entry(folder string, id interface{ String() string }) string {
	digits := id.String()[len("sha256:"):]
	return filepath.Join(folder, digits[:2], digits[2:])
}

func TestPutFile(t *testing.T) {
	d := openDir(t, t.TempDir())
	path := writeFile(t, filepath.Join(t.TempDir(), "f"), []byte("content"))
	digest, size, err := d.PutFile(t.Context(), path)
	if digest != cache.SumBytes([]byte("content")) || size != 7 || err != nil {
		t.Errorf("PutFile: %s, %d, %v", digest, size, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, d, digest); string(got) != "content" || err != nil {
		t.Errorf("after removing the file: %q, %v", got, err)
	}
	if _, _, err := d.PutFile(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("PutFile of no file: %v", err)
	}
}

func TestPutFolder(t *testing.T) {
	d, folder := openDir(t, t.TempDir()), t.TempDir()
	want := map[string][]byte{"a": {}, "b/a.txt": []byte("1"), "b.txt": []byte("22"), "b/c/\xff": []byte("1")}
	for name, content := range want {
		writeFile(t, filepath.Join(folder, filepath.FromSlash(name)), content)
	}
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	m, err := d.PutFolder(t.Context(), folder)
	if err != nil || len(m.Files) != len(want) {
		t.Fatalf("PutFolder: %v, %v", m, err)
	}
	for _, f := range m.Files {
		got, err := read(t, d, f.Digest)
		if err != nil || !bytes.Equal(got, want[f.Name]) || f.Size != int64(len(got)) {
			t.Errorf("%s: %q, %v, want %q", f.Name, got, err, want[f.Name])
		}
	}
	if err := os.Symlink("a", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.PutFolder(t.Context(), folder); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("with a symbolic link: %v, want an error that names it", err)
	}
	if _, err := d.PutFolder(t.Context(), filepath.Join(folder, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestPath(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, size := range []int{0, 10, 2 << 20} {
		want := storetest.Content(1, size)
		path, err := d.Path(t.Context(), put(t, d, want))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d bytes: the file has %d, %v", size, len(got), err)
		}
	}
	if _, err := d.Path(t.Context(), cache.SumBytes([]byte("absent"))); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("absent: %v", err)
	}
}

func TestManifests(t *testing.T) {
	d := openDir(t, t.TempDir())
	f := cache.File{Name: "a/b.txt", Digest: put(t, d, []byte("b")), Size: 1}
	m, err := cache.NewManifest([]cache.File{f})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := d.PutManifest(t.Context(), m)
	if err != nil || digest != m.Digest() {
		t.Fatalf("PutManifest: %s, %v, want %s", digest, err, m.Digest())
	}
	got, err := d.Manifest(t.Context(), digest)
	if err != nil || !slices.Equal(got.Files, m.Files) {
		t.Errorf("Manifest: %v, %v", got, err)
	}
	if _, err := d.Manifest(t.Context(), f.Digest); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("Manifest of other content: %v, want a miss", err)
	}
	m.Files[0].Digest = cache.SumBytes([]byte("never put"))
	if _, err := d.PutManifest(t.Context(), m); !errors.Is(err, cache.ErrMiss) || !strings.Contains(err.Error(), "a/b.txt") {
		t.Errorf("PutManifest without its file: %v, want a miss that names it", err)
	}
}

func TestPartial(t *testing.T) {
	root := t.TempDir()
	folder, err := openDir(t, root).Partial("key")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "step-10"), []byte("state"))
	d := openDir(t, root)
	again, err := d.Partial("key")
	if err != nil || again != folder {
		t.Fatalf("the next process's folder: %s, %v, want %s", again, err, folder)
	}
	if other, err := d.Partial("other key"); err != nil || other == folder {
		t.Errorf("another key's folder: %s, %v", other, err)
	}
	if got := files(t, again); !slices.Equal(got, []string{"step-10"}) {
		t.Errorf("partial work: %q", got)
	}
	if err := d.RemovePartial("key"); err != nil {
		t.Fatal(err)
	}
	if err := d.RemovePartial("key"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after RemovePartial: %v", err)
	}
}

func TestResults(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	want := map[string]bool{}
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := d.PutResult(t.Context(), &cache.Result{Action: cache.NewActionID(key), Key: key}); err != nil {
			t.Fatal(err)
		}
		want[key] = true
	}
	damaged := filepath.Join(root, entry("results", cache.NewActionID("c")))
	damage(t, damaged, truncate)
	delete(want, "c")
	writeFile(t, filepath.Join(root, "results", "00", "not-ours"), nil)
	for r, err := range d.Results(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !want[r.Key] {
			t.Errorf("result %q was not put, is damaged, or comes again", r.Key)
		}
		delete(want, r.Key)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	for range d.Results(t.Context()) {
		break // stopping early is allowed
	}
}
