package readertest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// change is a damage to a copy of a golden folder.
type change struct {
	Op       string
	Path     string
	From, To string
	Text     string
	Old, New string
}

// copied returns a changed copy of the golden's dataset.
func (g *golden) copied(t *testing.T, changes []change) string {
	t.Helper()
	place := filepath.Join(t.TempDir(), g.Root)
	if err := os.CopyFS(place, os.DirFS(filepath.Join(g.folder, g.Root))); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if err := c.apply(place); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
	}
	return place
}

func (c change) apply(root string) error {
	path, from, to := filepath.Join(root, c.Path), filepath.Join(root, c.From), filepath.Join(root, c.To)
	switch c.Op {
	case "delete":
		return os.RemoveAll(path)
	case "mkdir":
		return os.MkdirAll(path, 0o755)
	case "move":
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(from, to)
	case "copy":
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return write(to, data)
	case "write":
		return write(path, []byte(c.Text))
	case "append":
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return write(path, append(data, c.Text...))
	case "replace":
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Count(data, []byte(c.Old)) != 1 {
			return fmt.Errorf("%q is not there once", c.Old)
		}
		return write(path, bytes.Replace(data, []byte(c.Old), []byte(c.New), 1))
	}
	return fmt.Errorf("no operation is called %q", c.Op)
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
