package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// putsAtOnce is how many files PutFolder stores at a time. They wait for the
// disk, and the file system writes what several wait for in one go.
const putsAtOnce = 16

// PutManifest stores a manifest and gives the artifact's digest. Each file that
// it names must be there, put or linked.
func (d *Dir) PutManifest(ctx context.Context, m Manifest) (Digest, error) {
	if err := m.validate(); err != nil {
		return Digest{}, err
	}
	if err := d.Complete(ctx, m); err != nil {
		return Digest{}, fmt.Errorf("storing a manifest: %w", err)
	}
	if err := d.refreshFiles(m); err != nil {
		return Digest{}, fmt.Errorf("storing a manifest: %w", err)
	}
	digest, _, err := d.Put(ctx, bytes.NewReader(m.Encode()))
	return digest, err
}

// refreshFiles makes the blobs of a manifest young; its other files are linked.
func (d *Dir) refreshFiles(m Manifest) error {
	for _, f := range m.Files {
		if err := d.refresh(f.Digest); err != nil && !errors.Is(err, ErrMiss) {
			return err
		}
	}
	return nil
}

// PutFolder stores a copy of every file below a folder and gives their manifest,
// itself not stored. Anything but files and folders is an error.
func (d *Dir) PutFolder(ctx context.Context, folder string) (Manifest, error) {
	var files []File
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		name, err := filepath.Rel(folder, path)
		files = append(files, File{Name: filepath.ToSlash(name)})
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("storing a folder in the cache: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(putsAtOnce)
	for i := range files {
		group.Go(func() (err error) {
			path := filepath.Join(folder, filepath.FromSlash(files[i].Name))
			files[i].Digest, files[i].Size, err = d.PutFile(ctx, path)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Manifest{}, err
	}
	return NewManifest(files)
}

// Manifest gives the manifest with that digest. Content that is not a manifest
// is a miss.
func (d *Dir) Manifest(ctx context.Context, digest Digest) (Manifest, error) {
	content, _, err := d.Open(ctx, digest)
	if err != nil {
		return Manifest{}, err
	}
	defer content.Close()
	encoded, err := io.ReadAll(content)
	if err != nil {
		return Manifest{}, err
	}
	m, err := DecodeManifest(encoded)
	if err != nil {
		return Manifest{}, &MissError{"manifest " + digest.String(), err.Error()}
	}
	return m, nil
}

// Complete tells whether the store has every file of m, by Has: a miss names
// the first that it lacks.
func (d *Dir) Complete(ctx context.Context, m Manifest) error {
	for _, f := range m.Files {
		has, err := d.Has(ctx, f.Digest)
		if err != nil {
			return err
		}
		if !has {
			return &MissError{fmt.Sprintf("file %q (%s)", f.Name, f.Digest), "absent"}
		}
	}
	return nil
}
