package readers

import (
	"testing"

	"regft/datasets/readertest"
)

func TestGoldens(t *testing.T) {
	readertest.Run(t, "../../testdata/goldens/datasets", readertest.Cases{
		"imagefolder": {
			"a folder without pictures":         {Error: "docs has no pictures"},
			"a hidden folder among the classes": {},
			"a hidden folder in a class":        {},
		},
	})
}
