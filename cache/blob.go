package cache

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/cespare/xxhash/v2"
)

// checkSize is the size from which a blob has its XXH64 beside it. Below, its
// SHA-256 (2 GB/s) takes less time than opening a second file would.
const checkSize = 1 << 20

// bufferSize is how much of a big file is read between two looks at the context.
const bufferSize = 256 << 10

// verification says in which state a blob's file was when its content was right.
type verification struct {
	state fileState
	check uint64 // XXH64
}

func (d *Dir) blobPath(digest Digest) string { return d.entryPath(blobsFolder, digest.sum) }

// checkPath is the file that holds a big blob's XXH64.
func checkPath(blobPath string) string { return blobPath + ".xxh64" }

func blobEntry(digest Digest) string { return "content " + digest.String() }

// Has tells whether content is there: as a blob, unread, or in a linked file
// that still has it.
func (d *Dir) Has(ctx context.Context, digest Digest) (bool, error) {
	_, err := statFile(d.blobPath(digest))
	if err == nil {
		return true, ctx.Err()
	}
	path := d.blobPath(digest)
	if err := d.missing(blobEntry(digest), path, err); !errors.Is(err, ErrMiss) {
		return false, err
	}
	_, err = d.linkedPath(ctx, digest)
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil, nil
}

// Put stores content. If it is there already, and right, nothing is written.
func (d *Dir) Put(ctx context.Context, content io.Reader) (Digest, int64, error) {
	digest, size, err := d.put(ctx, content)
	if err != nil {
		return Digest{}, 0, fmt.Errorf("storing content in the cache: %w", err)
	}
	return digest, size, nil
}

func (d *Dir) put(ctx context.Context, content io.Reader) (Digest, int64, error) {
	content = contextReader{ctx, content}
	var head bytes.Buffer
	switch _, err := io.CopyN(&head, content, checkSize); {
	case err == nil:
		return d.putBig(ctx, io.MultiReader(&head, content))
	case errors.Is(err, io.EOF):
		digest, err := d.putSmall(ctx, head.Bytes())
		return digest, int64(head.Len()), err
	default:
		return Digest{}, 0, err
	}
}

// putSmall hashes content before it writes any file.
func (d *Dir) putSmall(ctx context.Context, content []byte) (Digest, error) {
	digest := SumBytes(content)
	if err := d.keep(ctx, digest); !errors.Is(err, ErrMiss) {
		return digest, err
	}
	return digest, d.writeEntry(d.blobPath(digest), content, grouped)
}

// putBig hashes content while it writes it to a temporary file.
func (d *Dir) putBig(ctx context.Context, content io.Reader) (Digest, int64, error) {
	f, err := d.createTemp()
	if err != nil {
		return Digest{}, 0, err
	}
	defer f.discard()
	hasher, check := NewHasher(), xxhash.New()
	size, err := io.Copy(io.MultiWriter(f, hasher, check), content)
	if err != nil {
		return Digest{}, 0, err
	}
	digest := hasher.Sum()
	if err := d.keep(ctx, digest); !errors.Is(err, ErrMiss) {
		return digest, size, err
	}
	path := d.blobPath(digest)
	if err := d.writeCheck(path, check.Sum64()); err != nil {
		return Digest{}, 0, err
	}
	return digest, size, f.commit(path, durable)
}

// PutFile stores a copy of a file's content.
func (d *Dir) PutFile(ctx context.Context, path string) (Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return Digest{}, 0, fmt.Errorf("storing a file in the cache: %w", err)
	}
	defer f.Close()
	digest, size, err := d.put(ctx, f)
	if err != nil {
		return Digest{}, 0, fmt.Errorf("storing %s in the cache: %w", path, err)
	}
	return digest, size, nil
}

// Open gives content of the store, of a linked file, or of upstream, from where
// it is fetched. See Store.Open; a linked file that changed or is missing is a
// *LinkError.
func (d *Dir) Open(ctx context.Context, digest Digest) (io.ReadCloser, int64, error) {
	content, size, err := d.openHere(ctx, digest)
	if d.upstream == nil || !isAbsent(err) {
		return content, size, err
	}
	if err := d.fetch(ctx, digest); err != nil {
		return nil, 0, err
	}
	return d.openBlob(ctx, digest)
}

func (d *Dir) openHere(ctx context.Context, digest Digest) (io.ReadCloser, int64, error) {
	content, size, err := d.openBlob(ctx, digest)
	if !errors.Is(err, ErrMiss) {
		return content, size, err
	}
	linked, size, linkErr := d.openLinked(ctx, digest)
	if errors.Is(linkErr, ErrMiss) {
		return nil, 0, err // says why the blob is not there
	}
	return linked, size, linkErr
}

