//go:build xla

package xla

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/support/backendtest"
)

// TestCompliance runs gomlx's own suite for backends on the plugin that this machine has.
func TestCompliance(t *testing.T) {
	_, p, _, err := pick()
	if err != nil {
		t.Skip(err)
	}
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	t.Log(b.Description())
	options := &backendtest.AllTestsConfiguration{}
	if p.cuda() { // XLA convolves float64 on processors only
		options.ConvGeneralDTypes = []dtypes.DType{dtypes.Float32}
	}
	backendtest.RunAll(t, b, options)
}

// TestPluginsThatCannotBeUsed: a file that is no library, a CUDA plugin where there is no GPU, and no plugin at all are errors, which
// the report gives too.
func TestPluginsThatCannotBeUsed(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(foldersEnv, folder)
	t.Setenv(Env, "")
	refused := func(want ...string) {
		t.Helper()
		_, err := New()
		if err == nil {
			t.Fatal("New opens it")
		}
		report := strings.Join(Report(), "\n")
		for _, want := range want {
			if !strings.Contains(err.Error(), want) || !strings.Contains(report, want) {
				t.Errorf("error %v\nor report %s\ndoes not say %q", err, report, want)
			}
		}
		if got := Numerics(); got != "xla/none" {
			t.Errorf("numerics %q", got)
		}
	}
	refused(folder, "docs/xla.md")
	broken := library(t, folder, "pjrt_c_api_broken_plugin.so")
	refused(broken, "file too short")
	if len(gpus()) == 0 {
		cuda := library(t, folder, "pjrt_c_api_cuda13_plugin.so")
		refused(broken, cuda, "no NVIDIA GPU")
	}
	t.Setenv(Env, "tpu")
	refused(`"tpu"`, "broken")
}
