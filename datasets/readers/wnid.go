package readers

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"regft/datasets"
)

// wnidFolders is the layout of ImageNet and its relatives: a folder for each class, called by its WordNet id. Labels are the ids' places
// in the official list, so a folder that is missing shifts none.
type wnidFolders struct {
	t        *tree
	official []datasets.Class
	what     string // what the official list is called in errors
}

// list lists the class folders in base.
func (w wnidFolders) list(ctx context.Context, base string, wanted []datasets.Class) (*datasets.Listing, error) {
	folders, stray, err := w.t.split(ctx, base)
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		return nil, fmt.Errorf("%s has no class folders, and %d pictures: sort them into one folder for each class, called by its WordNet id (for ImageNet's validation pictures, valprep.sh does it)",
			w.t.local(base), len(stray))
	}
	classes, err := classNames(w.t, w.official)
	if err != nil {
		return nil, err
	}
	l := &datasets.Listing{Classes: classes}
	for _, folder := range folders {
		label := slices.IndexFunc(w.official, func(c datasets.Class) bool { return c.Folder == path.Base(folder) })
		switch {
		case label < 0:
			return nil, fmt.Errorf("the folder %s is no class of %s", w.t.local(folder), w.what)
		case wanted != nil && !slices.ContainsFunc(wanted, func(c datasets.Class) bool { return c.Folder == path.Base(folder) || c.Folder == classes[label].Name }):
			continue
		case classes[label].Name == "":
			return nil, fmt.Errorf("%s has no line for %s, of which there is the folder %s", w.t.local(classNamesFile), classes[label].Folder, w.t.local(folder))
		}
		pictures, err := w.t.pictures(ctx, folder)
		if err != nil {
			return nil, err
		}
		if len(pictures) == 0 {
			return nil, fmt.Errorf("the class folder %s has no pictures", w.t.local(folder))
		}
		for _, name := range pictures {
			l.Samples = append(l.Samples, datasets.Sample{Name: name, Label: label})
		}
	}
	fillNames(classes, w.official)
	l.Skipped = w.t.skipped
	return l, nil
}

// classNamesFile is CoOp's list of ImageNet's class names.
const classNamesFile = "classnames.txt"

// classLine is a line of it; all other lines are passed over, as CoOp's file has some.
var classLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(n\d{8}) (.*\S)\s*$`) })

// classNames returns the official classes with the names that the dataset's classnames.txt gives their ids, if there is one; a class
// that it lacks has no name.
func classNames(t *tree, official []datasets.Class) ([]datasets.Class, error) {
	if !t.exists(classNamesFile) {
		return official, nil
	}
	lines, err := t.lines(classNamesFile)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, line := range lines {
		if m := classLine().FindStringSubmatch(strings.TrimSuffix(line, "\r")); m != nil {
			names[m[1]] = m[2]
		}
	}
	classes := make([]datasets.Class, len(official))
	for i, c := range official {
		classes[i] = datasets.Class{Folder: c.Folder, Name: names[c.Folder]}
	}
	return classes, nil
}

// fillNames gives classes that have no name, and no pictures either, their official one.
func fillNames(classes, official []datasets.Class) {
	for i := range classes {
		if classes[i].Name == "" {
			classes[i].Name = official[i].Name
		}
	}
}

// checkSplit wants the split to be one that the dataset has.
func checkSplit(r datasets.Request, splits ...string) error {
	switch {
	case slices.Contains(splits, r.Split):
		return nil
	case r.Split == "":
		return fmt.Errorf("%w: %s", datasets.ErrWhichSplit, strings.Join(splits, ", "))
	}
	return fmt.Errorf("there is no split %q: want one of %s", r.Split, strings.Join(splits, ", "))
}

// warnOfTest warns who takes the pictures of a set that is for testing as training pictures (CoOp's readers list them under that name).
func warnOfTest(l *datasets.Listing, r datasets.Request) {
	if r.Split == "train" {
		l.Warnings = append(l.Warnings, "this dataset has test pictures alone, and split train gives the same ones: do not test on what you train on")
	}
}
