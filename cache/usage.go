package cache

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
)

// A Usage is what a part of the store takes.
type Usage struct {
	Part  string // a folder of docs/cache.md
	Files int
	Bytes int64
}

// Usage measures the parts of the store.
func (d *Dir) Usage(ctx context.Context) ([]Usage, error) {
	var out []Usage
	for _, part := range []string{blobsFolder, resultsFolder, recipesFolder, tracesFolder, journalFolder, partialFolder, tempFolder, quarantineFolder} {
		u := Usage{Part: part}
		err := filepath.WalkDir(filepath.Join(d.root, part), func(_ string, entry fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || entry.IsDir() {
				return skipGone(err)
			}
			info, err := entry.Info()
			if err != nil {
				return skipGone(err)
			}
			u.Files++
			u.Bytes += info.Size()
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("measuring the cache: %w", err)
		}
		out = append(out, u)
	}
	return out, nil
}
