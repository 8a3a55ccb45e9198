package specs

import (
	"path/filepath"

	"regft/specs/source"
)

// LoadResolved reads the resolved spec that a run has left at path, its relative paths starting at folder dir.
func LoadResolved(path, dir string) (*Spec, Diagnostics) {
	tree, problems := source.Load(path, nil)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, Diagnostics{{Severity: Error, File: path, Summary: err.Error()}}
	}
	if tree != nil {
		tree.Dir = abs
	}
	return check(tree, path, problems)
}
