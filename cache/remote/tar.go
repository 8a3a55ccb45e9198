package remote

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// archive is a Writer in one tar file: a folder remote, packed. It belongs to one
// process while it is open.
type archive struct {
	path string
	file *os.File // nil: nothing was written yet

	mu      sync.Mutex
	objects map[string]*io.SectionReader
	end     int64 // where the next object begins
	grown   bool
}

var _ Writer = (*archive)(nil)

// blockSize is what everything in a tar file is padded to.
const blockSize = 512

// openTar takes the path of a tar file, which the first write makes.
func openTar(_ context.Context, u *url.URL) (Backend, error) {
	a := &archive{path: filepath.FromSlash(u.Path), objects: map[string]*io.SectionReader{}}
	file, err := os.OpenFile(a.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		file, err = os.Open(a.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	a.file = file
	if err := a.index(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, ours := a.objects[markerName]; !ours {
		return nil, errors.Join(fmt.Errorf("%s is a tar file of something else", a.path), file.Close())
	}
	return a, nil
}

// index finds the objects. One that is there twice is the later.
func (a *archive) index() error {
	headers := tar.NewReader(a.file)
	for {
		h, err := headers.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a tar file: %w", err)
		}
		at, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			a.objects[h.Name] = io.NewSectionReader(a.file, at, h.Size)
		}
		a.end = at + (h.Size+blockSize-1)/blockSize*blockSize
	}
}

// Open implements Backend.
func (a *archive) Open(_ context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	object, ok := a.objects[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(io.NewSectionReader(object, offset, object.Size()-offset)), object.Size(), nil
}

// Size implements Backend.
func (a *archive) Size(_ context.Context, name string) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	object, ok := a.objects[name]
	if !ok {
		return 0, fs.ErrNotExist
	}
	return object.Size(), nil
}

// Create implements Writer.
func (a *archive) Create(ctx context.Context, name string, c Content) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.objects[name]; ok {
		return fs.ErrExist
	}
	return a.append(ctx, name, c)
}

// Replace implements Writer.
func (a *archive) Replace(ctx context.Context, name string, c Content) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.append(ctx, name, c)
}

// append writes an object behind the last. Cut short, it is overwritten by the next.
func (a *archive) append(ctx context.Context, name string, c Content) error {
	content, err := c.Open()
	if err != nil {
		return permanent(err)
	}
	defer content.Close()
	if err := a.grow(); err != nil {
		return permanent(err)
	}
	w := tar.NewWriter(io.NewOffsetWriter(a.file, a.end))
	if err := w.WriteHeader(&tar.Header{Name: name, Size: c.Size, Mode: 0o444, Format: tar.FormatPAX}); err != nil {
		return err
	}
	counted := &countingReader{Reader: contextReader{ctx, content}}
	if _, err := io.Copy(w, counted); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return permanent(fmt.Errorf("%d of %d bytes: %w", counted.n, c.Size, err))
	}
	a.objects[name] = io.NewSectionReader(a.file, a.end+blockSize, c.Size)
	a.end += blockSize + (c.Size+blockSize-1)/blockSize*blockSize
	return nil
}

// grow makes the file ready for writing.
func (a *archive) grow() (err error) {
	if a.grown {
		return nil
	}
	if a.file == nil {
		a.file, err = os.OpenFile(a.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	}
	if err == nil {
		err = syscall.Flock(int(a.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		return fmt.Errorf("opening %s for writing: %w", a.path, err)
	}
	a.grown = true
	return nil
}

type countingReader struct {
	io.Reader
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}

// Close writes the end of the file.
func (a *archive) Close() error {
	if a.file == nil {
		return nil
	}
	if !a.grown {
		return a.file.Close()
	}
	_, err := a.file.WriteAt(make([]byte, 2*blockSize), a.end)
	if err == nil {
		err = errors.Join(a.file.Truncate(a.end+2*blockSize), a.file.Sync())
	}
	return errors.Join(err, a.file.Close())
}
