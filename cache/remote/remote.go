// Package remote shares a cache with others: on S3-compatible storage, in a
// shared folder, over read-only HTTP, or as one tar file.
//
// A remote holds the same entries as a store (package cache), under the same
// names: blobs, results, recipes. What arrives is checked by its digest, and a
// record is written only after all content that it names.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"regft/cache"
)

// A Backend keeps objects by name. An object that is not there is
// fs.ErrNotExist. Errors that trying again would not mend are made by permanent;
// all others are tried again.
type Backend interface {
	// Open gives an object's bytes from offset on, and its whole size. The
	// context ends the reading too.
	Open(ctx context.Context, name string, offset int64) (io.ReadCloser, int64, error)
	// Size gives an object's size in bytes.
	Size(ctx context.Context, name string) (int64, error)
	Close() error
}

// A Writer is a Backend that takes objects. Readers see each whole or not at all.
type Writer interface {
	Backend
	// Create makes an object; one that is there stays, and is fs.ErrExist.
	Create(ctx context.Context, name string, c Content) error
	// Replace makes an object in place of what is there.
	Replace(ctx context.Context, name string, c Content) error
}

// A File is content that may be read in parts, several at a time.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Content is what becomes an object.
type Content struct {
	Size   int64
	Digest cache.Digest
	Open   func() (File, error)
}

// Options say how a remote is used.
type Options struct {
	ReadOnly bool
	Retry    Retry               // zero: DefaultRetry
	Waiting  func(failure error) // called once, when a request has failed several times and is still tried; nil: nobody hears
}

// A Remote is an open remote. It may be used by many goroutines.
type Remote struct {
	url     string // without secrets
	backend Backend
	retry   Retry
	waiting func(failure error) // once; never nil
	slots   chan struct{}       // one for each request that may be under way
	broken  sync.Map            // Digest → true: content that did not arrive as it should be
}

// requestsAtOnce bounds the requests that are under way at a time.
const requestsAtOnce = 32

// schemes open the backends. A URL without a scheme is a folder's path.
var schemes = map[string]func(ctx context.Context, u *url.URL) (Backend, error){
	"s3":    openS3,
	"file":  openFolder,
	"http":  openHTTP,
	"https": openHTTP,
	"tar":   openTar,
}

// ErrUnavailable is an error of a remote that cannot be used at all.
var ErrUnavailable = errors.New("the remote cannot be used")

// Open opens the remote at an address: s3://BUCKET/PREFIX, http(s)://…, the path
// of a folder (or file:///…), or that of a tar file (FILE.tar). To be written to,
// it must refuse to overwrite what is there, which is tried out. The error is
// ErrUnavailable.
func Open(ctx context.Context, address string, o Options) (*Remote, error) {
	u, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if o.Retry == (Retry{}) {
		o.Retry = DefaultRetry
	}
	backend, err := schemes[u.Scheme](ctx, u)
	if err != nil {
		return nil, fmt.Errorf("%w: opening %s: %w", ErrUnavailable, display(u), err)
	}
	r := newRemote(display(u), backend, o.Retry)
	if o.Waiting != nil {
		var once sync.Once
		r.waiting = func(failure error) { once.Do(func() { o.Waiting(failure) }) }
	}
	if _, ok := backend.(Writer); !ok || o.ReadOnly {
		r.backend = readOnly{backend}
		err = r.checkMarker(ctx)
	} else {
		err = r.probe(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), backend.Close())
	}
	return r, nil
}

func newRemote(url string, b Backend, retry Retry) *Remote {
	return &Remote{url: url, backend: b, retry: retry, waiting: func(error) {}, slots: make(chan struct{}, requestsAtOnce)}
}

// parse reads an address, of which paths are the short form.
func parse(address string) (*url.URL, error) {
	scheme, _, ok := strings.Cut(address, "://")
	switch {
	case address == "":
		return nil, errors.New("its address is empty")
	case !ok && strings.HasSuffix(address, ".tar"):
		return &url.URL{Scheme: "tar", Path: address}, nil
	case !ok:
		return &url.URL{Scheme: "file", Path: address}, nil
	}
	if _, known := schemes[scheme]; !known {
		return nil, fmt.Errorf("%s: %s:// is none of %s, and no path", address, scheme, strings.Join(schemeNames(), ", "))
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" && strings.HasSuffix(u.Path, ".tar") {
		u.Scheme = "tar"
	}
	return u, nil
}

