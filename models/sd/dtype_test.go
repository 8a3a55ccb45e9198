package sd_test

import (
	"context"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"regft/models/internal/golden"
	"regft/models/sd"
)

// TestHalfWeights makes the goldens' pictures with weights that are kept in half the memory: a little different, by a
// rounding of each weight.
func TestHalfWeights(t *testing.T) {
	goldens(t, "model_index.json", func(t *testing.T, dir string) {
		var r run
		golden.JSON(t, dir, &r)
		draw := func(dtype dtypes.DType) (pixels []uint8) {
			p := openPipeline(t, dir, sd.Options{DType: dtype})
			settings := r.settings("ddim")
			settings.Steps = 2
			for im, err := range p.Generate(context.Background(), settings, r.pictures()[:1], sd.Batching{Size: 1, Parallel: 1}) {
				if err != nil {
					t.Fatal(err)
				}
				pixels = append(pixels, im.Pixels.Pix...)
			}
			return pixels
		}
		whole := draw(dtypes.Float32)
		for dtype, tolerance := range map[dtypes.DType]float64{dtypes.Float16: 0.5, dtypes.BFloat16: 3} {
			half := draw(dtype)
			if d := meanDistance(half, whole); slices.Equal(half, whole) || d > tolerance {
				t.Errorf("%s: pixels differ by %.3g of 255 in the mean from float32's, expected up to %g and not 0", dtype, d, tolerance)
			}
		}
	})
}

func meanDistance(a, b []uint8) float64 {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		sum += max(d, -d)
	}
	return float64(sum) / float64(len(a))
}
