package readers

import "regft/datasets"

// caltechNames are CoOp's names for folders that it does not call by theirs.
var caltechNames = map[string]string{"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike"}

// caltechFolders are the same, and the folders that are no classes.
var caltechFolders = map[string]string{"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike", "BACKGROUND_Google": "", "Faces_easy": ""}

func init() {
	datasets.Register("caltech101", splitFile{
		images: "101_ObjectCategories", file: "split_zhou_Caltech101.json",
		fallback: classFolders("101_ObjectCategories", []string{"BACKGROUND_Google", "Faces_easy"}, caltechNames),
		format:   "caltech101", called: caltechFolders,
	})
}
