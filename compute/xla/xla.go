//go:build xla

package xla

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

func init() { goxla.EnableAutoInstall(false) }

// New returns a backend on the plugin that $REGFT_PJRT names, or on the first that is found and can be used.
func New() (compute.Backend, error) {
	c, p, _, err := pick()
	if err != nil {
		return nil, err
	}
	b, err := goxla.New(c.config(p))
	if err != nil {
		return nil, fmt.Errorf("PJRT plugin %s (%s): %w", p.name, p.path, err)
	}
	return b, nil
}

// pick is the plugin that New opens.
func pick() (choice, plugin, *pjrt.Plugin, error) {
	c := parse(os.Getenv(Env))
	allowed, err := c.among(search(folders()))
	if err != nil {
		return c, plugin{}, nil, err
	}
	var reasons []string
	for _, p := range allowed {
		loaded, err := load(p)
		if err == nil {
			return c, p, loaded, nil
		}
		reasons = append(reasons, err.Error())
	}
	return c, plugin{}, nil, fmt.Errorf("no PJRT plugin can be used: %s", strings.Join(reasons, "; "))
}

// load loads p's library, once. It is not go-xla's search that does it, which panics at a file that is no library.
func load(p plugin) (*pjrt.Plugin, error) {
	if p.cuda() && len(gpus()) == 0 {
		return nil, fmt.Errorf("%s (%s): %w", p.name, p.path, errNoGPU)
	}
	loaded, err := pjrt.GetPlugin(p.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return loaded, nil
}

// Numerics names the class of machines that compute the same bits: the plugin with its version, and the GPU, or the processor and the
// number of cores, among which XLA may divide sums.
func Numerics() string {
	c, p, loaded, err := pick()
	if err != nil {
		return "xla/none"
	}
	major, minor := loaded.Version()
	class := fmt.Sprintf("xla/%s %d.%d", p.name, major, minor)
	if c.tf32() {
		class += "+tf32"
	}
	if p.cuda() {
		return class + "/" + gpus()[0]
	}
	return fmt.Sprintf("%s/%s/%d cores", class, cmp.Or(field("/proc/cpuinfo", "model name"), runtime.GOARCH), runtime.NumCPU())
}

// Report says which plugins were found, or where they were looked for, which of them can be used, which one New opens, and the NVIDIA
// GPUs.
func Report() []string {
	c, used, _, failure := pick()
	var lines []string
	found := search(folders())
	for _, p := range found {
		lines = append(lines, describe(p, p == used))
	}
	if failure == nil && !slices.Contains(found, used) { // chosen by its path
		lines = append(lines, describe(used, true))
	}
	if failure != nil && (c.name != "" || len(found) == 0) { // without a name the plugins' lines say it
		lines = append(lines, failure.Error())
	}
	models := gpus()
	if len(models) == 0 {
		return append(lines, errNoGPU.Error())
	}
	return append(lines, "NVIDIA GPUs: "+strings.Join(models, ", "))
}

func describe(p plugin, used bool) string {
	loaded, err := load(p)
	if err != nil {
		return "PJRT plugin that cannot be used: " + err.Error()
	}
	major, minor := loaded.Version()
	line := fmt.Sprintf("PJRT plugin %s: %s, API %d.%d", p.name, p.path, major, minor)
	if used {
		line += ", opened where xla is the backend"
	}
	return line
}

// errNoGPU says how an NVIDIA GPU was looked for.
var errNoGPU = errors.New("no NVIDIA GPU: there is no /dev/nvidia0, nor another number")

// gpus names the NVIDIA GPUs of this machine by their models, or by their device files where the driver does not tell.
func gpus() []string {
	var out []string
	information, err := filepath.Glob("/proc/driver/nvidia/gpus/*/information")
	if err == nil {
		for _, path := range information {
			if model := field(path, "Model"); model != "" {
				out = append(out, model)
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	if out, err = filepath.Glob("/dev/nvidia[0-9]*"); err != nil {
		return nil
	}
	return out
}
