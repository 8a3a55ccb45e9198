package cache

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// journalled is a store into which two results were put through a journal, and its journal's file.
func journalled(t testing.TB) (root, path string, results []*Result) {
	t.Helper()
	if bootID() == "" {
		t.Skip("this system has no journal")
	}
	root = filepath.Join(t.TempDir(), "store")
	dir := mustOpen(t, root)
	end, err := dir.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	results = make([]*Result, 8)
	for k := range results {
		group.Go(func() { results[k] = putOne(t, dir, k) })
	}
	group.Wait()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(root, journalFolder, "*"+journalSuffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("journals: %v, %v", found, err)
	}
	return root, found[0], results
}

func mustOpen(t testing.TB, root string) *Dir {
	t.Helper()
	dir, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// putOne puts content and a result that names it.
func putOne(t testing.TB, dir *Dir, k int) *Result {
	key := fmt.Sprintf("key %d\n", k)
	d, size, err := dir.Put(t.Context(), strings.NewReader("content of "+key))
	if err == nil {
		d, err = dir.PutManifest(t.Context(), Manifest{Files: []File{{Name: "f", Digest: d, Size: size}}})
	}
	r := &Result{Key: key, Action: NewActionID(key), Outputs: map[string]Digest{"": d}}
	if err == nil {
		err = dir.PutResult(t.Context(), r)
	}
	if err != nil {
		t.Error(err)
	}
	return r
}

// powerCut makes the journal one of an earlier start of the machine, and damages what was not waited for.
func powerCut(t *testing.T, root, journal string, damage func(path string) error) {
	t.Helper()
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte(bootID()), []byte("another start"), 1)
	if err := os.WriteFile(journal, content, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{blobsFolder, resultsFolder} {
		found, err := filepath.Glob(filepath.Join(root, kind, "*", "*"))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", kind, found, err)
		}
		for _, path := range found {
			if err := errors.Join(os.Chmod(path, 0o666), damage(path)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestPowerCut: what was waited for comes back from the journal.
func TestPowerCut(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"names lost":    os.Remove,
		"lengths lost":  func(path string) error { return os.Truncate(path, 0) },
		"content lost":  func(path string) error { return os.WriteFile(path, make([]byte, 40), 0o666) },
		"nothing lost":  func(string) error { return nil },
		"folders taken": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o777)) },
	} {
		t.Run(name, func(t *testing.T) {
			root, journal, results := journalled(t)
			powerCut(t, root, journal, damage)
			dir := mustOpen(t, root)
			for _, want := range results {
				r, err := dir.Result(t.Context(), want.Action)
				if err != nil {
					t.Fatal(err)
				}
				m, err := dir.Manifest(t.Context(), r.Outputs[""])
				if err == nil {
					err = dir.Intact(t.Context(), m.Files[0].Digest, m.Files[0].Size)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the journal stays: %v", err)
			}
		})
	}
}

// TestTornJournal cuts and flips a journal everywhere: what it still holds whole comes back, nothing else does.
func TestTornJournal(t *testing.T) {
	root, path, results := journalled(t)
	powerCut(t, root, path, os.Remove)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n <= len(whole); n += 1 + len(whole)/29 {
		for name, content := range map[string][]byte{"cut": whole[:n], "flipped": flip(whole, n)} {
			root := filepath.Join(t.TempDir(), "store")
			mustOpen(t, root)
			if err := os.WriteFile(filepath.Join(root, journalFolder, "x"+journalSuffix), content, 0o666); err != nil {
				t.Fatal(err)
			}
			dir := mustOpen(t, root)
			for _, want := range results {
				r, err := dir.Result(t.Context(), want.Action)
				if err == nil && r.Key != want.Key || err != nil && !errors.Is(err, ErrMiss) {
					t.Fatalf("%s at %d: %+v, %v", name, n, r, err)
				}
			}
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func flip(content []byte, n int) []byte {
	out := bytes.Clone(content)
	if n < len(out) {
		out[n] ^= 1 << (n % 8)
	}
	return out
}

// TestJournalOfTheLiving: nobody replays or removes a journal that is written to.
func TestJournalOfTheLiving(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	dir := mustOpen(t, root)
	end, err := dir.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	putOne(t, dir, 1)
	again, err := dir.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(again(), again()); err != nil { // the second call does nothing
		t.Fatal(err)
	}
	for _, path := range journals(t, root) {
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	before := len(journals(t, root))
	other := mustOpen(t, root)
	endOther, err := other.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(journals(t, root)); bootID() != "" && got != before+1 {
		t.Errorf("%d journals: want %d", got, before+1)
	}
	putOne(t, dir, 2)
	if err := errors.Join(end(), endOther()); err != nil {
		t.Fatal(err)
	}
	for _, path := range journals(t, root) {
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if end, err = other.OpenJournal(); err != nil {
		t.Fatal(err)
	}
	if got := len(journals(t, root)); bootID() != "" && got != 1 {
		t.Errorf("%d journals after the old ones ended: want 1", got)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

func journals(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, journalFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// FuzzJournal replays arbitrary frames: whatever they say, an entry of the store is what its name says.
func FuzzJournal(f *testing.F) {
	if runtime.GOOS != "linux" {
		f.Skip("no journal")
	}
	_, path, results := journalled(f)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	_, frames, _ := bytes.Cut(whole, []byte("\n"))
	f.Add(frames)
	for path, content := range journaled(frames) { // frames whose checksums are right and whose names are not
		j := &journal{}
		j.append("../../"+path, content)
		j.append(path, append(bytes.Clone(content), 'x'))
		f.Add(bytes.Clone(j.buffer))
	}
	f.Fuzz(func(t *testing.T, frames []byte) {
		root := filepath.Join(t.TempDir(), "store")
		dir := mustOpen(t, root)
		for path, content := range journaled(frames) {
			if err := dir.restore(path, content); err != nil {
				t.Skip(err) // a name that no file can have
			}
		}
		found, err := filepath.Glob(filepath.Join(root, blobsFolder, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			content, err := os.ReadFile(path)
			if s, ok := entrySum(path); err != nil || !ok || SumBytes(content).sum != s {
				t.Errorf("%s holds %q, %v", path, content, err)
			}
		}
		for _, want := range results {
			if r, err := dir.Result(t.Context(), want.Action); err == nil && r.Key != want.Key {
				t.Errorf("%s gives %+v", want.Action, r)
			}
		}
		if outside, _ := filepath.Glob(filepath.Join(filepath.Dir(root), "*")); len(outside) != 1 {
			t.Errorf("it wrote outside the store: %v", outside)
		}
	})
}
