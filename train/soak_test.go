//go:build soak

package train_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/nn"
	"regft/train"
)

// TestSoak trains the shipped world's CLIP $SOAK_RUNS times with 1, 2 and 8 workers: none hangs, and all end with the same
// bytes. task soak runs it with and without the race detector.
func TestSoak(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("SOAK_RUNS"))
	must(t, err)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	var want [sha256.Size]byte
	for i := range runs {
		begun := time.Now()
		for _, workers := range []int{1, 2, 8} {
			got := trainShapes(t, workers)
			if want == [sha256.Size]byte{} {
				want = got
			}
			if got != want {
				t.Fatalf("run %d with %d workers ends with other bytes than the first", i, workers)
			}
		}
		t.Logf("run %d: %s", i, time.Since(begun).Round(time.Millisecond))
	}
}

// trainShapes is the digest of the parameters after a few steps on noise.
func trainShapes(t *testing.T, workers int) [sha256.Size]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a hang is an error
	defer cancel()
	backend, err := compute.New("")
	must(t, err)
	defer backend.Finalize()
	must(t, compute.Limit(backend, workers))
	files, err := checkpoint.DirFiles("../examples/shapes/checkpoints/clip-nano")
	must(t, err)
	c, err := clip.Open(backend, files)
	must(t, err)
	defer c.Close()
	start, err := c.ImageTower()
	must(t, err)
	const classes, size, steps = 12, 48, 5
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		return values
	}
	start[clip.HeadWeight] = nn.Array{Shape: []int{classes, c.Config.Projection}, Values: noise(classes * c.Config.Projection)}
	start[clip.HeadBias] = nn.Array{Shape: []int{classes}, Values: noise(classes)}
	p, err := train.NewProgram(backend, c.Config, classes, train.Method{Part: train.All})
	must(t, err)
	trainer, err := train.NewTrainer(p, train.Options{
		Steps: steps, LearningRate: 3e-4, Schedule: train.Cosine, LambdaCE: 1, Variance: 0.16, Covariance: 0.02, ClipGradNorm: 1,
	}, start)
	must(t, err)
	defer trainer.Close()
	v := c.Config.Vision
	batch := train.Batch{Pixels: noise(size * v.Channels * v.Image * v.Image), Labels: make([]int32, size)}
	for i := range batch.Labels {
		batch.Labels[i] = int32(i % classes)
	}
	for range steps {
		_, err := trainer.Step(ctx, batch)
		must(t, err)
	}
	end, err := trainer.Parameters()
	must(t, err)
	h := sha256.New()
	for _, name := range end.Names() {
		must(t, binary.Write(h, binary.LittleEndian, end[name].Values))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
