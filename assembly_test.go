package regft_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGeneratedRegisters looks in functions for AVX2 for registers that only AVX-512 has: the generators take them when they
// run out of others, and processors without AVX-512 then stop with an illegal instruction.
func TestGeneratedRegisters(t *testing.T) {
	register := regexp.MustCompile(`\b(Z\d+|[XY](1[6-9]|2\d|3[01])|K[0-7])\b`)
	looked := 0
	eachFile(t, "avx2_amd64.s", func(path string, source []byte) {
		looked++
		if found := register.FindAll(source, -1); found != nil {
			t.Errorf("%s uses %d registers of AVX-512, the first %s", path, len(found), found[0])
		}
	})
	if looked < 3 {
		t.Errorf("%d files were looked at", looked)
	}
}

// generateLine is a line that go generate runs, to make a package's assembly.
var generateLine = regexp.MustCompile(`(?m)^//go:generate go run -C (\S+) (.*) -out (\S+) -stubs (\S+) -pkg (\S+)$`)

// TestGeneratedIsCurrent runs the generators of assembly again, where the modules that they need have been downloaded.
func TestGeneratedIsCurrent(t *testing.T) {
	made := 0
	eachFile(t, ".go", func(path string, source []byte) {
		for _, m := range generateLine.FindAllStringSubmatch(string(source), -1) {
			made++
			folder, out := filepath.Join(filepath.Dir(path), m[1]), filepath.Join(t.TempDir(), "out.s")
			args := append(append([]string{"run"}, strings.Fields(m[2])...), "-out", out, "-stubs", out+".go", "-pkg", m[5])
			command := exec.Command("go", args...)
			command.Dir, command.Env = folder, append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
			if message, err := command.CombinedOutput(); err != nil {
				if bytes.Contains(message, []byte("GOPROXY=off")) {
					t.Skip("avo is not downloaded: go generate would")
				}
				t.Fatalf("the generator in %s: %v\n%s", folder, err, message)
			}
			for made, kept := range map[string]string{out: m[3], out + ".go": m[4]} {
				if kept = filepath.Join(folder, kept); !bytes.Equal(withoutHeader(t, made), withoutHeader(t, kept)) {
					t.Errorf("%s is not what the generator writes: run go generate", kept)
				}
			}
		}
	})
	if made < 4 {
		t.Errorf("%d generators were run", made)
	}
}

// withoutHeader is a generated file after its first line, which names the command.
func withoutHeader(t *testing.T, path string) []byte {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(source, []byte("\n"))
	return rest
}

// eachFile gives the files of the tree whose names end so.
func eachFile(t *testing.T, suffix string, do func(path string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipFolder(d, err)
		}
		if !strings.HasSuffix(path, suffix) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			do(path, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
