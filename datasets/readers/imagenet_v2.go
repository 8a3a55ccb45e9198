package readers

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"regft/datasets"
)

func init() { datasets.Register("imagenet_v2", imageNetV2{}) }

// imageNetV2 has folders called by their labels, 0 to 999, so that 10 sorts before 2 and the name is the label all the same. A label's
// class is ImageNet's of that number, whatever line of classnames.txt its name is in.
type imageNetV2 struct{}

func (imageNetV2) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if r.Split != "" {
		if err := checkSplit(r, "test", "val", "train"); err != nil {
			return nil, err
		}
	}
	t := &tree{root: r.Root}
	base, _ := t.firstFolder("imagenetv2-matched-frequency-format-val", "ImageNetV2-matched-frequency", ".")
	folders, _, err := t.split(ctx, base)
	if err != nil {
		return nil, err
	}
	classes, err := classNames(t, datasets.ImageNetClasses())
	if err != nil {
		return nil, err
	}
	l := &datasets.Listing{Classes: classes}
	for _, folder := range folders {
		label, err := strconv.Atoi(path.Base(folder))
		if err != nil || label < 0 || label >= len(classes) {
			return nil, fmt.Errorf("the folder %s is no label from 0 to %d", t.local(folder), len(classes)-1)
		}
		if classes[label].Name == "" {
			return nil, fmt.Errorf("%s has no line for %s, of which there is the folder %s", t.local(classNamesFile), classes[label].Folder, t.local(folder))
		}
		pictures, err := t.pictures(ctx, folder)
		if err != nil {
			return nil, err
		}
		for _, name := range pictures {
			l.Samples = append(l.Samples, datasets.Sample{Name: name, Label: label})
		}
	}
	fillNames(classes, datasets.ImageNetClasses())
	l.Skipped = t.skipped
	warnOfTest(l, r)
	return l, nil
}
