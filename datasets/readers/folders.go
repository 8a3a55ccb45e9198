package readers

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"regft/datasets"
)

// splitFolders are what folders of splits are called in copies that have a folder for each class, as those have that people make where
// links are dead.
var splitFolders = map[string][]string{"train": {"train"}, "val": {"val", "valid", "validation"}, "test": {"test"}}

// errNoClassFolders says that a folder is in no such layout.
var errNoClassFolders = errors.New("no folders of splits with folders that are called as the classes")

// classFoldersOf lists SPLIT/CLASS/… below the root or below the folder `images` of it. Labels are those of the published list: a folder
// stands for the class whose name differs in case, spaces, punctuation, the place of a year or the order of words alone, or that `called`
// has for it; of the flowers also for the class of its number. So a missing folder shifts no labels.
func classFoldersOf(ctx context.Context, t *tree, format, images string, called map[string]string, split string) (*datasets.Listing, error) {
	bases := map[string]string{}
	for name, folders := range splitFolders {
		var candidates []string
		for _, f := range folders {
			candidates = append(candidates, f, path.Join(images, f))
		}
		if base, ok := t.firstFolder(candidates...); ok {
			bases[name] = base
		}
	}
	l := &datasets.Listing{Classes: datasets.CoOpClasses(format)}
	label := classFinder(format, l.Classes, called)
	if !isClassLayout(ctx, t, bases, label) {
		return nil, errNoClassFolders
	}
	base, ok := bases[split]
	if !ok {
		return nil, fmt.Errorf("%w: %s has no folder %s", datasets.ErrNoSplit, t.root, strings.Join(splitFolders[split], ", "))
	}
	folders, stray, err := t.split(ctx, base)
	if err != nil {
		return nil, err
	}
	if stray != nil {
		return nil, fmt.Errorf("%d pictures lie beside the class folders in %s: %s", len(stray), t.local(base), datasets.Names(names(stray)))
	}
	owner := map[int]string{}
	for _, folder := range folders {
		class := label(path.Base(folder))
		if class == noClass {
			continue
		}
		if class < 0 {
			return nil, fmt.Errorf("the folder %s is called as no class of %s%s", t.local(folder), format, nearestClass(path.Base(folder), l.Classes))
		}
		if other, twice := owner[class]; twice {
			return nil, fmt.Errorf("the folders %s and %s are both called as the class %q", t.local(other), t.local(folder), l.Classes[class].Name)
		}
		owner[class] = folder
		pictures, err := t.pictures(ctx, folder)
		if err != nil {
			return nil, err
		}
		for _, name := range pictures {
			l.Samples = append(l.Samples, datasets.Sample{Name: name, Label: class})
		}
	}
	l.Skipped = t.skipped
	l.Warnings = append(l.Warnings, fmt.Sprintf("the folders in %s are the classes and the splits: published numbers are on the published lists' splits", t.local(base)))
	return l, nil
}

// isClassLayout tells whether most folders of a split are called as classes.
func isClassLayout(ctx context.Context, t *tree, bases map[string]string, label func(string) int) bool {
	all, known := 0, 0
	for _, base := range bases {
		folders, _, err := (&tree{root: t.root}).split(ctx, base)
		if err != nil {
			return false
		}
		for _, f := range folders {
			switch class := label(path.Base(f)); {
			case class == noClass:
				continue
			case class >= 0:
				known++
			}
			all++
		}
	}
	return known > all/2
}

// noClass is the label of folders that published readers leave out.
const noClass = -2

// classFinder returns a function that gives the label of a folder's name, -1 for none. Folders that `called` calls "" have noClass.
func classFinder(format string, classes []datasets.Class, called map[string]string) func(folder string) int {
	labels := map[string]int{}
	for i, c := range classes {
		labels[letters(c.Name)] = i
	}
	return func(folder string) int {
		if other, ok := called[folder]; ok {
			folder = other
			if other == "" {
				return noClass
			}
		}
		if n, err := strconv.Atoi(folder); err == nil && format == "flowers102" && n >= 1 && n <= len(classes) {
			return n - 1
		}
		words := strings.FieldsFunc(folder, func(r rune) bool { return r == ' ' || r == '_' })
		for _, order := range orders(words) {
			if label, ok := labels[letters(strings.Join(order, ""))]; ok {
				return label
			}
		}
		return -1
	}
}

// orders are the ways in which lists order a name's words: as they are, the last (a car's year) first, from the last to the first.
func orders(words []string) [][]string {
	if len(words) < 2 {
		return [][]string{words}
	}
	last := len(words) - 1
	reversed := slices.Clone(words)
	slices.Reverse(reversed)
	return [][]string{words, append([]string{words[last]}, words[:last]...), reversed}
}

// letters are a name's letters and digits, in lower case.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

func nearestClass(name string, classes []datasets.Class) string {
	var known []string
	for _, c := range classes {
		known = append(known, c.Name)
	}
	if near := datasets.Nearest(name, known); near != "" {
		return fmt.Sprintf(": is it %q?", near)
	}
	return ""
}