func schemeNames() []string {
	var names []string
	for name := range schemes {
		names = append(names, name+"://")
	}
	slices.Sort(names)
	return names
}

// display is u for people and records: without secrets, paths as they are.
func display(u *url.URL) string {
	if u.Scheme == "file" || u.Scheme == "tar" {
		return u.Path
	}
	shown := *u
	shown.User = nil
	return shown.String()
}

// Display is an address for people, without secrets.
func Display(address string) string {
	u, err := parse(address)
	if err != nil {
		return address
	}
	return display(u)
}

// Name is the remote's address, without secrets.
func (r *Remote) Name() string { return r.url }

// ReadOnly says that nothing can be written to it.
func (r *Remote) ReadOnly() bool { _, ok := r.backend.(Writer); return !ok }

// Close ends the use of the remote; what was written is there then.
func (r *Remote) Close() error { return r.backend.Close() }

// readOnly hides that a backend takes objects.
type readOnly struct{ Backend }

// The names of objects.
const (
	markerName    = "regft-remote"
	blobsFolder   = "blobs"
	resultsFolder = "results"
	recipesFolder = "recipes"
)

// objectName is that of an entry: its folder, two digits, the rest.
func objectName(folder string, id fmt.Stringer) string {
	_, digits, _ := strings.Cut(id.String(), ":")
	return folder + "/" + digits[:2] + "/" + digits[2:]
}

func blobName(d cache.Digest) string { return objectName(blobsFolder, d) }

// size is an object's size, and whether it is there.
func (r *Remote) size(ctx context.Context, name string) (size int64, there bool, err error) {
	err = r.try(ctx, func(ctx context.Context, _ func()) (err error) {
		size, err = r.backend.Size(ctx, name)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	return size, err == nil, r.during("looking for", name, err)
}

// read gives a small object. One that is not there is fs.ErrNotExist.
func (r *Remote) read(ctx context.Context, name string) ([]byte, error) {
	var content []byte
	err := r.try(ctx, func(ctx context.Context, progress func()) error {
		body, size, err := r.backend.Open(ctx, name, 0)
		if err != nil {
			return err
		}
		defer body.Close()
		content, err = io.ReadAll(progressReader{io.LimitReader(body, maxSmall+1), progress})
		switch {
		case err != nil:
			return err
		case len(content) > maxSmall:
			return permanent(fmt.Errorf("it has more than %d bytes", maxSmall))
		case int64(len(content)) != size:
			return fmt.Errorf("%d of %d bytes arrived: %w", len(content), size, io.ErrUnexpectedEOF)
		}
		return nil
	})
	return content, r.during("reading", name, err)
}

// maxSmall bounds what is read into memory: records, which hold at most some
// thousand metrics.
const maxSmall = 64 << 20

// create makes an object; one that is there is fs.ErrExist.
func (r *Remote) create(ctx context.Context, name string, c Content) error {
	return r.write(ctx, name, c, Writer.Create)
}

// replace makes an object in place of what is there.
func (r *Remote) replace(ctx context.Context, name string, c Content) error {
	return r.write(ctx, name, c, Writer.Replace)
}

func (r *Remote) write(ctx context.Context, name string, c Content, how func(Writer, context.Context, string, Content) error) error {
	w, ok := r.backend.(Writer)
	if !ok {
		return fmt.Errorf("%s is read-only here: %w", r.url, fs.ErrPermission)
	}
	err := r.try(ctx, func(ctx context.Context, progress func()) error {
		watched := c
		watched.Open = func() (File, error) {
			f, err := c.Open()
			return progressFile{f, progress}, err
		}
		return how(w, ctx, name, watched)
	})
	return r.during("writing", name, err)
}

// An Error is what went wrong at a remote.
type Error struct {
	What, Object, URL string // what was done to which object where
	Err               error
}

// Error gives all of it.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s at %s: %v", e.What, e.Object, e.URL, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// during says what was done to which object when err came.
func (r *Remote) during(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{what, name, r.url, err}
}

// memory is small content.
func memory(content []byte) Content {
	return Content{Size: int64(len(content)), Digest: cache.SumBytes(content), Open: func() (File, error) {
		return memoryFile{strings.NewReader(string(content))}, nil
	}}
}

type memoryFile struct{ *strings.Reader }

func (memoryFile) Close() error { return nil }

// fileContent is that of a file.
func fileContent(path string, d cache.Digest) (Content, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Content{}, err
	}
	return Content{Size: info.Size(), Digest: d, Open: func() (File, error) { return os.Open(path) }}, nil
}
