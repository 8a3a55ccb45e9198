//go:build peers

// Package peers_test compares with PyTorch at the published sizes: what is computed (TestParity), and how fast
// (TestAgainstTorch). Both need checkpoints and a Python that has torch, transformers and diffusers; Taskfile.yml has the
// commands.
package peers_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

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

// setting is a variable of the environment that says where something is.
func setting(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("$%s is not set; see task bench:peers in Taskfile.yml", name)
	}
	return value
}

func filesOf(t testing.TB, folder string) checkpoint.Files {
	t.Helper()
	files, err := checkpoint.DirFiles(filepath.Join(setting(t, "PEERS_CHECKPOINTS"), folder))
	must(t, err)
	return files
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBackend(t testing.TB) compute.Backend {
	t.Helper()
	b, err := compute.New("")
	must(t, err)
	t.Cleanup(b.Finalize)
	return b
}

// A model is a function of a checkpoint's weights for inputs of some shapes, compiled by its first run.
type model struct {
	compile func() (*nn.Program, error)
	program *nn.Program
	weights nn.Weights
}

// newModel loads what f asks for from a component of a checkpoint.
func newModel(t testing.TB, files checkpoint.Files, component string, f nn.Func, inputs ...shapes.Shape) *model {
	t.Helper()
	file, err := checkpoint.Open(files, component)
	must(t, err)
	defer file.Close()
	b := nn.Builder{Backend: newBackend(t), Have: file.Shapes()}
	parameters, err := b.Trace(f, inputs...)
	must(t, err)
	weights, err := file.Load(b.Backend, dtypes.Float32, slices.Sorted(maps.Keys(parameters))...)
	must(t, err)
	return &model{weights: weights, compile: func() (*nn.Program, error) { return b.Compile(component, f, inputs...) }}
}

// run gives the first output, to be finalized.
func (m *model) run(t testing.TB, inputs ...*tensors.Tensor) *tensors.Tensor {
	t.Helper()
	var err error
	if m.program == nil {
		m.program, err = m.compile()
		must(t, err)
	}
	out, err := m.program.Run(t.Context(), m.weights, inputs...)
	must(t, err)
	return out[0]
}

const diffusion = "stable-diffusion-2-1-base"

func openCLIP(t testing.TB) *clip.Checkpoint {
	t.Helper()
	c, err := clip.Open(newBackend(t), filesOf(t, "clip-vit-base-patch16"))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func imageEncoder(t testing.TB, batch int) *model {
	c := openCLIP(t)
	return newModel(t, filesOf(t, "clip-vit-base-patch16"), "", func(p nn.Params, in []*Node) []*Node {
		return []*Node{c.Config.ImageFeatures(p, in[0])}
	}, shapes.Make(dtypes.Float32, batch, 3, 224, 224))
}

// trainer starts at the checkpoint's image tower and a head of 1,000 classes.
func trainer(t testing.TB, head nn.Arrays) *train.Trainer {
	t.Helper()
	c := openCLIP(t)
	start, err := c.ImageTower()
	must(t, err)
	for name, a := range head {
		start[name] = a
	}
	p, err := train.NewProgram(newBackend(t), c.Config, 1000, train.Method{Part: train.All})
	must(t, err)
	tr, err := train.NewTrainer(p, train.Options{
		Steps: 1000, LearningRate: 1e-5, Schedule: train.Constant, WeightDecay: 0.1,
		LambdaCE: 1, Variance: 0.16, Covariance: 0.02, ClipGradNorm: 1,
	}, start)
	must(t, err)
	return tr
}

func textEncoder(t testing.TB) *model {
	files := filesOf(t, diffusion)
	c, err := clip.ReadTextConfig(files, "text_encoder/config.json")
	must(t, err)
	return newModel(t, files, "text_encoder", func(p nn.Params, in []*Node) []*Node { return []*Node{c.Hidden(p, in[0])} },
		shapes.Make(dtypes.Int32, 1, 77))
}

// unet answers at timestep 500 for two latents [2, 4, side, side].
func unet(t testing.TB, side int) *model {
	files := filesOf(t, diffusion)
	c, err := sd.ReadUNetConfig(files)
	must(t, err)
	return newModel(t, files, "unet", func(p nn.Params, in []*Node) []*Node {
		at := Const(in[0].Graph(), float32(500))
		return []*Node{sd.ChannelsFirst(c.UNet(p, sd.ChannelsLast(in[0]), at, in[1], nil))}
	}, shapes.Make(dtypes.Float32, 2, 4, side, side), shapes.Make(dtypes.Float32, 2, 77, 1024))
}

func decoder(t testing.TB, side int) *model {
	files := filesOf(t, diffusion)
	c, err := sd.ReadVAEConfig(files)
	must(t, err)
	return newModel(t, files, "vae", func(p nn.Params, in []*Node) []*Node {
		return []*Node{sd.ChannelsFirst(c.Decode(p, sd.ChannelsLast(in[0])))}
	}, shapes.Make(dtypes.Float32, 1, 4, side, side))
}

func step(ctx context.Context, t testing.TB, tr *train.Trainer, pixels []float32, labels []int32) train.Record {
	t.Helper()
	r, err := tr.Step(ctx, train.Batch{Pixels: pixels, Labels: labels})
	must(t, err)
	return r
}
