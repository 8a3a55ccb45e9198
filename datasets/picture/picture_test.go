package picture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"regft/datasets/pil"
)

type expectation struct {
	Width, Height int
	SHA256        string
}

func expectations(t *testing.T) map[string]expectation {
	t.Helper()
	data, err := os.ReadFile("testdata/pictures/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]expectation
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	if len(expected) == 0 {
		t.Fatal("no pictures")
	}
	return expected
}

func open(t *testing.T, name string) *pil.Image {
	t.Helper()
	im, err := Open(filepath.Join("testdata/pictures", name))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func TestDecodeEqualsPillow(t *testing.T) {
	for name, want := range expectations(t) {
		t.Run(name, func(t *testing.T) {
			im := open(t, name)
			if im.Width != want.Width || im.Height != want.Height {
				t.Fatalf("%d x %d pixels, want %d x %d", im.Width, im.Height, want.Width, want.Height)
			}
			if sum := sha256.Sum256(im.Pix); hex.EncodeToString(sum[:]) != want.SHA256 {
				t.Error("not what Pillow gives")
			}
		})
	}
}
