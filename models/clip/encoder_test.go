package clip_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	gomlx "github.com/gomlx/compute"
	"github.com/google/go-cmp/cmp"

	"regft/models/clip"
	"regft/models/internal/golden"
	"regft/models/nn"
	"regft/models/safetensors"
)

// random gives a tensor for every parameter that an encoder asks for.
func random(t testing.TB, b gomlx.Backend, parameters nn.Shapes) nn.Weights {
	t.Helper()
	r, arrays := rand.New(rand.NewPCG(1, 2)), nn.Arrays{}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		shape, size := parameters[name], 1
		for _, d := range shape {
			size *= d
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(r.NormFloat64()) * 0.05
		}
		arrays[name] = nn.Array{Shape: shape, Values: values}
	}
	return load(t, b, arrays, nil)
}

func noise(n int) []float32 {
	r, values := rand.New(rand.NewPCG(3, 4)), make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return values
}

// TestRowsDependOnNoOthers: a picture's features have the same bits first or last, in full batches or in a padded one,
// and while other goroutines use the encoder.
func TestRowsDependOnNoOthers(t *testing.T) {
	b := backend(t)
	c := open(t, b, golden.Dir(t, "clip-tiny-quickgelu")).Config
	encoder, err := c.NewImageEncoder(b, clip.Batch)
	if err != nil {
		t.Fatal(err)
	}
	weights := random(t, b, encoder.Parameters())
	const pictures = 2*clip.Batch + 3
	row := c.Vision.Channels * c.Vision.Image * c.Vision.Image
	pixels := noise(pictures * row)
	encode := func(rows []float32) []float32 {
		z, err := encoder.Encode(context.Background(), weights, rows)
		if err != nil {
			t.Error(err)
		}
		return z
	}
	want := encode(pixels)
	var wg sync.WaitGroup
	for _, i := range []int{0, clip.Batch - 1, clip.Batch, pictures - 1} {
		wg.Go(func() {
			got := encode(pixels[i*row : (i+1)*row])
			if !slices.Equal(got, want[i*c.Projection:(i+1)*c.Projection]) {
				t.Errorf("picture %d has other features alone", i)
			}
		})
	}
	wg.Wait()
}

func TestEncoderMistakes(t *testing.T) {
	b := backend(t)
	c := open(t, b, golden.Dir(t, "clip-tiny-quickgelu")).Config
	encoder, err := c.NewHead(b, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := encoder.Encode(ctx, nil, make([]float32, c.Projection+1)); err == nil || !strings.Contains(err.Error(), "no whole number") {
		t.Errorf("got %v for half a row", err)
	}
	if _, err := encoder.Encode(ctx, nil, make([]float32, c.Projection)); err == nil || !strings.Contains(err.Error(), "head.weight") {
		t.Errorf("got %v, want an error that names the missing weights", err)
	}
	cancel()
	if _, err := encoder.Encode(ctx, nil, make([]float32, c.Projection)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the end of the context", err)
	}
	if _, err := c.NewTextEncoder(b, 1, c.Text.Positions+1); err == nil || !strings.Contains(err.Error(), "1 to 77 tokens") {
		t.Errorf("got %v for too many tokens", err)
	}
	if _, err := c.NewImageEncoder(b, 0); err == nil {
		t.Error("a batch of 0 was compiled")
	}
}

// TestPoolOfOldConfigs: EOS 2 means the highest token, wherever it is; otherwise the first EOS counts.
func TestPoolOfOldConfigs(t *testing.T) {
	b := backend(t)
	c := open(t, b, golden.Dir(t, "clip-tiny-quickgelu")).Config
	eos := int32(c.Text.EOS)
	features := func(eosTokenID int, tokens ...int32) []float32 {
		old := c
		old.Text.EOS = eosTokenID
		encoder, err := old.NewTextEncoder(b, 1, len(tokens))
		if err != nil {
			t.Fatal(err)
		}
		z, err := encoder.Encode(context.Background(), random(t, b, encoder.Parameters()), tokens)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	want := features(int(eos), 5, 9, eos, 2, eos)
	if !slices.Equal(features(2, 5, 9, eos, 2, eos), want) {
		t.Error("EOS 2 does not pool at the highest token")
	}
	if slices.Equal(features(9, 5, 9, eos, 2, eos), want) {
		t.Error("another EOS pools at the same token")
	}
}

func TestClassifier(t *testing.T) {
	b := backend(t)
	c := open(t, b, golden.Dir(t, "clip-tiny-gelu"))
	dim := c.Config.Projection
	head := func(weight, bias []int) map[string]string {
		var out strings.Builder
		if err := safetensors.WriteTensors(&out, map[string]safetensors.Tensor{
			"weight": safetensors.FromFloat32s(make([]float32, weight[0]*weight[1]), weight...),
			"bias":   safetensors.FromFloat32s(make([]float32, bias[0]), bias...),
		}); err != nil {
			t.Fatal(err)
		}
		return map[string]string{clip.HeadFile: out.String()}
	}
	got, err := c.Classifier(folder(t, head([]int{3, dim}, []int{3})))
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.ImageTower()
	if err != nil {
		t.Fatal(err)
	}
	want[clip.HeadWeight] = nn.Array{Shape: []int{3, dim}, Values: make([]float32, 3*dim)}
	want[clip.HeadBias] = nn.Array{Shape: []int{3}, Values: make([]float32, 3)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for text, change := range map[string]map[string]string{
		"does not exist":              nil,
		"bias is [4], the config":     head([]int{3, dim}, []int{4}),
		"weight is [3 5], the config": head([]int{3, 5}, []int{3}),
		"head.safetensors":            {clip.HeadFile: "truncated"},
	} {
		if _, err := c.Classifier(folder(t, change)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want an error with %q", err, text)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	for _, name := range []string{"clip-tiny-quickgelu", "clip-tiny-gelu"} {
		b.Run(name, func(b *testing.B) {
			backend := backend(b)
			benchmarkForward(b, backend, open(b, backend, golden.Dir(b, name)).Config)
		})
	}
	b.Run("clip-nano", func(b *testing.B) { benchmarkForward(b, backend(b), nano()) })
}

// nano is the config of the drawn world's checkpoint.
func nano() clip.Config {
	c := clip.Config{Text: clip.DefaultTextConfig(), Vision: clip.DefaultVisionConfig(), Projection: 64}
	c.Vision.Width, c.Vision.Intermediate, c.Vision.Layers, c.Vision.Heads = 128, 384, 4, 4
	c.Vision.Image, c.Vision.Patch = 32, 4
	return c
}

// benchmarkForward measures the image tower on one batch; pictures/s is the figure of docs/benchmarks.md.
func benchmarkForward(b *testing.B, backend gomlx.Backend, c clip.Config) {
	encoder, err := c.NewImageEncoder(backend, clip.Batch)
	if err != nil {
		b.Fatal(err)
	}
	weights := random(b, backend, encoder.Parameters())
	pixels := noise(clip.Batch * c.Vision.Channels * c.Vision.Image * c.Vision.Image)
	for b.Loop() {
		if _, err := encoder.Encode(context.Background(), weights, pixels); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(clip.Batch*b.N)/b.Elapsed().Seconds(), "pictures/s")
}
