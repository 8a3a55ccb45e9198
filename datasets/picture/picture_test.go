package picture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
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
		if strings.HasSuffix(name, ".jpg") {
			continue
		}
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

// difference returns the largest and the mean difference of two pictures' values.
func difference(t *testing.T, a, b *pil.Image) (largest int, mean float64) {
	t.Helper()
	if a.Width != b.Width || a.Height != b.Height {
		t.Fatalf("%d x %d and %d x %d pixels", a.Width, a.Height, b.Width, b.Height)
	}
	total := 0
	for i := range a.Pix {
		d := int(a.Pix[i]) - int(b.Pix[i])
		d = max(d, -d)
		largest, total = max(largest, d), total+d
	}
	return largest, float64(total) / float64(len(a.Pix))
}

func TestJPEGIsCloseToPillow(t *testing.T) {
	for name := range expectations(t) {
		if !strings.HasSuffix(name, ".jpg") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			largest, mean := difference(t, open(t, name), open(t, name+".png"))
			t.Logf("largest difference %d, mean %.3f", largest, mean)
			if largest > 3 || mean > 0.1 {
				t.Errorf("largest difference %d, mean %.3f; want at most 3 and 0.1", largest, mean)
			}
		})
	}
}
