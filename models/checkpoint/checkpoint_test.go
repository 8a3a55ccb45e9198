package checkpoint

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/google/go-cmp/cmp"

	"regft/compute"
	"regft/models/nn"
	"regft/models/safetensors"
)

func dir(t *testing.T, path string) *Dir {
	t.Helper()
	files, err := DirFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// writeTensors writes a safetensors file of vectors.
func writeTensors(t *testing.T, folder, name string, tensors map[string][]float32) {
	t.Helper()
	var b strings.Builder
	out := map[string]safetensors.Tensor{}
	for tensor, values := range tensors {
		out[tensor] = safetensors.FromFloat32s(values, len(values))
	}
	if err := safetensors.WriteTensors(&b, out); err != nil {
		t.Fatal(err)
	}
	write(t, folder, name, b.String())
}

const clipConfig = `{"model_type": "clip"}`

// clipFolder is a CLIP folder with what the arguments add.
func clipFolder(t *testing.T, extra map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, "config.json", clipConfig)
	write(t, folder, "vocab.json", "{}")
	write(t, folder, "merges.txt", "")
	write(t, folder, "README.md", "not read")
	for name, content := range extra {
		write(t, folder, name, content)
	}
	return folder
}

func TestNeededCLIP(t *testing.T) {
	for name, c := range map[string]struct {
		extra map[string]string
		want  []string
	}{
		"safetensors before bin": {
			map[string]string{"model.safetensors": "", "pytorch_model.bin": "", "preprocessor_config.json": "{}", "head.safetensors": ""},
			[]string{"config.json", "merges.txt", "model.safetensors", "preprocessor_config.json", "vocab.json"}},
		"bin before fp16": {
			map[string]string{"pytorch_model.bin": "", "model.fp16.safetensors": "", "tokenizer_config.json": "{}"},
			[]string{"config.json", "merges.txt", "pytorch_model.bin", "tokenizer_config.json", "vocab.json"}},
		"fp16": {
			map[string]string{"model.fp16.safetensors": ""},
			[]string{"config.json", "merges.txt", "model.fp16.safetensors", "vocab.json"}},
		"shards": {
			map[string]string{
				"model.safetensors.index.json":     `{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}`,
				"model-00001-of-00002.safetensors": "", "model-00002-of-00002.safetensors": "", "pytorch_model.bin": ""},
			[]string{"config.json", "merges.txt", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
				"model.safetensors.index.json", "vocab.json"}},
	} {
		got, err := NeededCLIP(dir(t, clipFolder(t, c.extra)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// pipeline is a diffusers folder without the files named by leave.
func pipeline(t *testing.T, leave ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{
		"model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
		"text_encoder/config.json", "text_encoder/model.safetensors", "unet/config.json",
		"unet/diffusion_pytorch_model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.bin",
		"safety_checker/model.safetensors", "v1-5-pruned.safetensors",
	} {
		write(t, folder, name, "{}")
	}
	for _, name := range leave {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestNeededDiffusion(t *testing.T) {
	got, err := NeededDiffusion(dir(t, pipeline(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/model.safetensors",
		"tokenizer/merges.txt", "tokenizer/vocab.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
		"vae/config.json", "vae/diffusion_pytorch_model.bin",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLinksAreFollowed(t *testing.T) {
	snapshot, folder := clipFolder(t, map[string]string{"model.safetensors": ""}), t.TempDir()
	entries, err := os.ReadDir(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(snapshot, e.Name()), filepath.Join(folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/nowhere", filepath.Join(folder, "preprocessor_config.json")); err != nil {
		t.Fatal(err)
	}
	needed, err := NeededCLIP(dir(t, folder))
	if diff := cmp.Diff([]string{"config.json", "merges.txt", "model.safetensors", "vocab.json"}, needed); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestWrongKind(t *testing.T) {
	for name, c := range map[string]struct {
		needed func(Files) ([]string, error)
		folder string
		want   string
	}{
		"pipeline as CLIP": {NeededCLIP, pipeline(t), "this is a diffusers pipeline"},
		"CLIP as pipeline": {NeededDiffusion, clipFolder(t, nil), "this is a single model"},
		"nothing as CLIP":  {NeededCLIP, t.TempDir(), "no config.json"},
		"nothing as SD":    {NeededDiffusion, t.TempDir(), "no model_index.json"},
		"BERT as CLIP":     {NeededCLIP, clipFolder(t, map[string]string{"config.json": `{"model_type": "bert"}`}), "this is a bert model"},
		"U-Net as CLIP":    {NeededCLIP, clipFolder(t, map[string]string{"config.json": `{"_class_name": "UNet2DConditionModel"}`}), "a diffusers UNet2D"},
		"no JSON":          {NeededCLIP, clipFolder(t, map[string]string{"config.json": `{`}), "config.json"},
		"no weights":       {NeededCLIP, clipFolder(t, nil), "the checkpoint has no weights"},
		"no unet weights":  {NeededDiffusion, pipeline(t, "unet/diffusion_pytorch_model.safetensors"), "unet has no weights"},
		"no vae config":    {NeededDiffusion, pipeline(t, "vae/config.json"), "no vae/config.json"},
		"no scheduler":     {NeededDiffusion, pipeline(t, "scheduler/scheduler_config.json"), "no scheduler/scheduler_config.json"},
		"missing shard": {NeededCLIP, clipFolder(t, map[string]string{
			"model.safetensors.index.json": `{"weight_map": {"a": "model-00001-of-00001.safetensors"}}`}), "model-00001-of-00001.safetensors"},
		"empty index": {NeededCLIP, clipFolder(t, map[string]string{"model.safetensors.index.json": `{}`}), "lists no tensors"},
	} {
		if _, err := c.needed(dir(t, c.folder)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
	if _, err := DirFiles("/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestShards(t *testing.T) {
	folder := clipFolder(t, map[string]string{
		"model.safetensors.index.json": `{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "x.position_ids": "1.safetensors"}}`})
	writeTensors(t, folder, "1.safetensors", map[string][]float32{"a": {1}})
	writeTensors(t, folder, "2.safetensors", map[string][]float32{"b": {2}, "embeddings.position_ids": {0, 1}})
	w, err := Open(dir(t, folder), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, w.Names()); diff != "" {
		t.Error(diff)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for want, second := range map[string]map[string][]float32{
		`tensor "a" is in another shard too`: {"a": {1}, "b": {2}},
		"no shard holds: b":                  {"c": {2}},
	} {
		writeTensors(t, folder, "2.safetensors", second)
		if _, err := Open(dir(t, folder), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	write(t, folder, "2.safetensors", "broken")
	if _, err := Open(dir(t, folder), ""); err == nil || !strings.Contains(err.Error(), "2.safetensors") {
		t.Errorf("got %v, want an error that names the broken shard", err)
	}
}

func TestCheckListsEverything(t *testing.T) {
	folder := clipFolder(t, nil)
	writeTensors(t, folder, "model.safetensors", map[string][]float32{"a": {1}, "b": {1, 2}, "c": {3}})
	w, err := Open(dir(t, folder), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Check(nn.Shapes{"a": {1}, "b": {2}, "c": {1}}); err != nil {
		t.Error(err)
	}
	err = w.Check(nn.Shapes{"a": {1}, "b": {3}, "d": {4}, "e": {}})
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) {
		t.Fatalf("got %v", err)
	}
	want := &MismatchError{File: "model.safetensors", Missing: []string{"d", "e"}, Extra: []string{"c"},
		Misshapen: []string{"b is [2], the config makes it [3]"}}
	if diff := cmp.Diff(want, mismatch); diff != "" {
		t.Error(diff)
	}
	const text = "model.safetensors does not fit its config; 2 tensors missing: d, e; 1 tensors not of this model: c; " +
		"1 tensors of another shape: b is [2], the config makes it [3]"
	if err.Error() != text {
		t.Errorf("got %q, want %q", err, text)
	}
}

func TestLoad(t *testing.T) {
	b, err := compute.New("")
	if err != nil {
		t.Fatal(err)
	}
	folder := clipFolder(t, nil)
	writeTensors(t, folder, "model.safetensors", map[string][]float32{"a": {1.5, float32(math.Pi)}, "b": {0}})
	w, err := Open(dir(t, folder), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for dtype, want := range map[dtypes.DType]any{
		dtypes.Float32:  []float32{1.5, math.Pi},
		dtypes.Float16:  []float16.Float16{float16.FromFloat32(1.5), float16.FromFloat32(math.Pi)},
		dtypes.BFloat16: []bfloat16.BFloat16{bfloat16.FromFloat32(1.5), bfloat16.FromFloat32(math.Pi)},
	} {
		loaded, err := w.Load(b, dtype, "a")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, loaded["a"].Value()); diff != "" {
			t.Errorf("%s: %s", dtype, diff)
		}
	}
	if _, err := w.Load(b, dtypes.Int32, "a"); err == nil {
		t.Error("weights were loaded as integers")
	}
	if _, err := w.Load(b, dtypes.Float32, "z"); err == nil || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("got %v, want an error that names the tensor", err)
	}
}
