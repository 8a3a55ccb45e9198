package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// PutManifest stores a manifest and gives the artifact's digest. Each file that
// it names must be there, put or linked.
func (d *Dir) PutManifest(ctx context.Context, m Manifest) (Digest, error) {
	if err := m.validate(); err != nil {
		return Digest{}, err
	}
	if err := d.Complete(ctx, m); err != nil {
		return Digest{}, fmt.Errorf("storing a manifest: %w", err)
	}
	digest, _, err := d.Put(ctx, bytes.NewReader(m.Encode()))
	return digest, err
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
