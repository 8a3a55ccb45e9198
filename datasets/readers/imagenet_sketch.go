package readers

import "regft/datasets"

func init() {
	datasets.Register("imagenet_sketch", testFolders{[]string{"images", "sketch", "."}, datasets.ImageNetClasses, "ImageNet"})
}
