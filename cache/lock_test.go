package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// Who waits for a lock may get that of a file which its holder has just removed:
// it excludes nobody who comes later.
func TestLockOfRemovedFileDoesNotCount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock := flock.New(path)
	if locked, err := lock.TryLock(); !locked || err != nil {
		t.Fatalf("TryLock: %v, %v", locked, err)
	}
	defer lock.Unlock()
	if !isCurrent(lock) {
		t.Error("a lock on the file at its path does not count")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if isCurrent(lock) {
		t.Error("a lock on a removed file counts")
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if isCurrent(lock) {
		t.Error("a lock on a file that another has replaced counts")
	}
}

// held says whether somebody else would have to wait for an action's lock.
func held(t *testing.T, d *Dir, action ActionID) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*lockPoll)
	defer cancel()
	unlock, err := d.Lock(ctx, action)
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	return false
}

// entries counts what is in one of the store's folders.
func entries(t *testing.T, d *Dir, folder string) int {
	t.Helper()
	list, err := d.listed(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestSpareLocks takes locks one after the other, and at once, from files that are used again while a journal is open.
func TestSpareLocks(t *testing.T) {
	dirs := [2]*Dir{}
	root := t.TempDir()
	for k := range dirs {
		var err error
		if dirs[k], err = OpenDir(root); err != nil {
			t.Fatal(err)
		}
	}
	end, err := dirs[0].OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	a, b := NewActionID("a"), NewActionID("b")
	lock := func(action ActionID) func() error {
		t.Helper()
		unlock, err := dirs[0].Lock(t.Context(), action)
		if err != nil {
			t.Fatal(err)
		}
		return unlock
	}
	unlockA := lock(a)
	unlockB := lock(b)
	for _, d := range dirs {
		if !held(t, d, a) || !held(t, d, b) {
			t.Error("what is locked is free")
		}
	}
	if err := unlockA(); err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if held(t, d, a) || !held(t, d, b) {
			t.Error("unlocking one lock did not free it, or freed another")
		}
	}
	unlockA = lock(a)
	if err := errors.Join(unlockB(), unlockB(), unlockA()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := lock(a)(); err != nil {
			t.Fatal(err)
		}
	}
	if n := entries(t, dirs[0], tempFolder); n > 3 {
		t.Errorf("%d files for three locks at a time", n)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if n, m := entries(t, dirs[0], tempFolder), entries(t, dirs[0], locksFolder); n+m > 0 {
		t.Errorf("%d spare files and %d locks are left", n, m)
	}
}

// TestSpareLockRemoved: a spare file whose name was removed, as what is old in tmp is, locks nothing any more.
func TestSpareLockRemoved(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	end, err := d.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	action := NewActionID("a")
	for range 3 {
		unlock, err := d.Lock(t.Context(), action)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.removeOldTemps(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if !held(t, d, action) {
			t.Error("the lock ended with the name of its file")
		}
		if err := errors.Join(unlock(), d.removeOldTemps(time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		if held(t, d, action) {
			t.Error("it is locked still")
		}
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}
