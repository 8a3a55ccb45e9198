package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// gracePeriod is the age below which a collection takes nothing: a process may
// be about to refer to it.
const gracePeriod = 24 * time.Hour

// Keep says what a collection leaves beside what is younger than a day.
type Keep struct {
	Actions map[ActionID]bool // results, with their content
	Since   time.Time         // results, partial work and damaged entries from then on
}

// A Pile is files of one kind that a collection would remove.
type Pile struct {
	Paths []string
	Bytes int64
}

func (p *Pile) add(path string, size int64) {
	p.Paths = append(p.Paths, path)
	p.Bytes += size
}

// Garbage is what a collection would remove.
type Garbage struct {
	Results, Recipes, Traces, Blobs, Partial, Quarantine Pile
	KeptResults                                          int
	KeptBlobs                                            int
	KeptBytes                                            int64 // of blobs

	limit time.Time // of results, recipes and blobs: nothing younger goes
	since time.Time // of traces, partial work and quarantine
}

// Bytes is what removing all of it frees.
func (g *Garbage) Bytes() int64 {
	return g.Results.Bytes + g.Recipes.Bytes + g.Traces.Bytes + g.Blobs.Bytes + g.Partial.Bytes + g.Quarantine.Bytes
}

// FindGarbage finds what nothing in keep needs. It removes nothing.
func (d *Dir) FindGarbage(ctx context.Context, keep Keep) (*Garbage, error) {
	limit, err := d.graceLimit(time.Now())
	if err != nil {
		return nil, fmt.Errorf("looking for garbage: %w", err)
	}
	g := &Garbage{limit: limit, since: limit}
	if !keep.Since.IsZero() && keep.Since.Before(limit) {
		g.since = keep.Since
	}
	m := &marker{dir: d, keep: keep, garbage: g, actions: map[ActionID]bool{}, content: map[Digest]bool{}}
	for _, step := range []func(context.Context) error{m.results, m.recipes, m.traces, m.blobs, m.partial, m.quarantine} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("looking for garbage: %w", err)
		}
	}
	return g, nil
}

// graceLimit is a day ago, or when the longest of the running actions began:
// what it has put since then, no record refers to yet.
func (d *Dir) graceLimit(now time.Time) (time.Time, error) {
	limit := now.Add(-gracePeriod)
	entries, err := d.listed(locksFolder)
	if err != nil {
		return limit, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.ModTime().After(limit) {
			continue
		}
		lock := flock.New(filepath.Join(d.root, locksFolder, e.Name()), flock.SetFlag(os.O_RDONLY))
		if free, err := lock.TryLock(); err != nil || free {
			_ = lock.Unlock() // its file is closed with it
			continue
		}
		limit = info.ModTime()
	}
	return limit, nil
}

// A marker marks what is kept, and piles up the rest.
type marker struct {
	dir     *Dir
	keep    Keep
	garbage *Garbage
	actions map[ActionID]bool // whose results stay
	content map[Digest]bool   // that these results need
}

