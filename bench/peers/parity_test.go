//go:build peers

package peers_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/nn"
	"regft/models/safetensors"
)

// reference is what PyTorch computes of one work: reference.py's file.
func reference(t *testing.T, work string) *safetensors.File {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), setting(t, "PEERS_PYTHON"), "reference.py", setting(t, "PEERS_CHECKPOINTS"), out, work)
	cmd.Stderr = os.Stderr
	must(t, cmd.Run())
	f, err := safetensors.Open(filepath.Join(out, work+".safetensors"))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func values(t *testing.T, f *safetensors.File, name string) []float32 {
	t.Helper()
	v, err := f.Float32s(name)
	must(t, err)
	return v
}

func tensor(t *testing.T, f *safetensors.File, name string) *tensors.Tensor {
	t.Helper()
	at, err := f.Tensor(name)
	must(t, err)
	return tensors.FromFlatDataAndDimensions(values(t, f, name), at.Shape...)
}

func integers(t *testing.T, f *safetensors.File, name string) []int32 {
	t.Helper()
	var out []int32
	for _, v := range values(t, f, name) {
		out = append(out, int32(v))
	}
	return out
}

// distance is the length of got − want in units of that of want.
func distance(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, PyTorch has %d", len(got), len(want))
	}
	var difference, length float64
	for i, w := range want {
		difference += math.Pow(float64(got[i])-float64(w), 2)
		length += math.Pow(float64(w), 2)
	}
	return math.Sqrt(difference / length)
}

// TestParity compares full-size models with PyTorch in float32. Distances are those of whole tensors.
func TestParity(t *testing.T) {
	const tolerance = 2e-5
	for _, c := range []struct {
		work string
		run  func(f *safetensors.File) (got, want []float32)
	}{
		{"encode", func(f *safetensors.File) (got, want []float32) {
			return flat(imageEncoder(t, 2).run(t, tensor(t, f, "pixels"))), values(t, f, "features")
		}},
		{"text", func(f *safetensors.File) (got, want []float32) {
			tokens := tensors.FromFlatDataAndDimensions(integers(t, f, "tokens"), 1, 77)
			return flat(textEncoder(t).run(t, tokens)), values(t, f, "states")
		}},
		{"unet", func(f *safetensors.File) (got, want []float32) {
			return flat(unet(t, 64).run(t, tensor(t, f, "latents"), tensor(t, f, "states"))), values(t, f, "prediction")
		}},
		{"vae", func(f *safetensors.File) (got, want []float32) {
			return flat(decoder(t, 64).run(t, tensor(t, f, "latents"))), values(t, f, "picture")
		}},
	} {
		got, want := c.run(reference(t, c.work))
		d := distance(t, got, want)
		t.Logf("%s: distance %.2g", c.work, d)
		if !(d < tolerance) {
			t.Errorf("%s: distance %.2g to PyTorch, at most %g is expected", c.work, d, tolerance)
		}
	}
}

func flat(x *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](x) }

// TestParityOfTraining compares one RegFT training step: what it measures, and the gradients, which are ten times AdamW's
// first moments then. Those of the keys' biases are zero but for rounding, and are not compared.
func TestParityOfTraining(t *testing.T) {
	const tolerance = 1e-4
	f := reference(t, "finetune")
	head := nn.Arrays{}
	for name, dims := range map[string][]int{"head.weight": {1000, 512}, "head.bias": {1000}} {
		head[name] = nn.Array{Shape: dims, Values: values(t, f, name)}
	}
	tr := trainer(t, head)
	r := step(t.Context(), t, tr, values(t, f, "pixels"), integers(t, f, "labels"))
	d := distance(t, []float32{r.Loss, r.CrossEntropy, r.Variance, r.Covariance, r.GradNorm}, values(t, f, "record"))
	t.Logf("record: distance %.2g", d)
	if !(d < tolerance) {
		t.Errorf("the record %+v is %.2g from PyTorch's", r, d)
	}
	state, err := tr.State()
	must(t, err)
	compared, worst := 0, 0.0
	for _, name := range f.Names() {
		parameter, ok := strings.CutPrefix(name, "gradient.")
		if !ok || strings.HasSuffix(parameter, "k_proj.bias") {
			continue
		}
		m := state.Arrays["exp_avg."+parameter].Values
		for i := range m {
			m[i] *= 10
		}
		d := distance(t, m, values(t, f, name))
		compared, worst = compared+1, max(worst, d)
		if !(d < tolerance) {
			t.Errorf("%s: distance %.2g to PyTorch, at most %g is expected", name, d, tolerance)
		}
	}
	t.Logf("%d gradients: largest distance %.2g", compared, worst)
	if compared < 150 {
		t.Errorf("only %d gradients were compared", compared)
	}
}
