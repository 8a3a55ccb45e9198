package stages

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Publisher writes an artifact of one kind into folder dir, in the layout that other programs read: what `regft get`
// and the inputs of exec give. It depends on the artifact's content alone.
type Publisher func(ctx context.Context, a Artifact, dir string) error

var publishers = map[Kind]Publisher{}

// RegisterPublisher sets the published layout of a kind. Kinds without one are published as they are.
func RegisterPublisher(k Kind, p Publisher) Publisher {
	if publishers[k] != nil {
		panic(fmt.Sprintf("stages: two publishers of %s", k))
	}
	publishers[k] = p
	return p
}

// Publish writes a into dir, which is made with its parents.
func Publish(ctx context.Context, a Artifact, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("publishing %s: %w", a.Kind, err)
	}
	if p := publishers[a.Kind]; p != nil {
		return p(ctx, a, dir)
	}
	for _, f := range a.Manifest.Files {
		if err := a.CopyFile(ctx, f.Name, filepath.Join(dir, filepath.FromSlash(f.Name))); err != nil {
			return err
		}
	}
	return nil
}

// CopyFile writes the file called name to path, whose folder is made.
func (a Artifact) CopyFile(ctx context.Context, name, path string) error {
	r, err := a.Open(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	w, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer w.Close()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("copying %s of a %s artifact to %s: %w", name, a.Kind, path, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
