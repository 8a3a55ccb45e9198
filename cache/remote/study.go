package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"regft/cache"
)

// A Study is a run to hand over: its files, and results that go with it.
type Study struct {
	Name  string       `json:"name"`
	ID    string       `json:"id"`    // of the run
	Files []cache.File `json:"files"` // below the folder that it is unpacked in
	Items []Item       `json:"items"`
}

// The objects by which studies are found: each holds the digest of a Study, which
// is a blob.
const (
	studiesFolder = "studies"
	latestStudy   = "latest"
)

// studyName is the object of a study: of the last one pushed of its name where id
// is "", of any name where name is.
func studyName(name, id string) string {
	switch {
	case name == "":
		return studiesFolder + "/" + latestStudy
	case id == "":
		id = latestStudy
	}
	return studiesFolder + "/" + url.PathEscape(name) + "/" + url.PathEscape(id)
}

// PushStudy shares a study: its results, then the files that names has below
// root, then the study, which is the latest then. Progress with the results is
// told to each, which may be nil.
func (r *Remote) PushStudy(ctx context.Context, store *cache.Dir, s Study, root string, names []string, each func(Pushed)) (Pushed, error) {
	pushed, err := r.Push(ctx, store, s.Items, each)
	if err != nil {
		return pushed, err
	}
	if s.Files, err = digestFiles(ctx, root, names); err != nil {
		return pushed, fmt.Errorf("packing study %s: %w", s.Name, err)
	}
	if err := checkFiles(s.Files); err != nil {
		return pushed, fmt.Errorf("packing study %s: %w", s.Name, err)
	}
	err = forEach(ctx, s.Files, func(ctx context.Context, f cache.File) error {
		c, err := fileContent(filepath.Join(root, filepath.FromSlash(f.Name)), f.Digest)
		if err != nil {
			return err
		}
		return r.createOnce(ctx, blobName(f.Digest), c)
	})
	if err != nil {
		return pushed, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return pushed, fmt.Errorf("packing study %s: %w", s.Name, err)
	}
	content := memory(text)
	if err := r.createOnce(ctx, blobName(content.Digest), content); err != nil {
		return pushed, err
	}
	for _, object := range []string{studyName(s.Name, s.ID), studyName(s.Name, ""), studyName("", "")} {
		if err := r.replace(ctx, object, memory([]byte(content.Digest.String()+"\n"))); err != nil {
			return pushed, err
		}
	}
	return pushed, nil
}

// createOnce makes an object, unless it is there.
func (r *Remote) createOnce(ctx context.Context, name string, c Content) error {
	if size, there, err := r.size(ctx, name); err != nil || there && size == c.Size {
		return err
	}
	err := r.create(ctx, name, c)
	if errors.Is(err, fs.ErrExist) {
		return r.replace(ctx, name, c) // cut short
	}
	return err
}

func digestFiles(ctx context.Context, root string, names []string) ([]cache.File, error) {
	files := make([]cache.File, len(names))
	err := forEach(ctx, indices(names), func(ctx context.Context, k int) (err error) {
		files[k], err = digestFile(ctx, root, names[k])
		return err
	})
	return files, err
}

func digestFile(ctx context.Context, root, name string) (cache.File, error) {
	f, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return cache.File{}, err
	}
	defer f.Close()
	hasher := cache.NewHasher()
	size, err := copyTo(ctx, hasher, f)
	return cache.File{Name: name, Digest: hasher.Sum(), Size: size}, err
}

// checkFiles refuses names that could do harm where they are unpacked.
func checkFiles(files []cache.File) error {
	for _, f := range files {
		for part := range strings.SplitSeq(f.Name, "/") {
			if strings.HasPrefix(part, ".") {
				return fmt.Errorf("the name of file %q is hidden, or not clean", f.Name)
			}
		}
	}
	_, err := cache.NewManifest(files)
	return err
}

// Study gives the study of a name and run; "" for the latest.
func (r *Remote) Study(ctx context.Context, name, id string) (Study, error) {
	object := studyName(name, id)
	var digest cache.Digest
	err := r.readRecord(ctx, object, func(content []byte) (err error) {
		digest, err = cache.ParseDigest(strings.TrimSuffix(string(content), "\n"))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return Study{}, fmt.Errorf("there is no study %s at %s: %w", strings.TrimPrefix(object, studiesFolder+"/"), r.url, err)
	}
	if err != nil {
		return Study{}, err
	}
	var s Study
	err = r.readRecord(ctx, blobName(digest), func(content []byte) (err error) {
		s, err = decodeStudy(content, digest)
		return err
	})
	return s, err
}

func decodeStudy(content []byte, digest cache.Digest) (Study, error) {
	if got := cache.SumBytes(content); got != digest {
		return Study{}, &cache.MismatchError{Want: digest, Got: got}
	}
	var s Study
	if err := json.Unmarshal(content, &s); err != nil {
		return Study{}, fmt.Errorf("not a study: %w", err)
	}
	if s.Name == "" || s.ID == "" {
		return Study{}, errors.New("not a study: it has no name or no run")
	}
	return s, checkFiles(s.Files)
}

// Unpack writes the files of a study below folder dir.
func (r *Remote) Unpack(ctx context.Context, s Study, dir string) error {
	return forEach(ctx, s.Files, func(ctx context.Context, f cache.File) error {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		return r.unpackFile(ctx, f, path)
	})
}

// unpackFile fetches a file, again where it does not arrive as it should be.
func (r *Remote) unpackFile(ctx context.Context, f cache.File, path string) error {
	var err error
	for range fetchTries {
		var content *download
		if content, err = r.download(ctx, blobName(f.Digest)); err != nil {
			return err
		}
		err = writeFile(ctx, path, f.Digest, content)
		content.Close()
		if mismatch := (*cache.MismatchError)(nil); !errors.As(err, &mismatch) {
			return err
		}
	}
	return fmt.Errorf("unpacking %s from %s: %w", f.Name, r.url, err)
}

func writeFile(ctx context.Context, path string, want cache.Digest, content *download) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	hasher := cache.NewHasher()
	_, err = copyTo(ctx, hasher, content, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hasher.Sum(); got != want {
		return &cache.MismatchError{Want: want, Got: got}
	}
	return nil
}
