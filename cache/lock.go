package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is the time between two tries to get a lock that is held.
const lockPoll = 20 * time.Millisecond

// Lock locks an action among all processes and goroutines that use the folder.
// The kernel ends it with the process. Calling unlock again does nothing.
func (d *Dir) Lock(ctx context.Context, action ActionID) (unlock func() error, err error) {
	path := filepath.Join(d.root, locksFolder, action.hex())
	for {
		lock := flock.New(path, flock.SetPermissions(0o666))
		_, err := lock.TryLockContext(ctx, lockPoll)
		if errors.Is(err, errIsFolder) {
			d.setAside(path)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !isCurrent(lock) {
			lock.Unlock()
			continue
		}
		return sync.OnceValue(func() error { return release(lock) }), nil
	}
}

// isCurrent tells whether the locked file is still the one at its path: who held
// the lock before removed it on release.
func isCurrent(lock *flock.Flock) bool {
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(locked, there)
}

// release removes the file while it is still locked, so that there are as many
// lock files as locks, then unlocks it.
func release(lock *flock.Flock) error {
	err := os.Remove(lock.Path())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, lock.Unlock())
}
