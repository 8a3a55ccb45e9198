package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regft/cache"
	"regft/stages"
)

// Trace adds to t all that it rests on that running p executes nothing: the spec's files, those that stages read,
// and the results with their content.
func (p *Plan) Trace(t *cache.Tracer) error {
	for _, path := range p.Expansion.Spec.Files {
		t.File(path)
	}
	if err := p.traceSources(t); err != nil {
		return err
	}
	for _, n := range p.Nodes {
		if n.Result == nil {
			continue
		}
		t.Result(n.Result.Action)
		for _, l := range n.lists {
			t.Manifest(l.digest, l.manifest)
		}
	}
	return nil
}

// traceSources adds the files that were linked, and all that may have decided which those are.
func (p *Plan) traceSources(t *cache.Tracer) error {
	for path := range p.linked {
		t.File(path)
	}
	seen := map[string]bool{}
	for _, i := range p.order {
		if _, ok := i.Runner.(stages.Sourcer); !ok || !i.Needed {
			continue
		}
		for _, path := range i.Stage.Type.Paths(i.Runner) {
			if err := traceTree(t, path, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// pictures are the endings of files that are listed by their names when a plan is made, and not read.
var pictures = []string{".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}

// traceTree adds a file, or a folder with all below it. Links to folders are followed.
func traceTree(t *cache.Tracer, root string, seen map[string]bool) error {
	real, err := filepath.EvalSymlinks(root)
	if errors.Is(err, fs.ErrNotExist) {
		t.File(root)
		return nil
	}
	if err != nil || seen[real] {
		return err
	}
	seen[real] = true
	t.File(root)
	return filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return traceTree(t, path, seen)
			}
		}
		if d.IsDir() || !slices.Contains(pictures, strings.ToLower(filepath.Ext(path))) {
			t.File(path)
		}
		return nil
	})
}

// Trace adds the files of the run that say how it ended.
func (p *Past) Trace(t *cache.Tracer) {
	for _, name := range []string{provenanceFile, planFile, specFile, resultsFile} {
		t.File(filepath.Join(p.Dir, name))
	}
	t.File(filepath.Join(filepath.Dir(p.Dir), latestLink))
}
