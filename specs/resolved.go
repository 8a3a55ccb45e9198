package specs

import "regft/specs/source"

// LoadResolved reads the resolved spec that a run has left at path, its relative paths starting at folder dir.
func LoadResolved(path, dir string) (*Spec, Diagnostics) {
	tree, problems := source.Load(path, nil)
	if tree != nil {
		tree.Dir = dir
	}
	return check(tree, path, problems)
}
