// Package cpu executes GoMLX graphs on the processor: an implementation of gomlx's compute.Backend in Go and Go
// assembly, without cgo.
//
// A graph becomes a program in four passes. While it is built, equal operations become one ([Function.add]). Then
// what depends on constants only is computed, what no output needs is dropped, element-wise chains become loops over
// tiles that stay in the L1 cache, and every intermediate result gets its place in one arena per execution. The hot
// operations of float32 run on package kernels; all others, one at a time, on gomlx's own Go backend, which is the
// reference for what they mean.
//
// Operations of one execution run one after another; each shares its loops with the workers of the backend. Loops are
// split at sizes that depend on shapes alone, so results have the same bits for any number of workers. Several
// executions may run side by side, the same program too: a caller works on its own loop until it is done and never
// waits for a worker to be free. The end of a context ends an execution within one task of a step
// ([Executable.ExecuteContext]); a panic is an error.
package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"regft/compute/cpu/kernels"
)

// Name is the backend's name.
const Name = "cpu"

var errFinalized = errors.New("cpu backend: it has been finalized")

// Backend is a compute.Backend with one device, the processor.
type Backend struct {
	reference compute.Backend // runs the operations that have no kernel here
	pool      *pool
	finalized atomic.Bool
}

var _ compute.Backend = (*Backend)(nil)

// New returns a backend that uses as many workers as GOMAXPROCS allows.
func New() (*Backend, error) {
	reference, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fmt.Errorf("starting the reference backend: %w", err)
	}
	return &Backend{reference: reference, pool: newPool()}, nil
}

// Numerics names the class of machines that compute the same bits.
func Numerics() string {
	return "regft-cpu/" + runtime.GOARCH + "+" + kernels.InstructionSet()
}

// Limit bounds the workers that share one operation, to be called before anything is executed.
func (b *Backend) Limit(workers int) { b.pool.limit(workers) }

// Name implements compute.Backend.
func (b *Backend) Name() string { return Name }

// String implements compute.Backend.
func (b *Backend) String() string { return Name }

// Description names the instruction set in use and the number of workers.
func (b *Backend) Description() string {
	return fmt.Sprintf("RegFT CPU backend (%s, parallelism=%d)", kernels.InstructionSet(), b.pool.workers)
}

// NumDevices implements compute.Backend.
func (b *Backend) NumDevices() int { return 1 }

// DeviceDescription implements compute.Backend.
func (b *Backend) DeviceDescription(compute.DeviceNum) string { return "the processor" }

// Capabilities are the reference's, plus fused attention, but for dynamic axes.
func (b *Backend) Capabilities() compute.Capabilities {
	c := b.reference.Capabilities().Clone()
	c.DynamicAxes = false
	c.Operations[compute.OpTypeFusedScaledDotProductAttention] = true
	c.Operations[compute.OpTypeFusedScaledDotProductAttentionVJP] = true
	for _, op := range []compute.OpType{compute.OpTypeDynamicDimensionSize, compute.OpTypeDynamicShape, compute.OpTypeDynamicReshape} {
		delete(c.Operations, op)
	}
	return c
}

// Finalize implements compute.Backend.
func (b *Backend) Finalize() {
	b.finalized.Store(true)
	b.reference.Finalize()
}

// IsFinalized implements compute.Backend.
func (b *Backend) IsFinalized() bool { return b.finalized.Load() }

// Builder implements compute.Backend.
func (b *Backend) Builder(name string) compute.Builder { return newBuilder(b, name) }
