package readers

import "regft/datasets"

// The official lists of Food-101, in meta/, are not what CoOp's users split it by.
func init() {
	datasets.Register("food101", splitFile{images: "images", file: "split_zhou_Food101.json", fallback: classFolders("images", nil, nil), format: "food101"})
}
