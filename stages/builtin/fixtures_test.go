package builtin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/cache"
	"regft/datasets"
	"regft/models/safetensors"
	"regft/stages"
)

// clips are the goldens' CLIP folders, and diffusions their Stable Diffusion folders.
func clips(t testing.TB) []string      { return folders(t, "clip-*/config.json") }
func diffusions(t testing.TB) []string { return folders(t, "sd*/model_index.json") }

func folders(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(abs(t, goldens), pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no golden %s: %v", pattern, err)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// write writes a file and makes its folder.
func write(t testing.TB, content string, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return p
}

// picture is a PNG of noise around a colour that key chooses.
func picture(t testing.TB, key uint64) string {
	t.Helper()
	r := rand.New(rand.NewPCG(key, 1))
	im := image.NewNRGBA(image.Rect(0, 0, 20, 24))
	base := [3]int{r.IntN(200), r.IntN(200), r.IntN(200)}
	for y := range 24 {
		for x := range 20 {
			im.SetNRGBA(x, y, color.NRGBA{uint8(base[0] + r.IntN(55)), uint8(base[1] + r.IntN(55)), uint8(base[2] + r.IntN(55)), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// folderOf makes a folder of n pictures for each class.
func folderOf(t testing.TB, n int, classes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for c, class := range classes {
		for i := range n {
			write(t, picture(t, uint64(100*c+i)), dir, class, fmt.Sprintf("%02d.png", i))
		}
	}
	return dir
}

// dataset lists a folder of pictures.
func (l *lab) dataset(dir string) stages.Artifact {
	l.t.Helper()
	return only(l.run("dataset", fmt.Sprintf("{format: imagefolder, path: %q}", dir), nil))
}

// zeroshot makes a classifier of classes from a CLIP folder.
func (l *lab) zeroshot(checkpoint string, classes ...string) stages.Artifact {
	l.t.Helper()
	list, _ := json.Marshal(classes)
	return only(l.run("zeroshot", fmt.Sprintf(`{classes: %s, templates: ["a photo of a {}."]}`, list), from(checkpoint)))
}

// from is a checkpoint as input.
func from(checkpoint string) map[string][]stages.Input {
	return map[string][]stages.Input{"checkpoint": {{Path: checkpoint}}}
}

// given are inputs by parameter.
func given(pairs ...any) map[string][]stages.Input {
	m := map[string][]stages.Input{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = one(pairs[i+1].(stages.Artifact))
	}
	return m
}

// rows are the lines of metadata.jsonl.
func rows(t testing.TB, a stages.Artifact) []datasets.Row {
	t.Helper()
	r, err := datasets.ReadRows(strings.NewReader(text(t, a, datasets.MetadataFile)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t testing.TB, a stages.Artifact, name string) string {
	t.Helper()
	b, err := a.ReadFile(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tensor reads one tensor of an artifact's safetensors file.
func tensor(t testing.TB, a stages.Artifact, file, name string) safetensors.Tensor {
	t.Helper()
	f, err := safetensors.Parse([]byte(text(t, a, file)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func floats(t testing.TB, a stages.Artifact, file, name string) []float32 {
	t.Helper()
	values, err := tensor(t, a, file, name).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// digests are those of a set's pictures, in order.
func digests(t testing.TB, a stages.Artifact) []cache.Digest {
	t.Helper()
	var out []cache.Digest
	for _, r := range rows(t, a) {
		f, ok := a.Manifest.Lookup(r.FileName)
		if !ok {
			t.Fatalf("no picture %s", r.FileName)
		}
		out = append(out, f.Digest)
	}
	return out
}

// wantError wants an error with all of the parts.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got the error %q, want %q in it", err, part)
		}
	}
}

// copyFolder copies a folder, whose files a test then changes.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func number(t testing.TB, o outcome, metric string) float64 {
	t.Helper()
	x, ok := cache.DecodeFloat(o.metrics[metric])
	if !ok {
		t.Fatalf("metric %s is %v", metric, o.metrics[metric])
	}
	return x
}
