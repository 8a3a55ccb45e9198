package engine

import (
	"context"
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

// Trace adds the files of the run that say how it ended. own says that this process has written them.
func (p *Past) Trace(t *cache.Tracer, own bool) {
	add := t.File
	if own {
		add = t.Own
	}
	for _, name := range []string{provenanceFile, planFile, specFile, resultsFile, tableFile} {
		add(filepath.Join(p.Dir, name))
	}
	add(filepath.Join(filepath.Dir(p.Dir), latestLink))
}

// Settled says that a run of p, which has ended, has left nothing to do: another would find each result as it was put.
func (p *Plan) Settled(ctx context.Context) (bool, error) {
	for _, i := range p.order {
		if i.needed && i.fate != done && i.fate != skipped {
			return false, nil
		}
	}
	for _, n := range p.Nodes {
		if n.needed() && n.State != Hit && n.State != Done && n.State != Skipped {
			return false, nil
		}
	}
	if err := p.inspect(ctx); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(p.Nodes, func(n *Node) bool { return n.broken }), nil
}
