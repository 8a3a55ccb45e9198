package readers

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"regft/datasets"
)

func init() { datasets.Register("imagefolder", imageFolder{}) }

// imageFolder is a folder of pictures for each class, as torchvision's ImageFolder has it: ROOT/CLASS/… or ROOT/SPLIT/CLASS/….
// Labels are the lines of the class list or, without one, the ranks of the folders, bytewise by name.
type imageFolder struct{}

// AnyFolder says that folders are no sign of the layout.
func (imageFolder) AnyFolder() {}

func (imageFolder) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	t := &tree{root: r.Root}
	base, err := splitFolder(ctx, t, r)
	if err != nil {
		return nil, err
	}
	folders, stray, err := t.split(ctx, base)
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		return nil, fmt.Errorf("%s has no class folders, and %d pictures: want a folder for each class", t.local(base), len(stray))
	}
	l := &datasets.Listing{}
	if stray != nil {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d pictures lie beside the class folders and are left out: %s", len(stray), datasets.Names(names(stray))))
	}
	if len(folders) == 1 && r.Classes == nil {
		if inner, own, err := (&tree{root: r.Root}).split(ctx, folders[0]); err == nil && own == nil && len(inner) > 1 {
			l.Warnings = append(l.Warnings, fmt.Sprintf("the one class is the folder %s, and what is in its folders counts as it: if those are the classes, give that folder as path", t.local(folders[0])))
		}
	}
	if err := listFolders(ctx, t, l, base, nested(t, base, folders, r.Classes), r.Classes); err != nil {
		return nil, err
	}
	l.Skipped = t.skipped
	return l, nil
}

// listFolders makes every folder a class and lists its pictures. Folders that are not wanted are no more than named.
func listFolders(ctx context.Context, t *tree, l *datasets.Listing, base string, folders []string, wanted []datasets.Class) error {
	for _, folder := range folders {
		name := strings.TrimPrefix(folder, base+"/")
		class := datasets.Class{Folder: name, Name: name}
		label := len(l.Classes)
		l.Classes = append(l.Classes, class)
		if wanted != nil && !slices.ContainsFunc(wanted, func(c datasets.Class) bool { return c.Folder == class.Folder }) {
			continue
		}
		pictures, err := t.pictures(ctx, folder)
		if err != nil {
			return err
		}
		if len(pictures) == 0 {
			return fmt.Errorf("the class folder %s has no pictures", t.local(folder))
		}
		for _, name := range pictures {
			l.Samples = append(l.Samples, datasets.Sample{Name: name, Label: label})
		}
	}
	return nil
}

// nested puts folders in folders in the place of the outer ones, for classes that have a slash in their name: published generated sets have
// F-16A/B as B in F-16A.
func nested(t *tree, base string, folders []string, wanted []datasets.Class) []string {
	for _, c := range wanted {
		outer, _, inner := strings.Cut(c.Folder, "/")
		if !inner || !fs.ValidPath(c.Folder) {
			continue
		}
		if folder, ok := t.firstFolder(path.Join(base, c.Folder)); ok {
			folders = slices.DeleteFunc(folders, func(f string) bool { return f == path.Join(base, outer) })
			folders = append(folders, folder)
		}
	}
	return folders
}

// splitFolder returns the folder, below the root, that holds the class folders.
func splitFolder(ctx context.Context, t *tree, r datasets.Request) (string, error) {
	if r.Split != "" {
		if _, ok := t.firstFolder(r.Split); ok {
			return r.Split, nil
		}
		return "", fmt.Errorf("%w: %s has no folder %q; leave split out if the class folders are in %s itself", datasets.ErrNoSplit, t.root, r.Split, t.root)
	}
	folders, _, err := (&tree{root: r.Root}).split(ctx, ".")
	if err != nil {
		return "", err
	}
	if r.Classes == nil && len(folders) > 0 && !slices.ContainsFunc(folders, func(f string) bool { return !isSplit(f) }) {
		return "", fmt.Errorf("its folders are splits, not classes: %w: %s", datasets.ErrWhichSplit, strings.Join(folders, ", "))
	}
	return ".", nil
}

func isSplit(folder string) bool {
	return slices.Contains([]string{"train", "val", "test", "valid", "validation"}, folder)
}
