package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Collect removes garbage, but what was written or put again since it was found,
// and gives the bytes that it freed. Results go before the content that they
// refer to, in the reverse of the order of writes: killed at any point, it leaves
// no record without its content, and the next collection takes the rest.
func (d *Dir) Collect(ctx context.Context, g *Garbage) (int64, error) {
	c := &collector{dir: d, lock: d.sweepLock()}
	for _, step := range []struct {
		what  string
		pile  Pile
		limit time.Time
		take  func(ctx context.Context, path string, limit time.Time) error
	}{
		{"result", g.Results, g.limit, c.file},
		{"recipe", g.Recipes, g.limit, c.file},
		{"a trace", g.Traces, g.since, c.file},
		{"content", g.Blobs, g.limit, c.blob},
		{"partial work", g.Partial, g.since, c.tree},
		{"a damaged entry", g.Quarantine, time.Now(), c.tree},
	} {
		folders := map[string]bool{}
		for _, path := range step.pile.Paths {
			if err := ctx.Err(); err != nil {
				return c.freed, err
			}
			if err := step.take(ctx, path, step.limit); err != nil {
				return c.freed, fmt.Errorf("removing %s: %w", step.what, err)
			}
			folders[filepath.Dir(path)] = true
		}
		// Before what they referred to goes, so that a power cut brings no record back without it.
		for folder := range folders {
			if err := syncFolder(folder); err != nil {
				return c.freed, err
			}
		}
	}
	return c.freed, nil
}

type collector struct {
	dir   *Dir
	lock  *flock.Flock
	freed int64
}

// locked calls remove while nobody makes a file young.
func (c *collector) locked(remove func() error) error {
	if err := c.lock.Lock(); err != nil {
		return fmt.Errorf("locking %s: %w", c.lock.Path(), err)
	}
	return errors.Join(remove(), c.lock.Unlock())
}

func (c *collector) file(_ context.Context, path string, limit time.Time) error {
	return c.locked(func() error { return c.removeOld(path, limit) })
}

// blob removes a blob and then the XXH64 beside it.
func (c *collector) blob(_ context.Context, path string, limit time.Time) error {
	return c.locked(func() error {
		if err := c.removeOld(path, limit); err != nil {
			return err
		}
		if _, err := os.Stat(path); err == nil {
			return nil // young meanwhile
		}
		return c.removeOld(checkPath(path), time.Now())
	})
}

func (c *collector) removeOld(path string, limit time.Time) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.ModTime().Before(limit) {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.freed += info.Size()
	return nil
}

// tree removes a folder or file, moved to tmp first, so that nobody finds half of it.
func (c *collector) tree(ctx context.Context, path string, limit time.Time) error {
	away := filepath.Join(c.dir.root, tempFolder, "collected-"+filepath.Base(path))
	err := c.locked(func() error {
		newest, size, err := measureTree(ctx, path)
		if err != nil || !newest.Before(limit) {
			return err
		}
		if err := os.Rename(path, away); err != nil {
			return skipGone(err)
		}
		c.freed += size
		return nil
	})
	return errors.Join(err, os.RemoveAll(away))
}
