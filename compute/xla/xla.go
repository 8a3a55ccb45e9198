//go:build xla

// Package xla executes graphs on CUDA GPUs, and whatever else a PJRT plugin serves, through go-xla. It needs cgo and
// the build tag xla: go build -tags xla ./cmd/regft. Nothing is downloaded: a plugin is a shared library that is on the machine,
// pjrt_c_api_NAME_plugin.so in a folder of $PJRT_PLUGIN_LIBRARY_PATH or in ~/.local/lib/go-xla (NVIDIA's comes with the
// Python wheel jax-cuda13-pjrt).
package xla

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// Env names the environment variable that chooses the plugin, by name or path, with go-xla's options behind commas:
// "cuda13,preallocate=true".
const Env = "REGFT_PJRT"

// tf32 is off unless asked for: it rounds float32 products to ten bits.
const tf32 = "tf32"

func init() { goxla.EnableAutoInstall(false) }

// New returns a backend on the plugin that $REGFT_PJRT names, or on the first that is found.
func New() (compute.Backend, error) {
	config := os.Getenv(Env)
	if !strings.Contains(config, tf32) {
		config += "," + tf32 + "=false"
	}
	b, err := goxla.New(config)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, strings.Join(Report(), "; "))
	}
	return b, nil
}

// Numerics names the class of machines that compute the same bits: that of the plugin, as far as is known before it is loaded.
func Numerics() string { return "xla/" + cmp.Or(os.Getenv(Env), "default") }

// Report says which plugins were found, or where they were looked for, and whether there is an NVIDIA GPU.
func Report() []string {
	var lines []string
	found := pjrt.AvailablePlugins()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		lines = append(lines, fmt.Sprintf("PJRT plugin %s: %s", name, found[name]))
	}
	if len(found) == 0 {
		lines = append(lines, "no PJRT plugin that can be used: $PJRT_PLUGIN_LIBRARY_PATH, ~/.local/lib/go-xla and the system's libraries have none, "+
			"or only a CUDA one without a GPU")
	}
	gpus, err := filepath.Glob("/proc/driver/nvidia/gpus/*")
	if err != nil || len(gpus) == 0 {
		return append(lines, "no NVIDIA GPU: /proc/driver/nvidia/gpus is empty or missing")
	}
	return append(lines, fmt.Sprintf("%d NVIDIA GPUs", len(gpus)))
}
