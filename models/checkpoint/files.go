// Package checkpoint finds and reads the files of published checkpoints: CLIP folders as transformers lays them
// out, and diffusers folders.
//
// It reads names, not a folder: a stage is given a manifest whose names lie anywhere. Which names are read
// ([NeededCLIP], [NeededDiffusion]) is a function of the names alone and of the indexes of shards, so that the
// digest of a checkpoint covers exactly what a model is made from.
package checkpoint

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Files is the content of a checkpoint: slash-separated names, each at some local path.
type Files interface {
	// Names lists all files, sorted.
	Names() []string
	// Path returns where a file lies. A name that is not there is an error that says so.
	Path(name string) (string, error)
}

// Dir is a checkpoint in a folder. Links are followed: the Hugging Face hub's cache is made of them.
type Dir struct {
	root  string
	names []string
}

// DirFiles lists the folder at dir and the folders directly below it, which is where published checkpoints have
// their files.
func DirFiles(dir string) (*Dir, error) {
	d := &Dir{root: dir}
	if err := d.list(""); err != nil {
		return nil, fmt.Errorf("reading checkpoint: %w", err)
	}
	slices.Sort(d.names)
	return d, nil
}

func (d *Dir) list(folder string) error {
	entries, err := os.ReadDir(filepath.Join(d.root, folder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		info, err := os.Stat(filepath.Join(d.root, name))
		switch {
		case err != nil:
			continue // a dangling link is a missing file, which is named when it is needed
		case info.Mode().IsRegular():
			d.names = append(d.names, name)
		case info.IsDir() && folder == "" && !strings.HasPrefix(name, "."):
			if err := d.list(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Names lists the files, sorted.
func (d *Dir) Names() []string { return slices.Clone(d.names) }

// Path returns the path of a file in the folder.
func (d *Dir) Path(name string) (string, error) {
	if !has(d, name) {
		return "", &fs.PathError{Op: "open", Path: filepath.Join(d.root, name), Err: fs.ErrNotExist}
	}
	return filepath.Join(d.root, name), nil
}

func has(files Files, name string) bool {
	_, found := slices.BinarySearch(files.Names(), name)
	return found
}

// ReadJSON decodes the file called name, a config or an index.
func ReadJSON(files Files, name string, into any) error {
	at, err := files.Path(name)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", at, err)
	}
	return nil
}
