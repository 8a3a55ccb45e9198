package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// refreshAge is the age from which a blob that is put again is made young. It
// is far below gracePeriod, so that what is younger needs no care.
const refreshAge = time.Hour

// sweepLock guards the moment between a collection's last look at a file and
// its removal against whoever makes the file young.
func (d *Dir) sweepLock() *flock.Flock {
	return flock.New(filepath.Join(d.root, "sweep.lock"), flock.SetPermissions(0o666))
}

// keep verifies a blob that is about to be referred to, and makes it young: no
// collection that has begun removes it any more.
func (d *Dir) keep(ctx context.Context, digest Digest) error {
	if err := d.verify(ctx, digest); err != nil {
		return err
	}
	return d.refresh(digest)
}

// refresh makes a blob young. A blob that cannot be, being another user's, is a
// miss: it is written again, as one's own.
func (d *Dir) refresh(digest Digest) error {
	path := d.blobPath(digest)
	state, err := statFile(path)
	if err != nil {
		return d.missing(blobEntry(digest), path, err)
	}
	now := time.Now()
	if now.Sub(time.Unix(0, state.mtime)) < refreshAge {
		return nil
	}
	lock := d.sweepLock()
	if err := lock.RLock(); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Path(), err)
	}
	defer lock.Unlock()
	switch err := stampFile(path, digest.sum, now); {
	case errors.Is(err, os.ErrPermission):
		return &MissError{blobEntry(digest), "another user's"}
	case err != nil:
		return d.missing(blobEntry(digest), path, err)
	}
	d.noteRefresh(digest, state)
	return nil
}

// noteRefresh spares the blob another verification where it was verified before.
func (d *Dir) noteRefresh(digest Digest, before fileState) {
	v, ok := d.verified.Load(digest)
	if !ok || v.(verification).state != before {
		return
	}
	if now, err := statFile(d.blobPath(digest)); err == nil {
		d.verified.Store(digest, verification{now, v.(verification).check})
	}
}
