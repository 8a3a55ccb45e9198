package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"regft/datasets"
	"regft/stages"
)

// collectImages takes a folder of pictures that a program left: with a metadata.jsonl the pictures that it names and
// that are there, else a folder for each class.
func collectImages(ctx context.Context, env *stages.Env, out, dir string) error {
	set, err := foundImages(ctx, dir)
	if err != nil {
		return err
	}
	for i, im := range set.images {
		f, err := env.Host.Put(ctx, filepath.Join(dir, filepath.FromSlash(im.FileName)))
		if err != nil {
			return err
		}
		f.Name = im.FileName
		set.images[i].blob = f
	}
	return set.write(env, out, 0)
}

func foundImages(ctx context.Context, dir string) (*imageSet, error) {
	f, err := os.Open(filepath.Join(dir, datasets.MetadataFile))
	if errors.Is(err, fs.ErrNotExist) {
		return listedImages(ctx, dir)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := datasets.ReadRows(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", datasets.MetadataFile, err)
	}
	set := &imageSet{}
	if set.classes, err = foundClasses(dir); err != nil {
		return nil, err
	}
	if err := datasets.CheckLabels(rows, set.classes); err != nil {
		return nil, fmt.Errorf("reading %s: %w", datasets.MetadataFile, err)
	}
	for _, row := range rows {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(row.FileName))); err == nil {
			set.images = append(set.images, image{Row: row})
		}
	}
	return set, nil
}

// foundClasses reads classes.txt; pictures without labels come without one.
func foundClasses(dir string) ([]datasets.Class, error) {
	text, err := os.ReadFile(filepath.Join(dir, datasets.ClassesFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return datasets.ParseClasses(datasets.Lines(string(text)))
}

func listedImages(ctx context.Context, dir string) (*imageSet, error) {
	classes, err := foundClasses(dir)
	if err != nil {
		return nil, err
	}
	if names, err := tree(ctx, dir); err != nil || len(names) == 0 || len(names) == 1 && classes != nil {
		return &imageSet{classes: classes}, err // no pictures
	}
	l, err := datasets.List(ctx, datasets.Request{Format: "imagefolder", Root: dir, Classes: classes})
	if err != nil {
		return nil, err
	}
	set := &imageSet{classes: l.Classes}
	for _, s := range l.Samples {
		set.images = append(set.images, image{Row: datasets.Row{FileName: s.Name, Label: s.Label, Class: s.Class, Origin: "exec"}})
	}
	return set, nil
}
