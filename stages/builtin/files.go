package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"regft/models/checkpoint"
	"regft/stages"
)

// artifactFiles shows an artifact, or the part of it below a prefix, as the files of a checkpoint.
type artifactFiles struct {
	ctx    context.Context // of the stage that reads: checkpoint.Files knows none
	from   stages.Artifact
	prefix string
	names  []string
}

func filesOf(ctx context.Context, a stages.Artifact, prefix string) *artifactFiles {
	f := &artifactFiles{ctx: ctx, from: a, prefix: prefix}
	for _, file := range a.Manifest.Files {
		if name, ok := strings.CutPrefix(file.Name, prefix); ok {
			f.names = append(f.names, name)
		}
	}
	return f
}

func (f *artifactFiles) Names() []string { return f.names }

func (f *artifactFiles) Path(name string) (string, error) {
	if _, found := slices.BinarySearch(f.names, name); !found {
		return "", &fs.PathError{Op: "open", Path: f.prefix + name, Err: fs.ErrNotExist}
	}
	return f.from.Path(f.ctx, f.prefix+name)
}

// folder is where the files are: that of the user's checkpoint, or of the store.
func (f *artifactFiles) folder() string {
	for _, name := range f.names {
		if path, err := f.Path(name); err == nil {
			return strings.TrimSuffix(filepath.ToSlash(path), "/"+name)
		}
	}
	return "the checkpoint"
}

// checkpointSource lists what is read of a checkpoint folder.
func checkpointSource(param, dir string, needed func(checkpoint.Files) ([]string, error)) (stages.Source, error) {
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		return stages.Source{}, err
	}
	names, err := needed(files)
	if errors.Is(err, fs.ErrNotExist) {
		// The folder is there: what it lacks is a mistake, not an absent checkpoint.
		return stages.Source{}, fmt.Errorf("%s %s: %s", param, dir, err.Error())
	}
	if err != nil {
		return stages.Source{}, fmt.Errorf("%s %s: %w", param, dir, err)
	}
	return stages.Source{Param: param, Root: dir, Files: names}, nil
}
