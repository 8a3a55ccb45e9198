package readers

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"regft/datasets"
)

func init() {
	datasets.Register("sun397", splitFile{images: "SUN397", file: "split_zhou_SUN397.json", fallback: sunLists, format: "sun397"})
}

// sunLists reads Training_01.txt and Testing_01.txt, whose lines are /LETTER/CLASS/…/PICTURE; labels are lines of ClassName.txt.
func sunLists(_ context.Context, t *tree) (splits, error) {
	_, labels, err := t.numbered("ClassName.txt")
	if err != nil {
		return nil, err
	}
	parse := func(line string) (item, error) {
		folder := path.Dir(line)
		label, ok := labels[folder]
		if !ok || !strings.HasPrefix(line, "/") {
			return item{}, errors.New("want a path below a folder of ClassName.txt")
		}
		parts := strings.Split(folder, "/")[2:] // without the root and the letter
		slices.Reverse(parts)
		return item{"SUN397" + line, label, strings.Join(parts, " ")}, nil
	}
	trainval, err := t.listed("Training_01.txt", parse)
	if err != nil {
		return nil, err
	}
	test, err := t.listed("Testing_01.txt", parse)
	if err != nil {
		return nil, err
	}
	return heldOut(trainval, test)
}
