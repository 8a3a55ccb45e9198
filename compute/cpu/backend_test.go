package cpu_test

import (
	"testing"

	"github.com/gomlx/compute/support/backendtest"

	"regft/compute/cpu"
)

func newBackend(t testing.TB) *cpu.Backend {
	t.Helper()
	b, err := cpu.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// TestCompliance runs gomlx's own suite for backends.
func TestCompliance(t *testing.T) { backendtest.RunAll(t, newBackend(t), nil) }
