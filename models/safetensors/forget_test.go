package safetensors

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestForgetKeepsData reads a tensor again after its pages were given back: of a mapped file, and of one in memory.
func TestForgetKeepsData(t *testing.T) {
	data := file(`{"a":{"dtype":"U8","shape":[100000],"data_offsets":[0,100000]}}`, 100000)
	for i := range 100000 {
		data[len(data)-1-i] = byte(i * 7)
	}
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	mapped, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	inMemory, err := Parse(slices.Clone(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{mapped, inMemory} {
		tensor, _ := f.Lookup("a")
		for range 2 {
			if !slices.Equal(tensor.Data, data[len(data)-100000:]) {
				t.Fatal("data has changed")
			}
			if err := f.Forget(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
