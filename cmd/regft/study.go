package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regft/cache/remote"
	"regft/engine"
	"regft/specs"

	"github.com/spf13/cobra"
)

// studyFlags say whether a run is handed over, and with all data.
type studyFlags struct{ on, data bool }

// pushStudy hands over a run: files, which keep their places below the current folder, and results.
func (a *app) pushStudy(cmd *cobra.Command, args []string, f remoteFlags, o studyFlags) (err error) {
	past, err := openRun(args)
	if err != nil {
		return err
	}
	store, err := a.openWritable(cmd, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	paths, err := a.studyFiles(cmd, store, past, o.data)
	if err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return exitError{exitFailed, err}
	}
	names, outside := withinFolder(here, paths)
	if len(outside) > 0 {
		a.warn("warning: %s left out, which lie outside of this folder, such as %s", plural(len(outside), "file"), outside[0])
	}
	nodes, err := past.Leaves(cmd.Context(), store.Dir)
	if o.data {
		nodes, err = past.Finished(cmd.Context(), store.Dir)
	}
	if err != nil {
		return exitError{exitFailed, err}
	}
	study := remote.Study{Name: past.Name, ID: past.ID}
	if study.Items, err = itemsOfNodes(past, nodes); err != nil {
		return err
	}
	progress := a.newTransfer()
	pushed, err := store.remote.PushStudy(cmd.Context(), store.Dir, study, here, names, progress.pushed)
	progress.close()
	if err != nil {
		return exitError{exitUnavailable, err}
	}
	fmt.Fprintf(a.out, "study %s/%s: %s\n", past.Name, past.ID, plural(len(names), "file"))
	return a.showPushed(store.remote, pushed)
}

// studyFiles are the absolute paths of a run's record, of its spec, and of what expressions read; with data also of
// what stages read.
func (a *app) studyFiles(cmd *cobra.Command, store *sharedStore, past *engine.Past, data bool) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(past.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return nil, exitError{exitFailed, fmt.Errorf("reading run %s: %w", past.ID, err)}
	}
	spec, found := past.Spec()
	if found.HasErrors() {
		return nil, a.diagnose(found, false)
	}
	e, found := spec.Expand(cmd.Context())
	if found.HasErrors() {
		return nil, a.diagnose(found, false)
	}
	paths = append(paths, spec.Files...)
	if written, found := specs.Load(past.Provenance.Spec, nil); !found.HasErrors() { // as it is now, with what it includes
		paths = append(paths, written.Files...)
	}
	if data {
		p, err := planOf(cmd, store.Dir, e, nil, "")
		if err != nil {
			return nil, err
		}
		linked, err := p.Linked()
		if err != nil {
			return nil, exitError{exitFailed, err}
		}
		paths = append(paths, linked...)
	}
	return paths, nil
}

// withinFolder gives the names of paths as seen from a folder, once each, and those that lie outside of it. Files that
// are not there are left out.
func withinFolder(folder string, paths []string) (names, outside []string) {
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			continue
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
		if err != nil {
			continue
		}
		name, err := filepath.Rel(folder, filepath.Join(dir, filepath.Base(path)))
		if err != nil || !filepath.IsLocal(name) {
			outside = append(outside, path)
			continue
		}
		names = append(names, filepath.ToSlash(name))
	}
	slices.Sort(names)
	return slices.Compact(names), outside
}

// pullStudy unpacks a run that was handed over.
func (a *app) pullStudy(cmd *cobra.Command, args []string, f remoteFlags) (err error) {
	store, err := a.openNamedRemote(cmd, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	name, id := "", ""
	if len(args) > 0 {
		name, id, _ = strings.Cut(args[0], "/")
	}
	study, err := store.remote.Study(cmd.Context(), name, id)
	if errors.Is(err, fs.ErrNotExist) {
		return exitError{exitUsage, err}
	}
	if err != nil {
		return exitError{exitUnavailable, err}
	}
	err = engine.Deliver(".", func(draft string) error { return store.remote.Unpack(cmd.Context(), study, draft) })
	if err != nil {
		return exitError{exitFailed, fmt.Errorf("unpacking study %s: %w", study.Name, err)}
	}
	past, err := engine.Restore(runsFolder, study.Name, study.ID)
	if err != nil {
		return exitError{exitFailed, err}
	}
	if err := store.AddRun(past.Dir); err != nil {
		return exitError{exitFailed, err}
	}
	fmt.Fprintf(a.out, "study %s/%s: %s\n", past.Name, past.ID, plural(len(study.Files), "file"))
	return a.pullItems(cmd, store, study.Items)
}
