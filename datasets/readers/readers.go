// Package readers registers the layouts in which datasets are published, one file each. Import it for its effect.
//
// What is right is what the published readers list (CoOp, Tip-Adapter, WiSE-FT, torchvision, clip_benchmark: see
// testdata/goldens/datasets), but where they go wrong: hidden files are no pictures, and a missing folder shifts no labels.
package readers

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"regft/datasets"
	"regft/datasets/picture"
)

// tree is a dataset's folder, and counts what it passes over.
type tree struct {
	root    string
	skipped datasets.Skipped
}

// entry is a file or folder, by its path below the root, with slashes.
type entry struct {
	path   string
	folder bool
}

func (e entry) name() string { return path.Base(e.path) }

// local returns the path of an entry on this machine.
func (t *tree) local(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// read lists the visible entries of a folder, bytewise by name. Links are followed.
func (t *tree) read(ctx context.Context, folder string) ([]entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := os.ReadDir(t.local(folder))
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, e := range found {
		if hidden(e.Name()) {
			t.skipped.Hidden++
			continue
		}
		folder, err := t.isFolder(path.Join(folder, e.Name()), e)
		if err != nil {
			return nil, err
		}
		entries = append(entries, folder)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	return entries, nil
}

// hidden tells what systems hide: names that begin with a dot, and the folders that unzip makes of a Mac's archives and that a
// Synology keeps previews in.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || name == "__MACOSX" || name == "@eaDir"
}

func (t *tree) isFolder(name string, e fs.DirEntry) (entry, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return entry{name, e.IsDir()}, nil
	}
	info, err := os.Stat(t.local(name))
	if err != nil {
		return entry{}, err
	}
	return entry{name, info.IsDir()}, nil
}

// split lists a folder's visible subfolders and pictures; other files are counted.
func (t *tree) split(ctx context.Context, folder string) (folders, pictures []string, err error) {
	entries, err := t.read(ctx, folder)
	for _, e := range entries {
		switch {
		case e.folder:
			folders = append(folders, e.path)
		case picture.HasExtension(e.name()):
			pictures = append(pictures, e.path)
		default:
			t.skipped.Other++
		}
	}
	return folders, pictures, err
}

// deepest bounds how folders nest, so that a link that leads back to where it lies is an error and no endless walk.
const deepest = 40

// pictures lists the pictures of a folder and of all folders in it.
func (t *tree) pictures(ctx context.Context, folder string) ([]string, error) {
	if strings.Count(folder, "/") > deepest {
		return nil, fmt.Errorf("%s: folders nest deeper than %d; does a link lead back?", folder, deepest)
	}
	folders, all, err := t.split(ctx, folder)
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		more, err := t.pictures(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// exists reports whether there is a file or folder of that name.
func (t *tree) exists(name string) bool {
	_, err := os.Stat(t.local(name))
	return err == nil
}

// firstFolder returns the first of some folders that is there.
func (t *tree) firstFolder(names ...string) (string, bool) {
	for _, name := range names {
		if info, err := os.Stat(t.local(name)); err == nil && info.IsDir() {
			return name, true
		}
	}
	return "", false
}

// lines reads a text file of the dataset, whatever system wrote it.
func (t *tree) lines(name string) ([]string, error) {
	data, err := os.ReadFile(t.local(name))
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), nil
}

// names returns the last parts of paths.
func names(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = path.Base(p)
	}
	return out
}
