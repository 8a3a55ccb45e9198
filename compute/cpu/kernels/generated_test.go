package kernels

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGeneratedRegisters looks for registers that only AVX-512 has: the generator takes them when it runs out of others, and
// processors without AVX-512 then stop with an illegal instruction.
func TestGeneratedRegisters(t *testing.T) {
	source, err := os.ReadFile("avx2_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`\b(Z\d+|[XY](1[6-9]|2\d|3[01])|K[0-7])\b`).FindAll(source, -1); found != nil {
		t.Errorf("avx2_amd64.s uses %d registers of AVX-512, the first %s", len(found), found[0])
	}
}

// TestGeneratedIsCurrent runs the generator again, where the modules that it needs have been downloaded.
func TestGeneratedIsCurrent(t *testing.T) {
	for _, set := range []string{"avx2", "avx512"} {
		out := filepath.Join(t.TempDir(), "out.s")
		command := exec.Command("go", "run", ".", "-set", set, "-out", out, "-stubs", out+".go", "-pkg", "kernels")
		command.Dir, command.Env = "gen", append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
		if message, err := command.CombinedOutput(); err != nil {
			if bytes.Contains(message, []byte("GOPROXY=off")) {
				t.Skip("avo is not downloaded: go generate would")
			}
			t.Fatalf("the generator: %v\n%s", err, message)
		}
		for made, kept := range map[string]string{out: set + "_amd64.s", out + ".go": set + "_amd64.go"} {
			if !bytes.Equal(withoutHeader(t, made), withoutHeader(t, kept)) {
				t.Errorf("%s is not what the generator writes: run go generate", kept)
			}
		}
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
