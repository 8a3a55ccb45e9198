package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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
		err := ctx.Err()
		if err == nil {
			unlock, err = d.tryLock(path)
		}
		switch {
		case errors.Is(err, errIsFolder):
			d.setAside(path)
			continue
		case err != nil:
			return nil, fmt.Errorf("locking %s: %w", path, err)
		case unlock != nil:
			return sync.OnceValue(unlock), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockPoll):
		}
	}
}

// tryLock gives nil where the lock is held. Most often nobody holds or held it:
// then a file that is locked already is linked to its place. The file of a
// process that was killed is there and free: it is locked where it is.
func (d *Dir) tryLock(path string) (unlock func() error, err error) {
	spare, err := d.spares.take(d)
	if err != nil {
		return nil, err
	}
	if os.Link(spare.Path(), path) == nil {
		return func() error { return d.spares.release(spare, path) }, nil
	}
	d.spares.put(spare)
	// Opened anew at each try: a file that another had linked here is locked as long as its process lives.
	lock := flock.New(path, flock.SetPermissions(0o666))
	free, err := lock.TryLock()
	if err != nil || !free {
		return nil, errors.Join(err, lock.Close())
	}
	if !isCurrent(lock) {
		return nil, lock.Unlock()
	}
	signLock(path)
	return func() error { return release(lock) }, nil
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
	return errors.Join(removeIfThere(lock.Path()), lock.Unlock())
}

func removeIfThere(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// spareLocks are files in tmp that this process has locked, to be linked to the
// places of locks. A run of small stages takes thousands of locks, a few at a
// time, and some file systems take long to make a file while many were removed
// of late.
type spareLocks struct {
	mu   sync.Mutex
	idle []*flock.Flock
	used int  // that are not idle
	keep bool // the idle ones, though none is used
}

// take gives a file whose mtime is now, for collections: they keep what was put
// since the action began.
func (s *spareLocks) take(d *Dir) (*flock.Flock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.idle) > 0 {
		spare := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		now := time.Now()
		if os.Chtimes(spare.Path(), now, now) == nil {
			s.used++
			return spare, nil
		}
		_ = spare.Unlock() // somebody has removed the file
	}
	spare := flock.New(filepath.Join(d.root, tempFolder, d.tempPrefix()+strconv.FormatInt(d.temps.Add(1), 10)), flock.SetPermissions(0o666))
	if err := spare.Lock(); err != nil {
		return nil, err
	}
	signLock(spare.Path())
	s.used++
	return spare, nil
}

// release removes a lock's link at path. Where that fails, others find it free.
func (s *spareLocks) release(spare *flock.Flock, path string) error {
	if err := removeIfThere(path); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used--
		return errors.Join(err, release(spare))
	}
	s.put(spare)
	return nil
}

func (s *spareLocks) put(spare *flock.Flock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.idle = append(s.idle, spare)
	s.tidy()
}

// keepIdle says whether idle files are kept though none is used.
func (s *spareLocks) keepIdle(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = keep
	s.tidy()
}

// tidy removes the idle files when nobody is going to need them soon. What cannot
// be removed is a day later, as all of tmp. The caller holds s.mu.
func (s *spareLocks) tidy() {
	if s.keep || s.used > 0 {
		return
	}
	for _, spare := range s.idle {
		_ = release(spare)
	}
	s.idle = nil
}
