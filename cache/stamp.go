package cache

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// stamp is what the nanoseconds of an entry's mtime are made of: its name. Any
// write to the file replaces them, but for one case in a billion, so that a stat
// tells whether the content is still what the name promises.
func (s sum) stamp() int { return int(binary.BigEndian.Uint32(s.bytes[:4]) % uint32(time.Second)) }

// stampFile gives the file of entry s the time at, to the second, and its stamp.
func stampFile(path string, s sum, at time.Time) error {
	stamped := time.Unix(at.Unix(), int64(s.stamp()))
	return os.Chtimes(path, stamped, stamped)
}

// stamped says that a file in that state has not been written to since it became
// entry s.
func (s fileState) stamped(as sum) bool { return int(s.mtime%int64(time.Second)) == as.stamp() }

// entrySum reads the name of an entry off its path.
func entrySum(path string) (sum, bool) {
	name := filepath.Base(filepath.Dir(path)) + filepath.Base(path)
	var s sum
	n, err := hex.Decode(s.bytes[:], []byte(name[:min(len(name), hex.EncodedLen(len(s.bytes)))]))
	return s, err == nil && n == len(s.bytes) && len(name) == hex.EncodedLen(n)
}

// Intact tells whether content of that size is there, as it was put. Only where
// its stat does not say so is it read: what is damaged is set aside, and a miss.
// Content of linked files is not looked at: it is checked when it is read.
func (d *Dir) Intact(ctx context.Context, digest Digest, size int64) error {
	path := d.blobPath(digest)
	state, err := statFile(path)
	if err == nil && state.stamped(digest.sum) && state.size == size {
		return ctx.Err()
	}
	if err != nil {
		err := d.missing(blobEntry(digest), path, err)
		if errors.Is(err, ErrMiss) && d.isLinked(digest) {
			return ctx.Err()
		}
		return err
	}
	if _, err := d.checkBlob(ctx, digest, state.size); err != nil {
		return err
	}
	// Of an older version, or restored from a copy. Without it, the blob is read again next time.
	_ = stampFile(path, digest.sum, time.Unix(0, state.mtime))
	return nil
}

// isLinked says that a file of the user's had the content when it was last seen.
func (d *Dir) isLinked(digest Digest) bool {
	if d.loadLinks() != nil {
		return false // as good as none
	}
	_, ok := d.links.lastPath(digest)
	return ok
}
