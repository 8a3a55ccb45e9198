package readers

import (
	"context"
	"fmt"
	"path"
	"slices"

	"regft/datasets"
)

func init() { datasets.Register("objectnet", objectNet{}) }

// objectNet has 313 folders, of which 113 are classes of ImageNet, too; the others are passed over. A label is the class's rank among
// those 113, whatever is there.
type objectNet struct{}

func (objectNet) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if r.Split != "" {
		if err := checkSplit(r, "test", "val"); err != nil {
			return nil, err
		}
	}
	t := &tree{root: r.Root}
	base, _ := t.firstFolder("images", "objectnet-1.0/images", ".")
	folders, _, err := t.split(ctx, base)
	if err != nil {
		return nil, err
	}
	l := &datasets.Listing{Classes: datasets.ObjectNetClasses()}
	for _, folder := range folders {
		pictures, err := t.pictures(ctx, folder)
		if err != nil {
			return nil, err
		}
		if len(pictures) == 0 {
			return nil, fmt.Errorf("the folder %s has no pictures", t.local(folder))
		}
		label := slices.IndexFunc(l.Classes, func(c datasets.Class) bool { return c.Folder == path.Base(folder) })
		if label < 0 {
			continue
		}
		for _, name := range pictures {
			l.Samples = append(l.Samples, datasets.Sample{Name: name, Label: label})
		}
	}
	l.Skipped = t.skipped
	return l, nil
}
