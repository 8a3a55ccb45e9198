package sd_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/internal/golden"
	"regft/models/nn"
	"regft/models/sd"
)

// benchmarked are the golden's and the shipped example's pipelines.
func benchmarked(t testing.TB) map[string]string {
	return map[string]string{
		"sd21-tiny": golden.Dir(t, "sd21-tiny"),
		"sd-nano":   filepath.Join("..", "..", "examples", "shapes", "checkpoints", "sd-nano"),
	}
}

// BenchmarkUNet is one guided step of a batch: two answers of the U-Net for each picture.
func BenchmarkUNet(b *testing.B) {
	for name, dir := range benchmarked(b) {
		files := open(b, dir)
		c, err := sd.ReadUNetConfig(files)
		if err != nil {
			b.Fatal(err)
		}
		for _, batch := range []int{1, 16} {
			latents := shapes.Make(dtypes.Float32, 2*batch, c.SampleSize, c.SampleSize, c.InChannels)
			text := shapes.Make(dtypes.Float32, 2*batch, 77, c.CrossDim[0])
			unet := func(p nn.Params, in []*Node) []*Node { return []*Node{c.UNet(p, in[0], in[1], in[2], in[1])} }
			b.Run(fmt.Sprintf("%s/batch=%d", name, batch), func(b *testing.B) {
				measure(b, load(b, files, "unet"), batch, unet, latents, shapes.Make(dtypes.Float32), text)
			})
		}
	}
}

// BenchmarkDecode is the VAE's decoder on a batch of latents.
func BenchmarkDecode(b *testing.B) {
	for name, dir := range benchmarked(b) {
		files := open(b, dir)
		c, err := sd.ReadVAEConfig(files)
		if err != nil {
			b.Fatal(err)
		}
		u, err := sd.ReadUNetConfig(files)
		if err != nil {
			b.Fatal(err)
		}
		decode := func(p nn.Params, in []*Node) []*Node { return []*Node{c.Decode(p, in[0])} }
		b.Run(name+"/batch=16", func(b *testing.B) {
			measure(b, load(b, files, "vae"), 16, decode, shapes.Make(dtypes.Float32, 16, u.SampleSize, u.SampleSize, c.LatentChannels))
		})
	}
}

// measure runs f on inputs of those shapes and reports the time for one picture of the batch.
func measure(b *testing.B, c component, batch int, f nn.Func, in ...shapes.Shape) {
	program, err := c.Compile("benchmark", f, in...)
	if err != nil {
		b.Fatal(err)
	}
	weights, err := c.file.Load(c.Backend, dtypes.Float32, slices.Collect(maps.Keys(program.Parameters()))...)
	if err != nil {
		b.Fatal(err)
	}
	inputs := make([]*tensors.Tensor, len(in))
	for i, shape := range in {
		values := make([]float32, shape.Size())
		for k := range values {
			values[k] = float32(k*7919%2003)/1001 - 1
		}
		inputs[i] = tensors.FromFlatDataAndDimensions(values, shape.Dimensions...)
	}
	for b.Loop() {
		outputs, err := program.Run(b.Context(), weights, inputs...)
		if err != nil {
			b.Fatal(err)
		}
		if err := outputs[0].FinalizeAll(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*batch), "ms/picture")
}

// sameTokens stands for a tokenizer: the time does not depend on the text.
type sameTokens struct{}

func (sameTokens) Encode(_ string, length int) []int32 { return make([]int32, length) }

// BenchmarkGenerate makes 32 pictures in 4 steps, guided, from the text to the pixels.
func BenchmarkGenerate(b *testing.B) {
	p, err := sd.Open(backend(b), open(b, benchmarked(b)["sd-nano"]), sameTokens{}, sd.Options{})
	if err != nil {
		b.Fatal(err)
	}
	pictures := make([]sd.Picture, 32)
	for i := range pictures {
		pictures[i].Index = i
	}
	settings := sd.Settings{Steps: 4, Scheduler: "dpmpp_2m", GuidanceScale: 3}
	for _, batching := range []sd.Batching{{Size: 16, Parallel: 1}, {Size: 16, Parallel: 2}, {Size: 8, Parallel: 2}, {Size: 4, Parallel: 2}} {
		b.Run(fmt.Sprintf("sd-nano/batch=%d/parallel=%d", batching.Size, batching.Parallel), func(b *testing.B) {
			for b.Loop() {
				for _, err := range p.Generate(b.Context(), settings, pictures, batching) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*len(pictures)), "ms/picture")
		})
	}
}