func (m *marker) results(ctx context.Context) error {
	for r, err := range m.dir.Results(ctx) {
		if err != nil {
			return err
		}
		path := m.dir.entryPath(resultsFolder, r.Action.sum)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !m.keep.Actions[r.Action] && info.ModTime().Before(m.garbage.since) {
			m.garbage.Results.add(path, info.Size())
			continue
		}
		m.garbage.KeptResults++
		m.actions[r.Action] = true
		if err := m.mark(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// mark marks what r refers to. A manifest that is not there, or damaged, names
// nothing: the result is made again when it is needed.
func (m *marker) mark(ctx context.Context, r *Result) error {
	m.content[r.Log] = true
	for _, digest := range r.Outputs {
		if m.content[digest] {
			continue
		}
		m.content[digest] = true
		manifest, err := m.dir.Manifest(ctx, digest)
		if err != nil && !errors.Is(err, ErrMiss) && !isLinkError(err) {
			return err
		}
		for _, f := range manifest.Files {
			m.content[f.Digest] = true
		}
	}
	return nil
}

func isLinkError(err error) bool {
	var gone *LinkError
	return errors.As(err, &gone)
}

func (m *marker) recipes(ctx context.Context) error {
	return m.dir.eachEntry(ctx, recipesFolder, func(s sum, _, path string, info fs.FileInfo) error {
		action, err := m.dir.Recipe(ctx, RecipeID{s})
		if err != nil {
			return ignoreMiss(err)
		}
		if !m.actions[action] && info.ModTime().Before(m.garbage.limit) {
			m.garbage.Recipes.add(path, info.Size())
		}
		return nil
	})
}

// traces go by their age: they are made again in no time.
func (m *marker) traces(ctx context.Context) error {
	return m.dir.eachEntry(ctx, tracesFolder, func(_ sum, _, path string, info fs.FileInfo) error {
		if info.ModTime().Before(m.garbage.since) {
			m.garbage.Traces.add(path, info.Size())
		}
		return nil
	})
}

func ignoreMiss(err error) error {
	if errors.Is(err, ErrMiss) {
		return nil
	}
	return err
}

func (m *marker) blobs(ctx context.Context) error {
	return m.dir.eachEntry(ctx, blobsFolder, func(s sum, suffix, path string, info fs.FileInfo) error {
		switch {
		case m.content[Digest{s}] || !info.ModTime().Before(m.garbage.limit):
			m.garbage.KeptBytes += info.Size()
			if suffix == "" {
				m.garbage.KeptBlobs++
			}
		case suffix == "":
			m.garbage.Blobs.add(path, info.Size())
		default:
			if _, err := os.Stat(strings.TrimSuffix(path, suffix)); errors.Is(err, fs.ErrNotExist) {
				m.garbage.Blobs.add(path, info.Size()) // else it goes with its blob
			}
		}
		return nil
	})
}

// eachEntry calls each for the entries below one of the store's folders. Files
// that are not named as entries are left alone; suffix is what follows the name.
func (d *Dir) eachEntry(ctx context.Context, folder string, each func(s sum, suffix, path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(filepath.Join(d.root, folder), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, suffix, dotted := strings.Cut(entry.Name(), ".")
		if dotted {
			suffix = "." + suffix
		}
		var s sum
		if s.UnmarshalText([]byte(digestPrefix+filepath.Base(filepath.Dir(path))+name)) != nil {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return each(s, suffix, path, info)
	})
}

func (m *marker) partial(ctx context.Context) error {
	return m.folder(ctx, partialFolder, &m.garbage.Partial, func(_ string, newest time.Time) time.Time { return newest })
}

// quarantine goes by when an entry was set aside, which its name tells.
func (m *marker) quarantine(ctx context.Context) error {
	return m.folder(ctx, quarantineFolder, &m.garbage.Quarantine, func(name string, newest time.Time) time.Time {
		_, stamp, _ := strings.Cut(name, ".")
		if at := strings.LastIndex(stamp, "."); at > 0 {
			stamp = stamp[max(strings.LastIndex(stamp[:at], ".")+1, 0):]
		}
		if at, err := time.Parse(asideLayout, stamp); err == nil {
			return at
		}
		return newest
	})
}

// folder piles up what stands in one of the store's folders since before the
// limit; age gives the time that counts, from a name and the newest file there.
func (m *marker) folder(ctx context.Context, folder string, pile *Pile, age func(name string, newest time.Time) time.Time) error {
	entries, err := m.dir.listed(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(m.dir.root, folder, e.Name())
		newest, size, err := measureTree(ctx, path)
		if err != nil {
			return err
		}
		if age(e.Name(), newest).Before(m.garbage.since) {
			pile.add(path, size)
		}
	}
	return nil
}

// measureTree gives the newest time and the total size of what is at path.
func measureTree(ctx context.Context, path string) (newest time.Time, size int64, err error) {
	err = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return skipGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return skipGone(err)
		}
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	return newest, size, err
}

func skipGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
