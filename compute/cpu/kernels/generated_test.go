package kernels

import (
	"os"
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
