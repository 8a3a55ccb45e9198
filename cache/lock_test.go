package cache

import (
	"os"
	"path/filepath"
	"testing"

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
