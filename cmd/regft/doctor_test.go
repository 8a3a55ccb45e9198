package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoctorReadsWhatARunReads checks the example's folders, which runs use, and one of them with a damaged picture.
func TestDoctorReadsWhatARunReads(t *testing.T) {
	example := func(path string) string { return filepath.Join("..", "..", "examples", "shapes", path) }
	damaged := t.TempDir()
	if err := os.CopyFS(damaged, os.DirFS(example("real/photo/val"))); err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(damaged, "*", "*"))
	if err := os.WriteFile(found[0], []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		folder, want string
		fails        bool
	}{
		{example("checkpoints/clip-nano"), "CLIP checkpoint, 7 files, ", false},
		{example("checkpoints/sd-nano"), "diffusion checkpoint, 12 files, ", false},
		{example("real/photo/val"), " in 12 classes", false},
		{damaged, " in 12 classes: 1 cannot be read, the first of them " + filepath.Base(filepath.Dir(found[0])), true},
	} {
		var out bytes.Buffer
		a := &app{out: &out}
		if err := a.checkFolders(t.Context(), []string{c.folder}); (err != nil) != c.fails || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %v, %q: want %q", c.folder, err, &out, c.want)
		}
	}
}
