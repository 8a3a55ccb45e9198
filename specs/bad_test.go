package specs_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the diagnostics of testdata/bad as they are")

// TestBadSpecs checks every diagnostic, as people see it, of specs with mistakes. An archive holds spec.yaml and what it
// reads, the --set flags (set, one a line), and the diagnostics (want).
func TestBadSpecs(t *testing.T) {
	eachArchive(t, "testdata/bad/*.txtar", diagnose)
}

// eachArchive compares what each archive says that it wants with what got makes of it.
func eachArchive(t *testing.T, pattern string, got func(*testing.T, *txtar.Archive) string) {
	archives, err := filepath.Glob(pattern)
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := got(t, archive)
			if text == "" {
				t.Fatal("nothing to compare")
			}
			if *update {
				writeWant(t, path, archive, text)
			}
			if diff := cmp.Diff(part(archive, "want"), text); diff != "" {
				t.Errorf("want differs (-want +got):\n%s", diff)
			}
		})
	}
}

// diagnose loads and expands the archive's spec in a folder of its own, and renders what is wrong.
func diagnose(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	sets := unpack(t, archive)
	s, problems := specs.Load("spec.yaml", sets)
	if s != nil {
		_, problems = s.Expand(context.Background())
	}
	var out bytes.Buffer
	if err := problems.Render(&out, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// unpack writes the archive's files into a folder of the test's, which becomes the current one, and gives its flags.
func unpack(t *testing.T, archive *txtar.Archive) (sets []string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range archive.Files {
		if f.Name == "want" || f.Name == "set" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.TrimSuffix(part(archive, "set"), "\n"); lines != "" {
		sets = strings.Split(lines, "\n")
	}
	return sets
}

func part(archive *txtar.Archive, name string) string {
	for _, f := range archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func writeWant(t *testing.T, path string, archive *txtar.Archive, want string) {
	t.Helper()
	for i, f := range archive.Files {
		if f.Name == "want" {
			archive.Files[i].Data = []byte(want)
			if err := os.WriteFile(path, txtar.Format(archive), 0o666); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o666); err != nil {
		t.Fatal(err)
	}
}
