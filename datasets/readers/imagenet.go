package readers

import (
	"context"
	"fmt"

	"regft/datasets"
)

func init() { datasets.Register("imagenet", imageNet{}) }

// imageNet is ILSVRC 2012: images/{train,val}/WNID/… with classnames.txt beside (CoOp), {train,val}/WNID/… (WiSE-FT, torchvision), or
// the latter below ILSVRC/Data/CLS-LOC (Kaggle).
// The test pictures have no labels, so test is val, as in the published readers. val_in_folder goes before val, as in WiSE-FT.
type imageNet struct{}

func (imageNet) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if err := checkSplit(r, "train", "val", "test"); err != nil {
		return nil, err
	}
	t := &tree{root: r.Root}
	candidates := []string{"images/val_in_folder", "images/val", "val_in_folder", "val", "ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val"}
	if r.Split == "train" {
		candidates = []string{"images/train", "train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train"}
	}
	base, ok := t.firstFolder(candidates...)
	if !ok {
		return nil, fmt.Errorf("%s has none of the folders %s", r.Root, datasets.Names(candidates))
	}
	return wnidFolders{t, datasets.ImageNetClasses(), "ImageNet"}.list(ctx, base, r.Classes)
}
