package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files in testdata are make_bin.py's.

func TestBin(t *testing.T) {
	for _, name := range []string{"state.bin", "legacy.bin"} {
		t.Run(name, func(t *testing.T) { testBin(t, name) })
	}
}

func testBin(t *testing.T, name string) {
	w, err := OpenFile(dir(t, "testdata"), name)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]float32{}
	for _, name := range w.Names() {
		if got[name], err = w.Float32s(name); err != nil {
			t.Error(err)
		}
	}
	want := map[string][]float32{
		"weight": {0, 1, 2, 3, 4, 5}, "transposed": {0, 3, 1, 4, 2, 5}, "row": {3, 4, 5},
		"half": {0.5, -2}, "bfloat16": {1.5, -3}, "double": {0.1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	shapes := map[string][]int{"weight": {2, 3}, "transposed": {3, 2}, "row": {3}, "half": {2}, "bfloat16": {2, 1}, "double": {}}
	if diff := cmp.Diff(shapes, map[string][]int(w.Shapes())); diff != "" {
		t.Error(diff)
	}
}

func TestBinOfManyReads(t *testing.T) {
	w, err := OpenFile(dir(t, "testdata"), "big.bin")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"0", "1", "2"} {
		values, err := w.Float32s(name)
		if err != nil || len(values) != 1000 || values[0] != float32(i) || values[999] != float32(i) {
			t.Errorf("%s: %v, %d values", name, err, len(values))
		}
	}
}

func TestBinDamage(t *testing.T) {
	whole, err := os.ReadFile("testdata/state.bin")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write(t, folder, "pointer.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
	write(t, folder, "truncated.bin", string(whole[:len(whole)/2]))
	write(t, folder, "empty.bin", "")
	write(t, folder, "text.bin", "no pickle")
	for name, want := range map[string]string{
		"testdata/call.bin":                    "posix.system",
		"testdata/beyond.bin":                  `tensor "weight"`,
		"testdata/strides.bin":                 `tensor "weight"`,
		"testdata/list.bin":                    "not a state dict",
		"testdata/number.bin":                  "not a state dict: entry epoch",
		"testdata/deflated.bin":                "compressed",
		filepath.Join(folder, "truncated.bin"): "truncated.bin",
		filepath.Join(folder, "pointer.bin"):   "git lfs pull",
		filepath.Join(folder, "empty.bin"):     "empty.bin",
		filepath.Join(folder, "text.bin"):      "text.bin",
	} {
		if _, err := readBin(name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names the file and says %q", name, err, want)
		}
	}
	if _, err := os.Stat("/tmp/regft-was-here"); err == nil {
		t.Error("a pickle was executed")
	}
}

func TestBinTruncatedAnywhere(t *testing.T) {
	for _, name := range []string{"state.bin", "legacy.bin"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		cut := filepath.Join(t.TempDir(), "cut.bin")
		for n := 0; n < len(whole); n += 1 + min(12, (len(whole)-n)/8) { // every cut near the end
			if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readBin(cut); err == nil || !strings.Contains(err.Error(), cut) {
				t.Errorf("%s cut to %d of %d bytes: got %v, want an error that names the file", name, n, len(whole), err)
			}
		}
	}
}
