package preprocess

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"regft/datasets/picture"
	"regft/datasets/pil"
)

// tensor is one of golden.safetensors.
type tensor struct {
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Span  [2]int `json:"data_offsets"`
	data  []byte
}

func tensors(t *testing.T, path string) map[string]tensor {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	header, body := data[8:8+n], data[8+n:]
	all := map[string]tensor{}
	if err := json.Unmarshal(header, &all); err != nil {
		t.Fatal(err)
	}
	for name, v := range all {
		v.data = body[v.Span[0]:v.Span[1]]
		all[name] = v
	}
	return all
}

func (v tensor) floats() []float32 {
	out := make([]float32, len(v.data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(v.data[4*i:]))
	}
	return out
}

// picture turns [3, height, width] bytes into a picture.
func (v tensor) picture() *pil.Image {
	im := pil.New(v.Shape[2], v.Shape[1])
	plane := im.Width * im.Height
	for i := range im.Pix {
		im.Pix[i] = v.data[i%3*plane+i/3]
	}
	return im
}

// TestGoldens runs over every golden folder of pictures: decoded as Pillow does (JPEG: within 3), resized from the golden's decoded
// picture exactly, and normalised exactly.
func TestGoldens(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/goldens/preprocess*/golden.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, path := range paths {
		var golden struct {
			Cases []struct {
				Key, File string
				Size      int
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Dir(path)
		all := tensors(t, filepath.Join(folder, "golden.safetensors"))
		for _, c := range golden.Cases {
			t.Run(c.File, func(t *testing.T) {
				decoded := all[c.Key+".decoded"].picture()
				checkDecoded(t, filepath.Join(folder, c.File), decoded)
				clip := ForSize(c.Size)
				resized, err := clip.Resize(decoded)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(resized.Pix, all[c.Key+".resized"].picture().Pix) {
					t.Error("resized: not what Pillow gives")
				}
				values := make([]float32, clip.Values())
				if err := clip.Evaluate(decoded, values); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(values, all[c.Key+".pixel_values"].floats()) {
					t.Error("pixel values: not what torchvision gives")
				}
			})
		}
	}
}

func checkDecoded(t *testing.T, path string, want *pil.Image) {
	t.Helper()
	im, err := picture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if im.Width != want.Width || im.Height != want.Height {
		t.Fatalf("%d x %d pixels, want %d x %d", im.Width, im.Height, want.Width, want.Height)
	}
	largest, total := 0, 0
	for i, v := range im.Pix {
		d := int(v) - int(want.Pix[i])
		d = max(d, -d)
		largest, total = max(largest, d), total+d
	}
	allowed := 0
	if filepath.Ext(path) == ".jpg" {
		allowed = 3
		t.Logf("largest difference %d, mean %.3f", largest, float64(total)/float64(len(im.Pix)))
	}
	if largest > allowed {
		t.Errorf("decoded: differs from Pillow by up to %d, want at most %d", largest, allowed)
	}
}
