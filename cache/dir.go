package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Dir is the Store in a local folder, shared by any number of processes. Its
// layout and order of writes are in docs/cache.md.
type Dir struct {
	root     string
	links    linkIndex
	verified sync.Map // Digest → verification, of blobs that this process checked

	tempOnce sync.Once
	tempName string
	temps    atomic.Int64 // temporary files so far
	spares   spareLocks

	journalMu    sync.Mutex
	journal      *journal // nil: none is open
	journalUsers int
	upstream     Upstream // nil: none
}

var _ Store = (*Dir)(nil)

// The folders of a store.
const (
	blobsFolder      = "blobs"
	resultsFolder    = "results"
	recipesFolder    = "recipes"
	tracesFolder     = "traces"
	journalFolder    = "journal"
	locksFolder      = "locks"
	partialFolder    = "partial"
	tempFolder       = "tmp"
	quarantineFolder = "quarantine"
)

// tempLifetime is the age at which a temporary file is taken for a killed
// process's. A living one writes to its file far more often than daily.
const tempLifetime = 24 * time.Hour

// asideLayout is the time in the name of a file that was set aside.
const asideLayout = "20060102T150405.000000000"

// DefaultPath is $REGFT_CACHE, else the folder regft in the user's cache folder.
func DefaultPath() (string, error) {
	if path := os.Getenv("REGFT_CACHE"); path != "" {
		return path, nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w; set REGFT_CACHE", err)
	}
	return filepath.Join(folder, "regft"), nil
}

// OpenDir opens the store in the folder path, making it where there is none,
// and removes temporary files that killed processes left more than a day ago.
func OpenDir(path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	d := &Dir{root: root}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	for _, folder := range []string{quarantineFolder, tempFolder, blobsFolder, resultsFolder, recipesFolder, tracesFolder, journalFolder, locksFolder, partialFolder} {
		if err := d.makeFolder(filepath.Join(root, folder)); err != nil {
			return nil, fmt.Errorf("opening the cache: %w", err)
		}
	}
	if err := d.removeOldTemps(time.Now().Add(-tempLifetime)); err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	if err := d.replayJournals(); err != nil {
		return nil, fmt.Errorf("opening the cache: after a power cut: %w", err)
	}
	return d, nil
}

// Root is the store's folder, as an absolute path.
func (d *Dir) Root() string { return d.root }

// Partial gives the folder for partial work under key, such as a checkpoint that
// a killed stage goes on from. It is made if need be, and stays until
// RemovePartial. Callers hold the action's lock.
func (d *Dir) Partial(key string) (string, error) {
	path := d.partialPath(key)
	lock := d.sweepLock()
	if err := lock.RLock(); err != nil {
		return "", fmt.Errorf("making a folder for partial work: %w", err)
	}
	defer lock.Unlock()
	if err := d.makeFolder(path); err != nil {
		return "", fmt.Errorf("making a folder for partial work: %w", err)
	}
	now := time.Now() // a collection that has begun leaves it
	if err := os.Chtimes(path, now, now); err != nil {
		return "", fmt.Errorf("making a folder for partial work: %w", err)
	}
	return path, nil
}

// RemovePartial removes the folder of Partial, if there is one.
func (d *Dir) RemovePartial(key string) error {
	if err := os.RemoveAll(d.partialPath(key)); err != nil {
		return fmt.Errorf("removing partial work: %w", err)
	}
	return nil
}

func (d *Dir) partialPath(key string) string {
	return filepath.Join(d.root, partialFolder, NewActionID(key).hex())
}

// entryPath spreads entries over 256 folders by their first two digits.
func (d *Dir) entryPath(folder string, s sum) string {
	name := s.hex()
	return filepath.Join(d.root, folder, name[:2], name[2:])
}

// makeFolder makes a folder, durably. What stands in its place is set aside.
func (d *Dir) makeFolder(path string) error {
	err := os.Mkdir(path, 0o777)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return nil
		}
		d.setAside(path)
		err = os.Mkdir(path, 0o777)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// setAside moves a malformed entry to the quarantine, for whoever wants to know
// what happened to it. Where that fails the entry stays a miss all the same, so
// the error has no consequence.
func (d *Dir) setAside(path string) {
	name := filepath.Base(filepath.Dir(path)) + "-" + filepath.Base(path) + "." + time.Now().UTC().Format(asideLayout)
	_ = os.Rename(path, filepath.Join(d.root, quarantineFolder, name))
}

// removeOldTemps removes temporary files last written before limit.
func (d *Dir) removeOldTemps(limit time.Time) error {
	folder := filepath.Join(d.root, tempFolder)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.ModTime().After(limit) {
			continue // gone meanwhile, or somebody's work
		}
		if err := os.RemoveAll(filepath.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// missing turns the error of opening or reading an entry's file into a miss,
// unless it says that the store cannot be read.
func (d *Dir) missing(entry, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotFolder):
		return &MissError{entry, "absent"}
	case errors.Is(err, errIsFolder):
		return d.damaged(entry, path, "a folder is in its place")
	}
	return fmt.Errorf("looking up %s: %w", entry, err)
}

// damaged sets the entry's file aside and gives the miss.
func (d *Dir) damaged(entry, path, reason string) error {
	d.setAside(path)
	return &MissError{entry, reason + " (set aside from " + path + ")"}
}

// contextReader stops reading when ctx ends.
type contextReader struct {
	ctx    context.Context
	reader interface{ Read([]byte) (int, error) }
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.reader.Read(p)
}
