package builtin

import (
	"fmt"
	"path/filepath"

	"regft/datasets"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/stages"
)

// collectClassifier takes a classifier that a program left, and splits it as all classifiers are split: so two of one
// source share what they have in common, and can be merged.
func collectClassifier(env *stages.Env, out, folder string) error {
	files, err := checkpoint.DirFiles(folder)
	if err != nil {
		return err
	}
	backend, err := backendOf(env)
	if err != nil {
		return err
	}
	c, err := clip.Open(backend, files)
	if err != nil {
		return err
	}
	defer c.Close()
	head, err := clip.ReadHead(files, c.Config.Projection)
	if err != nil {
		return err
	}
	classes, err := datasets.ReadClasses(filepath.Join(folder, datasets.ClassesFile))
	if err != nil {
		return err
	}
	if rows := head[clip.HeadWeight].Shape[0]; rows != len(classes) {
		return fmt.Errorf("%s has %d classes, and %s is for %d", datasets.ClassesFile, len(classes), clip.HeadFile, rows)
	}
	dir, err := env.OutputDir(out)
	if err != nil {
		return err
	}
	return writeClassifier(dir, files, c, head, classes)
}
