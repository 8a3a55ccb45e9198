package readers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParseMAT feeds damaged files: parsing may refuse, and does not panic or take for ever.
func FuzzParseMAT(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(goldens, "*/*/*.mat"))
	if err != nil {
		f.Fatal(err)
	}
	inner, err := filepath.Glob(filepath.Join(goldens, "*/*/*/*.mat"))
	if err != nil {
		f.Fatal(err)
	}
	seeds := 0
	for _, path := range append(paths, inner...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := parseMAT(data); err == nil {
			seeds++
		}
		f.Add(data)
	}
	if seeds < 3 {
		f.Fatalf("%d files are read", seeds)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if arrays, err := parseMAT(data); err == nil && arrays == nil {
			t.Error("nothing, and no error")
		}
	})
}

func TestReadMATRefuses(t *testing.T) {
	good := filepath.Join(goldens, "flowers102/oxford_flowers/imagelabels.mat")
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.mat")
	if err := os.WriteFile(cut, data[:len(data)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string][2]string{
		"it has no array \"label\"": {good, "label"},
		"reading " + cut:            {cut, "labels"},
		"no such file":              {cut + "x", "labels"},
	} {
		if _, err := readMAT(c[0], c[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
