package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regft/cache"
	"regft/cache/storetest"
)

func linkFile(t testing.TB, d *cache.Dir, path string) cache.Digest {
	t.Helper()
	digest, _, err := d.Link(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func checkLinked(t *testing.T, d *cache.Dir, path string, want []byte) {
	t.Helper()
	digest := cache.SumBytes(want)
	if has, err := d.Has(t.Context(), digest); !has || err != nil {
		t.Errorf("Has: %v, %v", has, err)
	}
	if got, err := read(t, d, digest); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Open: %d bytes, %v, want %d", len(got), err, len(want))
	}
	if got, err := d.Path(t.Context(), digest); got != path || err != nil {
		t.Errorf("Path: %q, %v, want %q", got, err, path)
	}
}

func checkChanged(t *testing.T, d *cache.Dir, path string, digest cache.Digest) {
	t.Helper()
	if has, err := d.Has(t.Context(), digest); has || err != nil {
		t.Errorf("Has: %v, %v", has, err)
	}
	_, openErr := read(t, d, digest)
	_, pathErr := d.Path(t.Context(), digest)
	for _, err := range []error{openErr, pathErr} {
		var linkErr *cache.LinkError
		if !errors.As(err, &linkErr) || linkErr.Path != path || !strings.Contains(err.Error(), path) || errors.Is(err, cache.ErrMiss) {
			t.Errorf("got %v, want a LinkError that names %s", err, path)
		}
	}
}

// Linked content is read where it lies, by this process and by later ones, and
// nothing of it is copied.
func TestLink(t *testing.T) {
	for _, size := range []int{0, 100, 2 << 20} {
		root, content := t.TempDir(), storetest.Content(9, size)
		path := writeFile(t, filepath.Join(t.TempDir(), "a picture \n\xe9.png"), content)
		d := openDir(t, root)
		digest, gotSize, err := d.Link(t.Context(), path)
		if digest != cache.SumBytes(content) || gotSize != int64(size) || err != nil {
			t.Fatalf("Link: %s, %d, %v", digest, gotSize, err)
		}
		checkLinked(t, d, path, content)
		checkLinked(t, openDir(t, root), path, content)
		if got := files(t, root); len(got) != 1 || got[0] != "links" {
			t.Errorf("files in the store: %q, want the index alone", got)
		}
	}
}

func TestLinkedFileChanges(t *testing.T) {
	for _, size := range []int{100, 2 << 20} {
		before, after := storetest.Content(1, size), storetest.Content(2, size)
		for name, change := range map[string]func(path string) error{
			"rewritten": func(path string) error { return os.WriteFile(path, after, 0o666) },
			"grown":     func(path string) error { return os.WriteFile(path, append(bytes.Clone(before), 0), 0o666) },
			"rewritten with its old time": func(path string) error {
				info, err := os.Stat(path)
				return errors.Join(err, os.WriteFile(path, after, 0o666), os.Chtimes(path, info.ModTime(), info.ModTime()))
			},
			"removed": os.Remove,
			"a folder": func(path string) error {
				return errors.Join(os.Remove(path), os.Mkdir(path, 0o777))
			},
		} {
			t.Run(fmt.Sprint(size, name), func(t *testing.T) {
				root := t.TempDir()
				path := writeFile(t, filepath.Join(t.TempDir(), "f"), before)
				d := openDir(t, root)
				digest := linkFile(t, d, path)
				if err := change(path); err != nil {
					t.Fatal(err)
				}
				checkChanged(t, d, path, digest)
				checkChanged(t, openDir(t, root), path, digest)
			})
		}
	}
}

func TestLinkedFileChangesBack(t *testing.T) {
	d := openDir(t, t.TempDir())
	before, after := []byte("before"), []byte("after!")
	path := writeFile(t, filepath.Join(t.TempDir(), "f"), before)
	digest := linkFile(t, d, path)
	writeFile(t, path, after)
	checkChanged(t, d, path, digest)
	if got := linkFile(t, d, path); got != cache.SumBytes(after) {
		t.Errorf("linked again: %s", got)
	}
	writeFile(t, path, before)
	checkLinked(t, d, path, before)
}

// A touched or moved file is the same content.
func TestLinkedFileTouched(t *testing.T) {
	root, content := t.TempDir(), []byte("content")
	path := writeFile(t, filepath.Join(t.TempDir(), "f"), content)
	digest := linkFile(t, openDir(t, root), path)
	if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	checkLinked(t, openDir(t, root), path, content)
	moved := path + ".moved"
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, root)
	if got := linkFile(t, d, moved); got != digest {
		t.Errorf("moved: %s, want %s", got, digest)
	}
	checkLinked(t, d, moved, content)
}

// Of several files with the same content, the one linked last is read, and
// another where that is gone.
func TestLinkedTwice(t *testing.T) {
	root, folder, content := t.TempDir(), t.TempDir(), []byte("content")
	a := writeFile(t, filepath.Join(folder, "a"), content)
	b := writeFile(t, filepath.Join(folder, "b"), content)
	d := openDir(t, root)
	digest := linkFile(t, d, a)
	linkFile(t, d, b)
	checkLinked(t, d, b, content)
	linkFile(t, d, a)
	checkLinked(t, d, a, content)
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	checkLinked(t, d, b, content)
	checkLinked(t, openDir(t, root), b, content)
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, root)
	if _, err := read(t, d, digest); err == nil || errors.Is(err, cache.ErrMiss) {
		t.Errorf("both gone: %v, want an error that names a file", err)
	}
}

// Content in the store is read there, whatever becomes of a linked file.
func TestStoredContentBeforeLinked(t *testing.T) {
	d := openDir(t, t.TempDir())
	path := writeFile(t, filepath.Join(t.TempDir(), "f"), []byte("content"))
	digest := linkFile(t, d, path)
	put(t, d, []byte("content"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, d, digest); string(got) != "content" || err != nil {
		t.Errorf("Open: %q, %v", got, err)
	}
}

func TestLinkAll(t *testing.T) {
	folder, root := t.TempDir(), t.TempDir()
	var paths []string
	for i := range 500 {
		paths = append(paths, writeFile(t, filepath.Join(folder, fmt.Sprint(i)), storetest.Content(uint64(i), i)))
	}
	for range 2 {
		linked, err := openDir(t, root).LinkAll(t.Context(), paths)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range linked {
			if want := (cache.Linked{Path: paths[i], Digest: cache.SumBytes(storetest.Content(uint64(i), i)), Size: int64(i)}); l != want {
				t.Fatalf("file %d: %v, want %v", i, l, want)
			}
		}
	}
	if none, err := openDir(t, root).LinkAll(t.Context(), nil); len(none) != 0 || err != nil {
		t.Errorf("no files: %v, %v", none, err)
	}
}

func TestLinkErrors(t *testing.T) {
	d, folder := openDir(t, t.TempDir()), t.TempDir()
	for _, path := range []string{filepath.Join(folder, "missing"), folder, os.DevNull} {
		if _, _, err := d.Link(t.Context(), path); err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("Link %s: %v, want an error that names it once", path, err)
		}
	}
	good := writeFile(t, filepath.Join(folder, "good"), []byte("good"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.LinkAll(ctx, []string{good, good}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
