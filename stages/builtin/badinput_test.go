package builtin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/models/safetensors"
)

// TestBadCheckpoints: a checkpoint that is damaged, of the wrong kind or of other shapes is an error that names file
// and reason, whichever stage reads it.
func TestBadCheckpoints(t *testing.T) {
	l := newLab(t)
	clip, sd := clips(t)[0], diffusions(t)[0]
	damaged := func(source, name string, change func(content string) string) string {
		dir := copyFolder(t, source)
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, change(string(content)), path)
		return dir
	}
	half := func(s string) string { return s[:len(s)/2] }
	reshaped := copyFolder(t, clip)
	tensors := readSafetensors(t, filepath.Join(reshaped, "model.safetensors"))
	x := tensors["visual_projection.weight"]
	tensors["visual_projection.weight"] = safetensors.Tensor{DType: x.DType, Shape: []int{x.Shape[0] * x.Shape[1]}, Data: x.Data}
	delete(tensors, "text_projection.weight")
	writeSafetensors(t, filepath.Join(reshaped, "model.safetensors"), tensors)
	speechless := copyFolder(t, clip)
	for _, name := range []string{"vocab.json", "tokenizer.json"} {
		if err := os.RemoveAll(filepath.Join(speechless, name)); err != nil {
			t.Fatal(err)
		}
	}
	unetFile := "unet/diffusion_pytorch_model.safetensors"
	for _, c := range []struct {
		stage, dir string
		want       []string
	}{
		{"zeroshot", damaged(clip, "model.safetensors", half), []string{"model.safetensors"}},
		{"zeroshot", damaged(clip, "model.safetensors", func(string) string { return "" }), []string{"model.safetensors"}},
		{"zeroshot", damaged(clip, "config.json", half), []string{"config.json"}},
		{"zeroshot", damaged(clip, "config.json", func(s string) string { return strings.ReplaceAll(s, `"clip"`, `"siglip"`) }), []string{"siglip", "not a CLIP checkpoint"}},
		{"zeroshot", damaged(clip, "preprocessor_config.json", func(string) string { return `{"do_normalize": false}` }), []string{"preprocessor_config.json", "do_normalize"}},
		{"zeroshot", damaged(clip, "vocab.json", half), []string{"vocab.json"}},
		{"zeroshot", damaged(clip, "merges.txt", func(string) string { return "#version: 0.2\na b c\n" }), []string{"merges.txt"}},
		{"zeroshot", speechless, []string{speechless + ": no tokenizer"}},
		{"zeroshot", reshaped, []string{"visual_projection.weight is [", "text_projection.weight"}},
		{"zeroshot", sd, []string{"diffusers pipeline", "not a CLIP checkpoint"}},
		{"zeroshot", t.TempDir(), []string{"no config.json"}},
		{"zeroshot", filepath.Join(clip, "nowhere"), []string{"nowhere"}},
		{"generate", clip, []string{"not a diffusers pipeline"}},
		{"generate", t.TempDir(), []string{"no model_index.json"}},
		{"generate", damaged(sd, unetFile, half), []string{unetFile}},
		{"generate", damaged(sd, "unet/config.json", half), []string{"unet/config.json"}},
		{"generate", damaged(sd, "scheduler/scheduler_config.json", half), []string{"scheduler_config.json"}},
		{"generate", damaged(sd, "tokenizer/vocab.json", half), []string{"vocab.json"}},
	} {
		params, inputs := `{classes: [cat], templates: ["{}"]}`, from(c.dir)
		if c.stage == "generate" {
			params, inputs = fmt.Sprintf("{checkpoint: %q, prompts: [x], steps: 1}", c.dir), nil
		}
		_, err := l.try(c.stage, params, inputs)
		if err == nil {
			t.Errorf("%s: no error, want one with %q", c.stage, c.want)
			continue
		}
		wantError(t, err, c.want...)
	}
}

// TestBadClassifiers: what a program left as a classifier is checked when it is taken.
func TestBadClassifiers(t *testing.T) {
	l := newLab(t)
	good := published(t, l.zeroshot(clips(t)[0], "cat", "dog"))
	for script, want := range map[string]string{
		"rm c/head.safetensors":       "head.safetensors",
		"rm c/classes.txt":            "classes.txt",
		"echo owl >> c/classes.txt":   "classes.txt has 3 classes, and head.safetensors is for 2",
		"echo x > c/head.safetensors": "head.safetensors",
		"rm c/model-0*":               "model-0000",
		"rm c/config.json":            "no config.json",
	} {
		o, err := l.sh("cp -r inputs/c c; chmod -R u+w c; "+script, ", outputs: {c: {path: c, kind: classifier}}", pathInput("c", good))
		if err == nil {
			t.Errorf("%s: no error, but %v", script, o)
			continue
		}
		wantError(t, err, "output c", want)
	}
}
