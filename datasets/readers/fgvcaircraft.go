package readers

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"regft/datasets"
)

func init() { datasets.Register("fgvcaircraft", fgvcAircraft{}) }

// fgvcAircraft is FGVC-Aircraft's own layout, by variants: labels are lines of variants.txt. (Published code that sorts folder names
// instead swaps F-16A/B and F/A-18.)
type fgvcAircraft struct{}

func (fgvcAircraft) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if err := errors.Join(ctx.Err(), checkSplit(r, splitNames...)); err != nil {
		return nil, err
	}
	t := &tree{root: r.Root}
	names, labels, err := t.numbered("variants.txt")
	if errors.Is(err, fs.ErrNotExist) {
		if l, err := classFoldersOf(ctx, t, "fgvcaircraft", "images", nil, r.Split); !errors.Is(err, errNoClassFolders) {
			return l, err
		}
	}
	if err != nil {
		return nil, err
	}
	l := &datasets.Listing{}
	for _, name := range names {
		l.Classes = append(l.Classes, datasets.Class{Folder: name, Name: name})
	}
	items, err := t.listed("images_variant_"+r.Split+".txt", func(line string) (item, error) {
		number, variant, _ := strings.Cut(line, " ")
		label, ok := labels[variant]
		if !ok {
			return item{}, errors.New("want a picture's number, a space, and a variant of variants.txt")
		}
		return item{"images/" + number + ".jpg", label, variant}, nil
	})
	if err != nil {
		return nil, err
	}
	l.Samples, err = t.samples(splits{r.Split: items}, r.Split)
	return l, err
}
