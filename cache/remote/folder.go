package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"regft/cache"
)

// folder is a Writer in a folder that several machines see.
type folder struct{ root string }

var _ Writer = folder{}

// tempFolder holds files while they are written.
const tempFolder = "tmp"

// openFolder takes file:///PATH, and any path.
func openFolder(_ context.Context, u *url.URL) (Backend, error) {
	if u.Host != "" {
		return nil, fmt.Errorf("want file:///PATH: %q would be a host", u.Host)
	}
	root, err := filepath.Abs(filepath.FromSlash(u.Path))
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("it is a file: want a folder, or a file called ….tar")
	}
	return folder{root}, nil
}

func (f folder) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

// Open implements Backend.
func (f folder) Open(_ context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, 0, lasting(err)
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// Size implements Backend.
func (f folder) Size(_ context.Context, name string) (int64, error) {
	info, err := os.Stat(f.path(name))
	if err != nil {
		return 0, lasting(err)
	}
	return info.Size(), nil
}

// Create implements Writer: a link to a whole file fails where there is one.
func (f folder) Create(ctx context.Context, name string, c Content) error {
	return f.publish(ctx, name, c, func(temp, path string) error {
		err := os.Link(temp, path)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w (a shared folder needs hard links, so that nobody overwrites)", err)
		}
		return err
	})
}

// Replace implements Writer.
func (f folder) Replace(ctx context.Context, name string, c Content) error {
	return f.publish(ctx, name, c, os.Rename)
}

// publish writes a file in tmp, checked and synced, and moves it to its name.
func (f folder) publish(ctx context.Context, name string, c Content, move func(temp, path string) error) error {
	path := f.path(name)
	for _, dir := range []string{filepath.Join(f.root, tempFolder), filepath.Dir(path)} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return lasting(err)
		}
	}
	temp, err := os.CreateTemp(filepath.Join(f.root, tempFolder), "*")
	if err != nil {
		return lasting(err)
	}
	defer os.Remove(temp.Name())
	if err := errors.Join(fill(ctx, temp, c), temp.Close()); err != nil {
		return err
	}
	if err := move(temp.Name(), path); err != nil {
		return lasting(err)
	}
	return syncFolder(filepath.Dir(path))
}

// fill writes c to f, durably, and checks it on the way.
func fill(ctx context.Context, f *os.File, c Content) error {
	content, err := c.Open()
	if err != nil {
		return permanent(err)
	}
	defer content.Close()
	hasher := cache.NewHasher()
	if _, err := copyTo(ctx, hasher, content, f); err != nil {
		return err
	}
	if got := hasher.Sum(); got != c.Digest {
		return permanent(&cache.MismatchError{Want: c.Digest, Got: got})
	}
	return errors.Join(f.Chmod(0o444), f.Sync())
}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// lasting marks errors of a file system that another attempt does not mend.
func lasting(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		return permanent(err)
	}
	return err
}

// Close implements Backend.
func (folder) Close() error { return nil }

// copyTo writes content to hasher and others, until ctx ends.
func copyTo(ctx context.Context, hasher *cache.Hasher, content io.Reader, others ...io.Writer) (int64, error) {
	return io.Copy(io.MultiWriter(append(others, hasher)...), contextReader{ctx, content})
}

// contextReader stops reading when ctx ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
