package cache

import (
	"os"
	"path/filepath"
	"strconv"
)

// ShareFile makes path, a file of partial work that was put as digest, another
// name of the stored file, so that it takes no room of its own. It must be
// replaced, never written to. Where links are not to be had, it stays a copy.
func (d *Dir) ShareFile(path string, digest Digest) {
	stored, err := os.Stat(d.blobPath(digest))
	if err != nil {
		return // of a linked file there is no blob
	}
	if there, err := os.Stat(path); err != nil || os.SameFile(stored, there) {
		return
	}
	temp := filepath.Join(d.root, tempFolder, d.tempPrefix()+strconv.FormatInt(d.temps.Add(1), 10))
	if os.Link(d.blobPath(digest), temp) == nil && os.Rename(temp, path) != nil {
		_ = os.Remove(temp) // collections remove it otherwise
	}
}
