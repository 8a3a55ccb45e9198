package readers

import "regft/datasets"

// The official lists of the Describable Textures Dataset, in labels/, are not what CoOp's users split it by.
func init() {
	datasets.Register("dtd", splitFile{images: "images", file: "split_zhou_DescribableTextures.json", fallback: classFolders("images", nil, nil), format: "dtd"})
}
