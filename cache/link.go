package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Linked is a file of the user whose content the store knows without a copy.
type Linked struct {
	Path   string // as given
	Digest Digest
	Size   int64 // bytes
}

// LinkError says that a linked file no longer has the content it was linked for.
type LinkError struct {
	Path   string
	Digest Digest
	Err    error // nil where the file is there with other content
}

// Error names the file.
func (e *LinkError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("reading %s (%s): %v", e.Path, e.Digest, e.Err)
	}
	return fmt.Sprintf("%s has changed: it no longer holds %s", e.Path, e.Digest)
}

// Unwrap gives the cause.
func (e *LinkError) Unwrap() error { return e.Err }

// Link gives a file's digest and size, and remembers where that content is:
// Open, Path and Has find it there, checked, as long as the file keeps it. A file
// that was linked before and whose stat is the same is not read.
func (d *Dir) Link(ctx context.Context, path string) (Digest, int64, error) {
	files, err := d.LinkAll(ctx, []string{path})
	if err != nil {
		return Digest{}, 0, err
	}
	return files[0].Digest, files[0].Size, nil
}

// LinkAll links many files, several at a time, and gives them in the order of
// paths. Of content that is at several paths, the one linked last is read.
func (d *Dir) LinkAll(ctx context.Context, paths []string) ([]Linked, error) {
	if err := d.loadLinks(); err != nil {
		return nil, err
	}
	files, found := make([]Linked, len(paths)), make([]link, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(len(paths), runtime.GOMAXPROCS(0)) {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(paths)); i = next.Add(1) - 1 {
				l, err := d.links.find(ctx, paths[i])
				if err != nil {
					return fmt.Errorf("reading %s: %w", paths[i], pathless(err))
				}
				found[i] = l
				files[i] = Linked{paths[i], l.digest, l.state.size}
			}
			return nil
		})
	}
	err := group.Wait()
	// What was hashed before an error or a ^C need not be hashed again.
	if recordErr := d.recordLinks(found); err == nil {
		err = recordErr
	}
	if err != nil {
		return nil, err
	}
	return files, nil
}

// pathless drops the path from a file's error, where the caller says it.
func pathless(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// linkedPath gives a linked file that has the content now.
func (d *Dir) linkedPath(ctx context.Context, digest Digest) (string, error) {
	var found string
	err := d.eachLinked(digest, func(path string) error {
		l, err := d.links.find(ctx, path)
		if err != nil {
			return &LinkError{path, digest, pathless(err)}
		}
		// Without the record, the file is read once more next time.
		_ = d.recordLinks([]link{l})
		if l.digest != digest {
			return &LinkError{Path: path, Digest: digest}
		}
		found = path
		return nil
	})
	return found, err
}

// openLinked opens a linked file. Small ones are checked before they are given;
// of others, what is read is checked at its end.
func (d *Dir) openLinked(ctx context.Context, digest Digest) (io.ReadCloser, int64, error) {
	var content io.ReadCloser
	var size int64
	err := d.eachLinked(digest, func(path string) (err error) {
		content, size, err = openLinkedFile(ctx, path, digest)
		return err
	})
	return content, size, err
}

func openLinkedFile(ctx context.Context, path string, digest Digest) (io.ReadCloser, int64, error) {
	changed := &LinkError{Path: path, Digest: digest}
	f, size, err := openSized(path)
	if err != nil {
		return nil, 0, &LinkError{path, digest, pathless(err)}
	}
	if size >= checkSize {
		return &checkedReader{file: f, ctx: ctx, hash: NewHasher().hash, want: digest.bytes[:],
			mismatch: func() error { return changed }}, size, nil
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, 0, &LinkError{path, digest, pathless(err)}
	}
	if SumBytes(content) != digest {
		return nil, 0, changed
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

// eachLinked calls use with the paths that digest was seen at until it succeeds,
// the last one first. The error is the first path's.
func (d *Dir) eachLinked(digest Digest, use func(path string) error) error {
	if err := d.loadLinks(); err != nil {
		return err
	}
	last, ok := d.links.lastPath(digest)
	if !ok {
		return &MissError{blobEntry(digest), "absent"}
	}
	err := use(last)
	if err == nil {
		return nil
	}
	for _, path := range d.links.otherPaths(digest, last) {
		if use(path) == nil {
			return nil
		}
	}
	return err
}

// find gives the link of a file as it is now, from memory if its state is the
// same and tells enough, else by reading the file.
func (x *linkIndex) find(ctx context.Context, path string) (link, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return link{}, err
	}
	state, err := statFile(path)
	if err != nil {
		return link{}, err
	}
	if known, ok := x.get(path); ok && known.state == state && !known.racy() {
		return known, ctx.Err()
	}
	return readLink(ctx, path)
}

// readLink hashes a file that holds still meanwhile.
func readLink(ctx context.Context, path string) (link, error) {
	for range 3 {
		recorded := time.Now().UnixNano()
		before, err := statFile(path)
		if err != nil {
			return link{}, err
		}
		hasher := NewHasher()
		if err := hashFile(ctx, path, hasher); err != nil {
			return link{}, err
		}
		after, err := statFile(path)
		if err != nil {
			return link{}, err
		}
		if before == after {
			return link{path, hasher.Sum(), before, recorded}, nil
		}
	}
	return link{}, errors.New("it is being written to")
}
