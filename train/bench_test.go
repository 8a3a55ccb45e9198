package train_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"regft/compute"
	"regft/models/clip"
	"regft/models/nn"
	"regft/train"
)

func BenchmarkStep(b *testing.B) {
	for _, name := range []string{"finetune-tiny", "finetune-tiny-smoothed"} {
		b.Run(name, func(b *testing.B) {
			g := openGolden(b, name)
			benchmarkStep(b, g.trainer(g.program(train.All), g.options()), g.batch(0))
		})
	}
	b.Run("clip-nano", benchmarkNano)
}

// benchmarkNano is a step at the drawn world's size: its image tower, 12 classes, batches of 48, as method.py has.
func benchmarkNano(b *testing.B) {
	c := clip.Config{Text: clip.DefaultTextConfig(), Vision: clip.DefaultVisionConfig(), Projection: 64}
	c.Vision.Width, c.Vision.Intermediate, c.Vision.Layers, c.Vision.Heads = 128, 384, 4, 4
	c.Vision.Image, c.Vision.Patch = 32, 4
	const classes, size = 12, 48
	backend, err := compute.New("")
	must(b, err)
	b.Cleanup(backend.Finalize)
	p, err := train.NewProgram(backend, c, classes, train.Method{Part: train.All})
	must(b, err)

	r, start := rand.New(rand.NewPCG(1, 2)), nn.Arrays{}
	noise := func(n int, scale float64) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(r.NormFloat64() * scale)
		}
		return values
	}
	parameters := p.Parameters()
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		n := 1
		for _, d := range parameters[name] {
			n *= d
		}
		start[name] = nn.Array{Shape: parameters[name], Values: noise(n, 0.05)}
	}
	trainer, err := train.NewTrainer(p, train.Options{
		Steps: 1000, LearningRate: 1e-5, Schedule: train.Constant, LambdaCE: 1, Variance: 0.16, Covariance: 0.02, ClipGradNorm: 1,
	}, start)
	must(b, err)
	batch := train.Batch{Pixels: noise(size*3*32*32, 1), Labels: make([]int32, size)}
	for i := range batch.Labels {
		batch.Labels[i] = int32(i % classes)
	}
	benchmarkStep(b, trainer, batch)
}

// benchmarkStep measures one training step; pictures/s is the figure of docs/benchmarks.md.
func benchmarkStep(b *testing.B, trainer *train.Trainer, batch train.Batch) {
	for b.Loop() {
		_, err := trainer.Step(context.Background(), batch)
		must(b, err)
	}
	b.ReportMetric(float64(len(batch.Labels)*b.N)/b.Elapsed().Seconds(), "pictures/s")
}
