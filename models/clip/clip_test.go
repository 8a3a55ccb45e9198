package clip_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	gomlx "github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/internal/golden"
	"regft/models/nn"
)

func backend(t testing.TB) gomlx.Backend {
	t.Helper()
	b, err := compute.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

func open(t testing.TB, b gomlx.Backend, dir string) *clip.Checkpoint {
	t.Helper()
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clip.Open(b, files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func load(t testing.TB, b gomlx.Backend, arrays nn.Arrays, err error) nn.Weights {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	w, err := arrays.ToBackend(b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// near demands every value within 1e-4 of the largest, stages.md's tolerance.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, largest := 0.0, 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	if !(worst <= 1e-4*largest) {
		t.Errorf("%s: off by %.3g, largest value %.3g", what, worst, largest)
	}
}

func TestGoldens(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(golden.Dir(t, "clip-*"), "model.safetensors"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { testGolden(t, dir) })
	}
}

func testGolden(t *testing.T, dir string) {
	b, g, ctx := backend(t), golden.Open(t, dir), context.Background()
	c := open(t, b, dir)
	image, err := c.ImageTower()
	vision := load(t, b, image, err)
	others, err := c.TextTower()
	text := load(t, b, others, err)

	pixels, ids := g.Float32s("pixel_values"), int32s(g.Int64s("input_ids"))
	for _, batch := range []int{1, 3, len(ids)} { // smaller, with a padded last batch, larger
		images, err := c.Config.NewImageEncoder(b, batch)
		if err != nil {
			t.Fatal(err)
		}
		z, err := images.Encode(ctx, vision, pixels)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "image features", z, g.Float32s("image_features"))
	}
	texts, err := c.Config.NewTextEncoder(b, 2, g.Shape("input_ids")[1])
	if err != nil {
		t.Fatal(err)
	}
	e, err := texts.Encode(ctx, text, ids)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "text features", e, g.Float32s("text_features"))
	near(t, "vision_last_hidden_state", hidden(t, b, c.Config, vision, pixels), g.Float32s("vision_last_hidden_state"))
	near(t, "logits", zeroshot(t, b, c, e, g.Float32s("image_features")), g.Float32s("logits_per_image"))
}

func hidden(t *testing.T, b gomlx.Backend, c clip.Config, w nn.Weights, pixels []float32) []float32 {
	t.Helper()
	dims := []int{-1, c.Vision.Channels, c.Vision.Image, c.Vision.Image}
	dims[0] = len(pixels) / (dims[1] * dims[2] * dims[3])
	program, err := nn.Builder{Backend: b}.Compile("image tower", func(p nn.Params, in []*Node) []*Node {
		return []*Node{c.Vision.Hidden(p, in[0])}
	}, shapes.Make(dtypes.Float32, dims...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := program.Run(t.Context(), w, tensors.FromFlatDataAndDimensions(pixels, dims...))
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](out[0])
}

// zeroshot classifies image features z by a head made of text features e: exp(logit_scale)·normalize(e).
func zeroshot(t *testing.T, b gomlx.Backend, c *clip.Checkpoint, e, z []float32) []float32 {
	t.Helper()
	scale, err := c.Weights.Float32s("logit_scale")
	if err != nil {
		t.Fatal(err)
	}
	dim := c.Config.Projection
	classes := len(e) / dim
	for i := range classes {
		row, sum := e[i*dim:(i+1)*dim], 0.0
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		for j := range row {
			row[j] *= float32(math.Exp(float64(scale[0])) / math.Sqrt(sum))
		}
	}
	head := nn.Arrays{
		clip.HeadWeight: {Shape: []int{classes, dim}, Values: e},
		clip.HeadBias:   {Shape: []int{classes}, Values: make([]float32, classes)},
	}
	program, err := c.Config.NewHead(b, 4, classes)
	if err != nil {
		t.Fatal(err)
	}
	logits, err := program.Encode(context.Background(), load(t, b, head, nil), z)
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

func int32s(v []int64) []int32 {
	out := make([]int32, len(v))
	for i := range v {
		out[i] = int32(v[i])
	}
	return out
}
