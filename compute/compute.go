// Package compute chooses what executes the models' graphs. It is the only package that imports a backend:
// models take a [Backend] and know nothing of its habits.
//
// The default is package cpu's, whose own comment says how it works. gomlx's in portable Go is what it is checked against.
//
// # What gomlx's Go backend does with the cores
//
// Read in compute v0.1.3 (internal/gobackend) and tried here:
//
//   - By default operations of one graph run side by side in the backend's pool of workers, and an operation
//     that wants workers for its own loops waits for the same pool: nested waits, which deadlocked a ViT's
//     training step. With ops_sequential, the only mode that this package asks for, a graph's operations run
//     one after another in the caller's goroutine, and only the loops inside an operation go to the pool.
//   - The pool belongs to the backend, not to an execution. Several goroutines may execute graphs on one
//     backend at once, the same graph too: a worker's task never waits for another task, so they share the
//     pool without deadlock (TestSideBySide).
//   - What an operation computes does not depend on how many workers share it: each output element is summed
//     by one worker, in an order given by the shapes alone (TestWorkersDoNotChangeBits).
//   - A graph cannot be interrupted while it executes: callers look at their context between executions.
//   - Tensors belong to the backend that they were made on. To bound the cores of a stage, give the stage its
//     own backend ([New] is cheap) and [Limit] it; what it loads stays on it.
package compute

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"

	gomlx "github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"regft/compute/cpu"
)

// A Backend compiles graphs and executes them.
type Backend = gomlx.Backend

// Env names the environment variable that chooses the backend where New is given no name.
const Env = "REGFT_BACKEND"

// The names of backends: gomlx's in portable Go, and package cpu's, the default.
const (
	Go  = "go"
	CPU = cpu.Name
)

// A link is a backend that only builds with its tag have.
type link struct {
	open     func() (Backend, error)
	numerics func() string
	report   func() []string // what it found on this machine
}

// linked are those of this build, by name.
var linked = map[string]link{}

// Accelerators says which backends beside the processor's this build has, and what they found on this machine.
func Accelerators() []string {
	if len(linked) == 0 {
		return []string{"none: this build is for the processor alone (go build -tags xla, with cgo, adds XLA for CUDA)"}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(linked)) {
		for _, line := range linked[name].report() {
			lines = append(lines, name+": "+line)
		}
	}
	return lines
}

// New returns a new backend by name: "go", "cpu", one that the build has by its tag, or "" for the one that $REGFT_BACKEND
// names, "cpu" by default.
func New(name string) (Backend, error) {
	switch name = resolve(name); name {
	case Go:
		b, err := gobackend.New("ops_sequential")
		if err != nil {
			return nil, fmt.Errorf("starting backend %q: %w", name, err)
		}
		return b, nil
	case CPU:
		b, err := cpu.New()
		if err != nil {
			return nil, fmt.Errorf("starting backend %q: %w", name, err)
		}
		return b, nil
	}
	if err := Check(name); err != nil {
		return nil, err
	}
	b, err := linked[name].open()
	if err != nil {
		return nil, fmt.Errorf("starting backend %q: %w", name, err)
	}
	return b, nil
}

// Check returns an error where this build has no backend of that name, which is as New takes it.
func Check(name string) error {
	name = resolve(name)
	if _, ok := linked[name]; ok || name == Go || name == CPU {
		return nil
	}
	have := append([]string{Go, CPU}, slices.Sorted(maps.Keys(linked))...)
	return fmt.Errorf("no backend %q: this build has %q (the name comes from $%s)", name, have, Env)
}

// Numerics names the class of machines that compute the same bits with that backend, for records: "gomlx-go/amd64".
// It is the backend and the architecture, whose compiler decides over fused multiply-adds, and the build's
// experiments, which choose other kernels; for package cpu's, the instruction set: "regft-cpu/amd64+avx2".
func Numerics(name string) string {
	if name = resolve(name); name == CPU {
		return cpu.Numerics()
	}
	if l, ok := linked[name]; ok {
		return l.numerics()
	}
	class := "gomlx-" + name + "/" + runtime.GOARCH
	if strings.Contains(runtime.Version(), "simd") { // "go1.26.1 X:simd"
		class += "+simd"
	}
	return class
}

func resolve(name string) string {
	if name == "" {
		name = os.Getenv(Env)
	}
	if name == "" {
		name = CPU
	}
	return name
}

// Limit bounds the workers that share one operation of b, to be called before b executes anything.
// The Go backend has an option for that, but the option prints to standard output, so its pool is reached for
// directly.
func Limit(b Backend, workers int) error {
	if workers < 1 {
		return fmt.Errorf("limiting a backend to %d workers: at least one is needed", workers)
	}
	if b, ok := b.(*cpu.Backend); ok {
		b.Limit(workers)
		return nil
	}
	v := reflect.Indirect(reflect.ValueOf(b))
	if v.Kind() == reflect.Struct {
		if field := v.FieldByName("Workers"); field.IsValid() && field.CanInterface() {
			if pool, ok := field.Interface().(interface{ SetMaxParallelism(int) }); ok {
				pool.SetMaxParallelism(workers)
				return nil
			}
		}
	}
	return fmt.Errorf("backend %s has no bound on its workers", b.Name())
}