func (d *Dir) openBlob(ctx context.Context, digest Digest) (io.ReadCloser, int64, error) {
	path := d.blobPath(digest)
	f, size, err := openSized(path)
	if err != nil {
		return nil, 0, d.missing(blobEntry(digest), path, err)
	}
	if size < checkSize {
		return d.readSmall(digest, path, f)
	}
	if err := d.verify(ctx, digest); err != nil {
		f.Close()
		return nil, 0, err
	}
	v, _ := d.verified.Load(digest)
	want := binary.BigEndian.AppendUint64(nil, v.(verification).check)
	return &checkedReader{file: f, ctx: ctx, hash: xxhash.New(), want: want, mismatch: func() error {
		d.verified.Delete(digest)
		if err := d.verify(ctx, digest); err != nil {
			return err
		}
		return &MissError{blobEntry(digest), "what was read is not what is in " + path}
	}}, size, nil
}

// readSmall checks all of a small blob before giving any of it.
func (d *Dir) readSmall(digest Digest, path string, f *os.File) (io.ReadCloser, int64, error) {
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, 0, d.missing(blobEntry(digest), path, err)
	}
	if SumBytes(content) != digest {
		return nil, 0, d.damaged(blobEntry(digest), path, "its content has another digest")
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

// Path gives the path of a file that holds the content, for mapping it into
// memory: a blob, which nobody may write to, or a linked file. It was checked
// when this process first saw it, and again if it changed since.
func (d *Dir) Path(ctx context.Context, digest Digest) (string, error) {
	path, err := d.pathHere(ctx, digest)
	if d.upstream == nil || !isAbsent(err) {
		return path, err
	}
	if err := d.fetch(ctx, digest); err != nil {
		return "", err
	}
	return d.pathHere(ctx, digest)
}

func (d *Dir) pathHere(ctx context.Context, digest Digest) (string, error) {
	err := d.verify(ctx, digest)
	if err == nil {
		return d.blobPath(digest), nil
	}
	if !errors.Is(err, ErrMiss) {
		return "", err
	}
	path, linkErr := d.linkedPath(ctx, digest)
	if errors.Is(linkErr, ErrMiss) {
		return "", err
	}
	return path, linkErr
}

// verify checks a blob's content: by its state if this process has checked it,
// else by XXH64 if that is beside it and agrees, else by SHA-256, the only one
// that can condemn it.
func (d *Dir) verify(ctx context.Context, digest Digest) error {
	path := d.blobPath(digest)
	state, err := statFile(path)
	if err != nil {
		return d.missing(blobEntry(digest), path, err)
	}
	if v, ok := d.verified.Load(digest); ok && v.(verification).state == state {
		return nil
	}
	check, err := d.checkBlob(ctx, digest, state.size)
	if err != nil {
		return err
	}
	d.verified.Store(digest, verification{state, check})
	return nil
}

// checkBlob reads a blob and gives its XXH64 if its content is right.
func (d *Dir) checkBlob(ctx context.Context, digest Digest, size int64) (uint64, error) {
	path := d.blobPath(digest)
	want, hasCheck := readCheck(path)
	if hasCheck {
		check := xxhash.New()
		if err := hashFile(ctx, path, check); err != nil {
			return 0, d.missing(blobEntry(digest), path, err)
		}
		if check.Sum64() == want {
			return want, nil
		}
	}
	hasher, check := NewHasher(), xxhash.New()
	if err := hashFile(ctx, path, io.MultiWriter(hasher, check)); err != nil {
		return 0, d.missing(blobEntry(digest), path, err)
	}
	if hasher.Sum() != digest {
		return 0, d.damaged(blobEntry(digest), path, "its content has another digest")
	}
	if size >= checkSize {
		// Without it the next process takes longer; a store that is read-only may be read.
		_ = d.writeCheck(path, check.Sum64())
	}
	return check.Sum64(), nil
}

// readCheck gives the XXH64 beside a blob. Whatever is not one is as good as none.
func readCheck(blobPath string) (uint64, bool) {
	text, err := os.ReadFile(checkPath(blobPath))
	if err != nil {
		return 0, false
	}
	var check [8]byte
	n, err := hex.Decode(check[:], bytes.TrimSuffix(text[:min(len(text), 17)], []byte("\n")))
	return binary.BigEndian.Uint64(check[:]), err == nil && n == len(check)
}

func (d *Dir) writeCheck(blobPath string, check uint64) error {
	return d.writeEntry(checkPath(blobPath), fmt.Appendf(nil, "%016x\n", check), derived)
}

// checkedReader reads a file and compares its hash with want at the end.
type checkedReader struct {
	file     *os.File
	ctx      context.Context
	hash     hash.Hash
	want     []byte
	mismatch func() error // the error to end in
}

func (r *checkedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	r.hash.Write(p[:n])
	if err == io.EOF && !bytes.Equal(r.hash.Sum(nil), r.want) {
		return n, r.mismatch()
	}
	return n, err
}

func (r *checkedReader) Close() error { return r.file.Close() }

// openSized opens a regular file and tells its size.
func openSized(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: errIsFolder}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// hashFile writes a file's content to hash, until ctx ends.
func hashFile(ctx context.Context, path string, hash io.Writer) error {
	f, size, err := openSized(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buffer := make([]byte, min(size+1, bufferSize))
	_, err = io.CopyBuffer(hash, contextReader{ctx, f}, buffer)
	return err
}
