package cpu_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/nn"
	"regft/models/sd"
	"regft/train"
)

// The published sizes, with random weights: CLIP ViT-B/16 and Stable Diffusion 2.1-base. REGFT_BACKEND chooses the
// backend. Beside the time there is that of all cores together, which other processes disturb less.

func measure(b *testing.B, call func()) {
	call() // compiles, and fills the pools
	before := processorTime(b)
	b.ResetTimer()
	for b.Loop() {
		call()
	}
	b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(peakMemory(b)>>20), "peak-MB")
}

func usage(t testing.TB) (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

func processorTime(t testing.TB) time.Duration {
	u := usage(t)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory of the process so far, bytes.
func peakMemory(t testing.TB) int64 {
	u := usage(t)
	return u.Maxrss << 10
}

func chosen(b *testing.B) compute.Backend {
	backend, err := compute.New("")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(backend.Finalize)
	return backend
}

// weightsFor makes small random weights.
func weightsFor(b *testing.B, s nn.Shapes) nn.Arrays {
	r := rand.New(rand.NewPCG(1, 2))
	arrays := nn.Arrays{}
	for name, dims := range s {
		values := make([]float32, shapes.Make(dtypes.Float32, dims...).Size())
		for i := range values {
			values[i] = (r.Float32() - 0.5) * 0.04
		}
		arrays[name] = nn.Array{Shape: dims, Values: values}
	}
	return arrays
}

func benchmarkModel(b *testing.B, f nn.Func, inputs ...*tensors.Tensor) {
	backend := chosen(b)
	var in []shapes.Shape
	for _, t := range inputs {
		in = append(in, t.Shape())
	}
	program, err := nn.Builder{Backend: backend}.Compile("benchmark", f, in...)
	if err != nil {
		b.Fatal(err)
	}
	weights, err := weightsFor(b, program.Parameters()).ToBackend(backend)
	if err != nil {
		b.Fatal(err)
	}
	measure(b, func() {
		outputs, err := program.Run(b.Context(), weights, inputs...)
		if err != nil {
			b.Fatal(err)
		}
		if err := outputs[0].FinalizeAll(); err != nil {
			b.Fatal(err)
		}
	})
}

func vitB16() clip.Config {
	c := clip.Config{Text: clip.DefaultTextConfig(), Vision: clip.DefaultVisionConfig(), Projection: 512}
	c.Vision.Patch = 16
	return c
}

// BenchmarkViTB16 is the image features of 8 pictures.
func BenchmarkViTB16(b *testing.B) {
	benchmarkModel(b, func(p nn.Params, in []*Node) []*Node { return []*Node{vitB16().ImageFeatures(p, in[0])} }, ramp(8, 3, 224, 224))
}

// BenchmarkViTB16Step is one training step of all parameters on 4 pictures.
func BenchmarkViTB16Step(b *testing.B) {
	p, err := train.NewProgram(chosen(b), vitB16(), 1000, train.Method{Part: train.All})
	if err != nil {
		b.Fatal(err)
	}
	o := train.Options{Steps: 1000, LearningRate: 1e-5, Schedule: train.Constant, LambdaCE: 1, Variance: 0.16, Covariance: 0.02, ClipGradNorm: 1}
	trainer, err := train.NewTrainer(p, o, weightsFor(b, p.Parameters()))
	if err != nil {
		b.Fatal(err)
	}
	pixels := tensors.MustCopyFlatData[float32](ramp(4, 3, 224, 224))
	measure(b, func() {
		if _, err := trainer.Step(context.Background(), train.Batch{Pixels: pixels, Labels: []int32{1, 2, 3, 4}}); err != nil {
			b.Fatal(err)
		}
	})
}

// folder is a checkpoint of one component with that config.
func folder(b *testing.B, component, config string) checkpoint.Files {
	dir := b.TempDir()
	if err := os.Mkdir(filepath.Join(dir, component), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, component, "config.json"), []byte(config), 0o644); err != nil {
		b.Fatal(err)
	}
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		b.Fatal(err)
	}
	return files
}

// BenchmarkSD21UNet is one guided step: a batch of two latents of 32×32.
func BenchmarkSD21UNet(b *testing.B) {
	files := folder(b, "unet", `{"sample_size": 64, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
		"use_linear_projection": true}`)
	c, err := sd.ReadUNetConfig(files)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkModel(b, func(p nn.Params, in []*Node) []*Node { return []*Node{c.UNet(p, in[0], in[1], in[2], nil)} },
		ramp(2, 32, 32, 4), tensors.FromValue(float32(500)), ramp(2, 77, 1024))
}

// BenchmarkSD21Decode is the picture, 256×256, of latents of 32×32.
func BenchmarkSD21Decode(b *testing.B) {
	files := folder(b, "vae", `{"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2}`)
	c, err := sd.ReadVAEConfig(files)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkModel(b, func(p nn.Params, in []*Node) []*Node { return []*Node{c.Decode(p, in[0])} }, ramp(1, 32, 32, 4))
}
