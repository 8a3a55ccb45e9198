package sd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/models/checkpoint"
	"regft/models/internal/golden"
	"regft/models/safetensors"
	"regft/models/sd"
)

// transformers 5 may save a text encoder alone without the prefix text_model.
func TestTextEncoderWithoutPrefix(t *testing.T) {
	from := golden.Dir(t, "sd21-tiny")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "text_encoder", "model.safetensors")
	w, err := safetensors.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	bare := map[string]safetensors.Source{}
	for _, name := range w.Names() {
		tensor, _ := w.Lookup(name)
		bare[strings.TrimPrefix(name, "text_model.")] = tensor.Source()
	}
	f, err := os.Create(at + ".new")
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(f, bare); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.Rename(at+".new", at); err != nil {
		t.Fatal(err)
	}
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sd.Open(backend(t), files, nil, sd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
