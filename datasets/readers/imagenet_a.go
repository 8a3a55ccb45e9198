package readers

import "regft/datasets"

func init() {
	datasets.Register("imagenet_a", testFolders{[]string{"imagenet-a", "."}, datasets.ImageNetAClasses, "ImageNet-A"})
}
