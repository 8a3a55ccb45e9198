package readers

import (
	"context"

	"regft/datasets"
)

func init() {
	datasets.Register("imagenet_r", testFolders{[]string{"imagenet-r", "."}, datasets.ImageNetRClasses, "ImageNet-R"})
}

// testFolders is a set of test pictures in folders called by WordNet ids, in the first of some folders that is there: CoOp's, or the
// dataset's own, which WiSE-FT's users name.
type testFolders struct {
	folders []string
	classes func() []datasets.Class
	what    string
}

func (f testFolders) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if r.Split != "" {
		if err := checkSplit(r, "test", "val", "train"); err != nil {
			return nil, err
		}
	}
	t := &tree{root: r.Root}
	base, _ := t.firstFolder(f.folders...)
	l, err := wnidFolders{t, f.classes(), f.what}.list(ctx, base, r.Classes)
	if err != nil {
		return nil, err
	}
	warnOfTest(l, r)
	return l, nil
}
