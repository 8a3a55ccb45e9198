package sd_test

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/internal/golden"
	"regft/models/nn"
	"regft/models/sd"
)

// goldens calls f for each folder of testdata/goldens that holds the file called name.
func goldens(t *testing.T, name string, f func(t *testing.T, dir string)) {
	found, err := filepath.Glob(filepath.Join(golden.Dir(t, "*"), name))
	if err != nil || len(found) == 0 {
		t.Fatal("no goldens with ", name, err)
	}
	for _, path := range found {
		dir := strings.TrimSuffix(path, name)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, dir) })
	}
}

func open(t testing.TB, dir string) checkpoint.Files {
	t.Helper()
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func backend(t testing.TB) compute.Backend {
	t.Helper()
	b, err := compute.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// component is one model of a pipeline, with its weights.
type component struct {
	nn.Builder
	file *checkpoint.Weights
}

func load(t testing.TB, files checkpoint.Files, folder string) component {
	t.Helper()
	w, err := checkpoint.Open(files, folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return component{nn.Builder{Backend: backend(t), Have: w.Shapes()}, w}
}

// run computes f with the weights and returns its outputs.
func (c component) run(t testing.TB, f nn.Func, inputs ...*tensors.Tensor) []*tensors.Tensor {
	t.Helper()
	in := make([]shapes.Shape, len(inputs))
	for i, x := range inputs {
		in[i] = x.Shape()
	}
	program, err := c.Compile("test", f, in...)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := c.file.Load(c.Backend, dtypes.Float32, slices.Collect(maps.Keys(program.Parameters()))...)
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := program.Run(t.Context(), weights, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

func tensor(g golden.Tensors, name string) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(g.Float32s(name), g.Shape(name)...)
}

// compare demands that got is what the reference gave, within 1e-4 of its largest value.
func compare(t testing.TB, name string, got *tensors.Tensor, g golden.Tensors) {
	t.Helper()
	want := g.Float32s(name)
	values := tensors.MustCopyFlatData[float32](got)
	if len(values) != len(want) {
		t.Fatalf("%s has shape %v, want %v", name, got.Shape(), g.Shape(name))
	}
	worst, largest := 0.0, 0.0
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		d := math.Abs(float64(values[i] - w))
		if !(d <= worst) { // NaN counts
			worst = d
		}
	}
	t.Logf("%s: off by %.2g of the largest value", name, worst/largest)
	if !(worst <= 1e-4*largest) {
		t.Errorf("%s is off by %g, the largest value is %g", name, worst, largest)
	}
}

func TestTextEncoder(t *testing.T) {
	goldens(t, "text_encoder/config.json", func(t *testing.T, dir string) {
		g, files := golden.Open(t, dir), open(t, dir)
		c, err := clip.ReadTextConfig(files, "text_encoder/config.json")
		if err != nil {
			t.Fatal(err)
		}
		tokens := make([]int32, 0, len(g.Int64s("input_ids")))
		for _, id := range g.Int64s("input_ids") {
			tokens = append(tokens, int32(id))
		}
		got := load(t, files, "text_encoder").run(t, func(p nn.Params, in []*Node) []*Node {
			return []*Node{c.Hidden(p, in[0])}
		}, tensors.FromFlatDataAndDimensions(tokens, g.Shape("input_ids")...))
		compare(t, "text_hidden_state", got[0], g)
	})
}

func TestUNet(t *testing.T) {
	goldens(t, "unet/config.json", func(t *testing.T, dir string) {
		g, files := golden.Open(t, dir), open(t, dir)
		c, err := sd.ReadUNetConfig(files)
		if err != nil {
			t.Fatal(err)
		}
		unet := load(t, files, "unet")
		for _, step := range []float32{1, 401, 981} {
			got := unet.run(t, func(p nn.Params, in []*Node) []*Node {
				return []*Node{sd.ChannelsFirst(c.UNet(p, sd.ChannelsLast(in[0]), in[1], in[2], in[1]))}
			}, tensor(g, "latents"), tensors.FromScalar(step), tensor(g, "text_hidden_state"))
			compare(t, fmt.Sprintf("unet.t%g", step), got[0], g)
		}
	})
}

func TestVAE(t *testing.T) {
	goldens(t, "vae/config.json", func(t *testing.T, dir string) {
		g, files := golden.Open(t, dir), open(t, dir)
		c, err := sd.ReadVAEConfig(files)
		if err != nil {
			t.Fatal(err)
		}
		vae := load(t, files, "vae")
		got := vae.run(t, func(p nn.Params, in []*Node) []*Node {
			return []*Node{sd.ChannelsFirst(c.Decode(p, c.Unscale(sd.ChannelsLast(in[0]))))}
		}, tensor(g, "latents"))
		compare(t, "vae_decoded", got[0], g)
		got = vae.run(t, func(p nn.Params, in []*Node) []*Node {
			mean, logVariance := c.Encode(p, ClipScalar(sd.ChannelsLast(in[0]), -1, 1))
			return []*Node{sd.ChannelsFirst(mean), sd.ChannelsFirst(logVariance)}
		}, tensor(g, "vae_decoded"))
		compare(t, "vae_encoded_mean", got[0], g)
		compare(t, "vae_encoded_logvar", got[1], g)
	})
}
