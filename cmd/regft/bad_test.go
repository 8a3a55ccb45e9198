package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestBadSpecs gives each bad spec of specs/testdata/bad to the real command, with all stage types, and compares what it
// prints with testdata/bad: for people (run), for editors (plan --json), and for GitHub. Each ends with exit code 2
// before anything runs. With UPDATE_SCRIPTS set, the golden files are written anew.
func TestBadSpecs(t *testing.T) {
	archives := badSpecs(t)
	if len(archives) < 60 {
		t.Fatalf("%d archives: want sixty or more", len(archives))
	}
	for name, archive := range archives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			got := &txtar.Archive{Comment: archive.Comment, Files: badSpecOutputs(t, dir, unpack(t, archive, dir))}
			if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
				t.Error("something ran")
			}
			compareGolden(t, filepath.Join("testdata", "bad", name+".txtar"), txtar.Format(got))
		})
	}
}

// badSpecs are the archives of specs/testdata/bad by name, less those that only warn.
func badSpecs(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "specs", "testdata", "bad", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*txtar.Archive{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" }); i >= 0 && bytes.Contains(archive.Files[i].Data, []byte(": error: ")) {
			out[strings.TrimSuffix(filepath.Base(path), ".txtar")] = archive
		}
	}
	return out
}

// unpack writes the files of archive into dir, and gives its flags: a --set for each line of file set.
func unpack(t *testing.T, archive *txtar.Archive, dir string) (flags []string) {
	t.Helper()
	for _, f := range archive.Files {
		if f.Name == "set" {
			for line := range strings.Lines(string(f.Data)) {
				flags = append(flags, "--set", strings.TrimSuffix(line, "\n"))
			}
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return flags
}

// badSpecOutputs are what the command prints of dir's spec.yaml in each of its forms.
func badSpecOutputs(t *testing.T, dir string, flags []string) []txtar.File {
	t.Helper()
	regft := func(env string, args ...string) (stdout, stderr []byte) {
		cmd := exec.Command("regft", append(args, flags...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "REGFT_CACHE="+filepath.Join(dir, ".cache"), "GITHUB_ACTIONS="+env)
		var out, problems bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &problems
		err := cmd.Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitUsage {
			t.Errorf("%v ends with %v: want exit code %d\n%s", args, err, exitUsage, problems.Bytes())
		}
		return out.Bytes(), problems.Bytes()
	}
	out, people := regft("", "run", "spec.yaml")
	if len(out) > 0 {
		t.Errorf("run prints %q", out)
	}
	editors, silent := regft("", "plan", "--json", "spec.yaml")
	if len(silent) > 0 {
		t.Errorf("--json prints on standard error too: %q", silent)
	}
	github, again := regft("true", "plan", "spec.yaml")
	if !bytes.Equal(people, again) {
		t.Errorf("plan says other things than run:\n%s", again)
	}
	return []txtar.File{{Name: "people", Data: people}, {Name: "editors.json", Data: editors}, {Name: "github", Data: github}}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("what it prints differs (-want +got):\n%s", diff)
	}
}
