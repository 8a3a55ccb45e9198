package train_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"regft/compute"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/safetensors"
	"regft/train"
)

// TestFisherGolden: every tensor is within 1e-4 of its largest value in PyTorch, for the labels that it drew. In theory
// k_proj.bias has no gradient: there is only noise to compare.
func TestFisherGolden(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(goldens, "ensembles*"))
	if len(dirs) == 0 {
		t.Fatal("no golden ensembles*")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { testFisherGolden(t, dir) })
	}
}

func testFisherGolden(t *testing.T, dir string) {
	g, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
	must(t, err)
	defer g.Close()
	backend, err := compute.New("")
	must(t, err)
	defer backend.Finalize()
	files, err := checkpoint.DirFiles(filepath.Join(dir, "classifier"))
	must(t, err)
	c, err := clip.Open(backend, files)
	must(t, err)
	defer c.Close()
	parameters, err := c.Classifier(files)
	must(t, err)
	classes := parameters[clip.HeadBias].Shape[0]
	program, err := train.NewFisherProgram(backend, c.Config, classes)
	must(t, err)
	f, err := train.NewFisher(program, parameters)
	must(t, err)
	defer f.Close()

	pixels, err := g.Float32s("fisher.pixel_values")
	must(t, err)
	drawn, err := g.Tensor("fisher.labels")
	must(t, err)
	labels, err := drawn.Int64s()
	must(t, err)
	n := len(pixels) / size(c.Config)
	for i := range n {
		draws := make([]int, classes)
		for k := i; k < len(labels); k += n {
			draws[labels[k]]++
		}
		must(t, f.Add(t.Context(), pixels[i*len(pixels)/n:(i+1)*len(pixels)/n], draws))
	}
	got, err := f.Mean()
	must(t, err)
	for name := range parameters {
		want, err := g.Float32s("fisher.classifier." + name)
		if err != nil {
			t.Errorf("%s has a Fisher information, and the golden none: %v", name, err)
			continue
		}
		largest, difference := 0.0, 0.0
		for i, w := range want {
			largest = max(largest, math.Abs(float64(w)))
			difference = max(difference, math.Abs(float64(w-got[name].Values[i])))
		}
		if strings.HasSuffix(name, "k_proj.bias") {
			largest = 1e-8
		}
		if !(difference <= 1e-4*largest) {
			t.Errorf("%s: off by %g, largest %g", name, difference, largest)
		}
	}
}

// size is how many values a picture has.
func size(c clip.Config) int { return c.Vision.Channels * c.Vision.Image * c.Vision.Image }

// TestDrawLabel: labels come as often as they are likely, and by (seed, pass, sample) alone.
func TestDrawLabel(t *testing.T) {
	logits := []float32{float32(math.Log(0.1)), float32(math.Log(0.6)), float32(math.Log(0.3))}
	const n = 20000
	counts := map[int]int{}
	for sample := range n {
		counts[train.DrawLabel(logits, 7, sample%3, sample)]++
	}
	for label, p := range []float64{0.1, 0.6, 0.3} {
		if got := float64(counts[label]) / n; math.Abs(got-p) > 4*math.Sqrt(p*(1-p)/n) {
			t.Errorf("label %d is drawn with frequency %v, want %v", label, got, p)
		}
	}
	sequences := map[string]bool{}
	for _, key := range [][2]int{{1, 0}, {2, 0}, {1, 1}} {
		var list []int
		for sample := range 50 {
			list = append(list, train.DrawLabel(logits, uint64(key[0]), key[1], sample))
		}
		sequences[fmt.Sprint(list)] = true
	}
	if len(sequences) != 3 {
		t.Error("other seeds or passes draw the same labels")
	}
}
