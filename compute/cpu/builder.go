package cpu

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
)

// A Builder is a graph that is being defined: its main function, those that it calls, and their closures.
type Builder struct {
	notimplemented.Builder
	backend  *Backend
	name     string
	main     *Function
	compiled bool
}

var _ compute.Builder = (*Builder)(nil)

func newBuilder(b *Backend, name string) *Builder {
	builder := &Builder{Builder: notimplemented.Builder{ErrFn: notImplemented}, backend: b, name: name}
	builder.main = newFunction(builder, nil, compute.MainName)
	return builder
}

func notImplemented(op compute.OpType) error {
	return fmt.Errorf("cpu backend: operation %s: %w", op, notimplemented.NotImplementedError)
}

// Name implements compute.Builder.
func (b *Builder) Name() string { return b.name }

// Main implements compute.Builder.
func (b *Builder) Main() compute.Function { return b.main }

// NewFunction implements compute.Builder.
func (b *Builder) NewFunction(name string) (compute.Function, error) {
	if name == "" || name == compute.MainName {
		return nil, fmt.Errorf("cpu backend: a function cannot be called %q", name)
	}
	return newFunction(b, nil, name), nil
}

// OpShape implements compute.Builder.
func (b *Builder) OpShape(v compute.Value) (shapes.Shape, error) { return b.main.Shape(v) }

// Compile implements compute.Builder.
func (b *Builder) Compile() (compute.Executable, error) {
	if b.compiled {
		return nil, fmt.Errorf("cpu backend: graph %q is compiled already", b.name)
	}
	if !b.main.returned {
		return nil, fmt.Errorf("cpu backend: graph %q has no outputs: its main function did not return", b.name)
	}
	b.compiled = true
	p, err := compile(b.main)
	if err != nil {
		return nil, fmt.Errorf("compiling graph %q: %w", b.name, err)
	}
	return newExecutable(b.main, p), nil
}

// DistributedSPMD implements compute.Builder: there is one device.
func (b *Builder) DistributedSPMD(devices int) error {
	if devices != 1 {
		return fmt.Errorf("cpu backend: a graph for %d devices, there is one", devices)
	}
	return nil
}

// DeviceAssignment implements compute.Builder: there is one device.
func (b *Builder) DeviceAssignment(devices ...compute.DeviceNum) error {
	for _, d := range devices {
		if d != 0 {
			return errors.New("cpu backend: there is no device but 0")
		}
	}
	return nil
}
