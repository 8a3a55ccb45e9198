// Package golden finds and reads the reference outputs below testdata/goldens for tests.
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"regft/models/safetensors"
)

// Dir returns the folder testdata/goldens/name of this repository.
func Dir(t testing.TB, name string) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("golden: this binary was built without source positions")
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "testdata", "goldens", name)
}

// JSON decodes golden.json of a folder into v.
func JSON(t testing.TB, dir string, v any) {
	t.Helper()
	path := filepath.Join(dir, "golden.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Tensors are the values of golden.safetensors of a folder; a name that is not there fails the test.
type Tensors struct {
	t    testing.TB
	file *safetensors.File
}

// Open opens golden.safetensors of a folder until the test ends.
func Open(t testing.TB, dir string) Tensors {
	t.Helper()
	file, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return Tensors{t, file}
}

// Shape returns the shape of a tensor.
func (g Tensors) Shape(name string) []int {
	g.t.Helper()
	return g.tensor(name).Shape
}

// Float32s returns a tensor's values, row-major.
func (g Tensors) Float32s(name string) []float32 {
	g.t.Helper()
	values, err := g.tensor(name).Float32s()
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return values
}

// Int64s returns an integer tensor's values, row-major.
func (g Tensors) Int64s(name string) []int64 {
	g.t.Helper()
	values, err := g.tensor(name).Int64s()
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return values
}

func (g Tensors) tensor(name string) safetensors.Tensor {
	g.t.Helper()
	tensor, err := g.file.Tensor(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return tensor
}
