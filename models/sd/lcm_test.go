package sd_test

import (
	"image"
	"os"
	"path/filepath"
	"testing"

	"regft/models/internal/golden"
	"regft/models/sd"
)

// TestLatentConsistency makes the pictures of diffusers' pipelines for latent consistency models: within 2 of 255.
func TestLatentConsistency(t *testing.T) {
	dir := golden.Dir(t, "lcm")
	var meta struct {
		Checkpoint string
		Runs       []struct {
			run
			Key       string
			Distilled bool
		}
	}
	golden.JSON(t, dir, &meta)
	g := golden.Open(t, dir)
	plain := golden.Dir(t, meta.Checkpoint)
	distilled := filepath.Join(t.TempDir(), "distilled")
	if err := os.CopyFS(distilled, os.DirFS(plain)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(distilled, "unet")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(distilled, "unet"), os.DirFS(filepath.Join(dir, "distilled"))); err != nil {
		t.Fatal(err)
	}
	for _, r := range meta.Runs {
		from := plain
		if r.Distilled {
			from = distilled
		}
		made := generate(t, openPipeline(t, from, sd.Options{}), r.settings("lcm"), r.pictures(), sd.Batching{Size: 2, Parallel: 1})
		var got []*image.NRGBA
		for i := range r.Prompts {
			got = append(got, made[i])
		}
		comparePictures(t, r.Key, got, g)
	}
}
