package preprocess

import (
	"math"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"regft/datasets/picture"
	"regft/datasets/pil"
)

func TestOffsetIsTorchvisions(t *testing.T) {
	for excess, want := range map[int]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 2, 7: 4, -1: 0, -2: -1, -3: -1} {
		if got := offset(excess); got != want {
			t.Errorf("offset(%d) = %d, want %d", excess, got, want)
		}
	}
}

func TestResizeGivesTheCrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := pil.New(rapid.IntRange(1, 90).Draw(t, "width"), rapid.IntRange(1, 90).Draw(t, "height"))
		clip := ForSize(rapid.IntRange(1, 40).Draw(t, "size"))
		clip.Crop = rapid.IntRange(1, 50).Draw(t, "crop")
		out, err := clip.Resize(im)
		if err != nil {
			t.Fatal(err)
		}
		if out.Width != clip.Crop || out.Height != clip.Crop {
			t.Fatalf("%d x %d pixels", out.Width, out.Height)
		}
	})
}

func TestTrainDependsOnSeedEpochAndSampleAlone(t *testing.T) {
	im := pil.New(50, 40)
	for i := range im.Pix {
		im.Pix[i] = uint8(i * 7 / 3)
	}
	clip := ForSize(16)
	values := func(seed uint64, epoch, sample int) []float32 {
		out := make([]float32, clip.Values())
		if err := clip.Train(im, TipAdapter, seed, epoch, sample, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := values(1, 2, 3)
	if !slices.Equal(base, values(1, 2, 3)) {
		t.Error("the same draw twice is not the same")
	}
	for _, other := range [][]float32{values(2, 2, 3), values(1, 3, 3), values(1, 2, 4), values(1, 3, 2)} {
		if slices.Equal(base, other) {
			t.Error("another seed, epoch or sample draws the same")
		}
	}
}

func TestCropIsWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 600).Draw(t, "width"), rapid.IntRange(1, 600).Draw(t, "height")
		for sample := range 20 {
			r := TipAdapter.crop(width, height, newDraws(0, 0, sample))
			if r.X < 0 || r.Y < 0 || r.Width < 1 || r.Height < 1 || r.X+r.Width > width || r.Y+r.Height > height {
				t.Fatalf("%v of %d x %d", r, width, height)
			}
		}
	})
	area, flips := 0.0, 0
	const n = 4000
	for sample := range n {
		d := newDraws(7, 1, sample)
		r := TipAdapter.crop(400, 300, d)
		area += float64(r.Width*r.Height) / (400 * 300)
		if d.uniform(0, 1) < TipAdapter.Flip {
			flips++
		}
	}
	// 200,000 draws of the same rule written in Python, with Python's random numbers, gave a mean area of 0.662.
	if mean := area / n; math.Abs(mean-0.662) > 0.01 {
		t.Errorf("mean area %.3f", mean)
	}
	if f := float64(flips) / n; math.Abs(f-0.5) > 0.03 {
		t.Errorf("%.3f flipped", f)
	}
}

func TestCropOfExtremeShapes(t *testing.T) {
	if r := RegFT.crop(1000, 10, newDraws(0, 0, 0)); r != (pil.Rect{X: 493, Y: 0, Width: 13, Height: 10}) {
		t.Errorf("wide: %v", r)
	}
	if r := RegFT.crop(10, 1000, newDraws(0, 0, 0)); r != (pil.Rect{X: 0, Y: 493, Width: 10, Height: 13}) {
		t.Errorf("tall: %v", r)
	}
}

// BenchmarkEvaluate is the whole way from a JPEG file of 500 x 375 pixels (4:2:0, quality 90) to the values for ViT-B/16.
func BenchmarkEvaluate(b *testing.B) {
	data, err := os.ReadFile("testdata/500x375.jpg")
	if err != nil {
		b.Fatal(err)
	}
	clip := ForSize(224)
	out := make([]float32, clip.Values())
	b.Run("decode", func(b *testing.B) {
		defer reportCPU(b)()
		for b.Loop() {
			if _, err := picture.Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("both", func(b *testing.B) {
		defer reportCPU(b)()
		for b.Loop() {
			im, err := picture.Decode(data)
			if err == nil {
				err = clip.Evaluate(im, out)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	im, err := picture.Decode(data)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("preprocess", func(b *testing.B) {
		defer reportCPU(b)()
		for b.Loop() {
			if err := clip.Evaluate(im, out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("augment", func(b *testing.B) {
		for b.Loop() {
			if err := clip.Train(im, RegFT, 1, 2, 3, out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// reportCPU reports what the process took of processors in CPU milliseconds an operation, which other work on the machine touches less
// than time by the clock: see bench/preprocess.
func reportCPU(b *testing.B) func() {
	start := cpuTime(b)
	return func() { b.ReportMetric((cpuTime(b)-start).Seconds()*1e3/float64(b.N), "cpu-ms/op") }
}
