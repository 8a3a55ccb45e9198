package checkpoint_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"regft/models/checkpoint"
	"regft/models/internal/golden"
)

// transformers 5 writes tokenizer.json alone; beside vocab.json it is not read, and so not part of the digest.
func TestNeededTokenizer(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Dir(t, "clip-tiny-gelu"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(needed(t, dir), "tokenizer.json") {
		t.Error("tokenizer.json is needed although there is a vocab.json")
	}
	if err := os.Remove(filepath.Join(dir, "vocab.json")); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(needed(t, dir), "tokenizer.json") {
		t.Error("tokenizer.json is not needed although there is no vocab.json")
	}
}

func needed(t *testing.T, dir string) []string {
	t.Helper()
	files, err := checkpoint.DirFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	names, err := checkpoint.NeededCLIP(files)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
