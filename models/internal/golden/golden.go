// Package golden reads the reference outputs below testdata/goldens for tests.
package golden

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
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

// JSON decodes the file name of a golden folder into v.
func JSON(t testing.TB, dir, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", filepath.Join(dir, name), err)
	}
}

// Tensor is one tensor of a golden: row-major values, widened to float64.
type Tensor struct {
	Shape  []int
	Values []float64
}

type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// Tensors reads every tensor of the safetensors file name of a golden folder.
func Tensors(t testing.TB, dir, name string) map[string]Tensor {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+size], &header); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	delete(header, "__metadata__")
	tensors := make(map[string]Tensor, len(header))
	for key, raw := range header {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("%s: %s: %v", name, key, err)
		}
		values, err := widen(e.DType, data[8+size:][e.Offsets[0]:e.Offsets[1]])
		if err != nil {
			t.Fatalf("%s: %s: %v", name, key, err)
		}
		tensors[key] = Tensor{e.Shape, values}
	}
	return tensors
}

func widen(dtype string, data []byte) ([]float64, error) {
	width := map[string]int{"F32": 4, "F64": 8, "I32": 4, "I64": 8, "U8": 1}[dtype]
	if width == 0 {
		return nil, fmt.Errorf("dtype %s is none of F32, F64, I32, I64, U8", dtype)
	}
	values := make([]float64, len(data)/width)
	for i := range values {
		b := data[i*width:]
		switch dtype {
		case "F32":
			values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case "F64":
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		case "I32":
			values[i] = float64(int32(binary.LittleEndian.Uint32(b)))
		case "I64":
			values[i] = float64(int64(binary.LittleEndian.Uint64(b)))
		case "U8":
			values[i] = float64(b[0])
		}
	}
	return values, nil
}
