package resnet_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gomlx "github.com/gomlx/compute"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/internal/golden"
	"regft/models/resnet"
	"regft/models/safetensors"
)

func backend(t *testing.T) gomlx.Backend {
	t.Helper()
	b, err := compute.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

func weights(t *testing.T, dir string) *checkpoint.Weights {
	t.Helper()
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := checkpoint.Open(files, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// TestGolden compares with torchvision's ResNets.
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(golden.Dir(t, ""), "resnet-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden resnet-*: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { testGolden(t, dir) })
	}
}

func testGolden(t *testing.T, dir string) {
	b := backend(t)
	m, err := resnet.Read(b, weights(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	g := golden.Open(t, dir)
	pixels, want := g.Float32s("pixels"), g.Float32s("features")
	if shape := g.Shape("features"); m.Width != shape[1] {
		t.Fatalf("features of width %d, want %d", m.Width, shape[1])
	}
	encoder, err := m.NewEncoder(b, 2, g.Shape("pixels")[2])
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Free()
	parameters, err := m.Parameters.ToBackend(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := encoder.Encode(context.Background(), parameters, pixels)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	for i, x := range got {
		if !(math.Abs(float64(x)-float64(want[i])) <= 1e-5*largest) {
			t.Fatalf("feature %d is %g, want %g of at most %g", i, x, want[i], largest)
		}
	}
}

// damaged is a golden's checkpoint after a change of its tensors.
func damaged(t *testing.T, change func(map[string]safetensors.Tensor)) *checkpoint.Weights {
	t.Helper()
	file, err := safetensors.Open(filepath.Join(golden.Dir(t, "resnet-a"), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := map[string]safetensors.Tensor{}
	for _, name := range file.Names() {
		all[name], _ = file.Lookup(name)
	}
	change(all)
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := safetensors.WriteTensors(out, all); err != nil {
		t.Fatal(err)
	}
	return weights(t, dir)
}

func TestOtherNetworks(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(map[string]safetensors.Tensor)
		want   string
	}{
		{"no bottlenecks", func(all map[string]safetensors.Tensor) { delete(all, "layer1.0.conv3.weight") }, "this is no ResNet with bottlenecks"},
		{"missing", func(all map[string]safetensors.Tensor) { delete(all, "layer2.0.bn1.weight") }, "1 tensors missing: layer2.0.bn1.weight"},
		{"extra", func(all map[string]safetensors.Tensor) { all["layer5.weight"] = all["bn1.weight"] }, "1 tensors not of this model: layer5.weight"},
		{"misshapen", func(all map[string]safetensors.Tensor) { all["bn1.bias"] = safetensors.FromFloat32s([]float32{1}, 1) }, "bn1.bias is [1]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := resnet.Read(backend(t), damaged(t, test.change))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
