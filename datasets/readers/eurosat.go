package readers

import "regft/datasets"

// euroSATNames are CoOp's names of EuroSAT's folders.
var euroSATNames = map[string]string{
	"AnnualCrop": "Annual Crop Land", "Forest": "Forest", "HerbaceousVegetation": "Herbaceous Vegetation Land", "Highway": "Highway or Road",
	"Industrial": "Industrial Buildings", "Pasture": "Pasture Land", "PermanentCrop": "Permanent Crop Land", "Residential": "Residential Buildings",
	"River": "River", "SeaLake": "Sea or Lake",
}

func init() {
	datasets.Register("eurosat", splitFile{images: "2750", file: "split_zhou_EuroSAT.json", fallback: classFolders("2750", nil, euroSATNames), format: "eurosat", called: euroSATNames})
}
