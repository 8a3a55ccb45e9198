package nn

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// An Array is a float32 tensor on the host, row-major.
type Array struct {
	Shape  []int
	Values []float32
}

// Arrays are parameters by name on the host: what is merged, averaged and saved.
type Arrays map[string]Array

// Names lists the arrays, sorted.
func (a Arrays) Names() []string { return slices.Sorted(maps.Keys(a)) }

// Shapes lists the arrays with their dimensions.
func (a Arrays) Shapes() Shapes {
	s := Shapes{}
	for name, array := range a {
		s[name] = array.Shape
	}
	return s
}

// ToBackend copies the arrays to a backend.
func (a Arrays) ToBackend(backend compute.Backend) (Weights, error) {
	w := Weights{}
	for name, array := range a {
		t, err := array.ToBackend(backend)
		if err != nil {
			return nil, fmt.Errorf("copying %q to the backend: %w", name, err)
		}
		w[name] = t
	}
	return w, nil
}

// ToBackend copies the array to a backend, as Settled.
func (a Array) ToBackend(backend compute.Backend) (*tensors.Tensor, error) {
	shape := shapes.Make(dtypes.Float32, a.Shape...)
	if shape.Size() != len(a.Values) {
		return nil, fmt.Errorf("%d values do not fill the shape %v", len(a.Values), a.Shape)
	}
	return Settled(backend, shape, func(flat []float32) error { copy(flat, a.Values); return nil })
}

// Settled makes a tensor of what fill puts into it, which stays so: the backend may keep the elements in an order that suits
// the programs that read them, until they are read back.
func Settled[T float32 | float16.Float16 | bfloat16.BFloat16](backend compute.Backend, shape shapes.Shape, fill func(flat []T) error) (*tensors.Tensor, error) {
	if !backend.HasSharedBuffers() {
		flat := make([]T, shape.Size())
		if err := fill(flat); err != nil {
			return nil, err
		}
		buffer, err := backend.BufferFromFlatData(0, flat, shape)
		if err != nil {
			return nil, err
		}
		return tensors.FromBuffer(buffer)
	}
	buffer, flat, err := backend.NewSharedBuffer(0, shape)
	if err != nil {
		return nil, err
	}
	if err := fill(flat.([]T)); err != nil {
		return nil, errors.Join(err, buffer.Finalize())
	}
	if b, ok := buffer.(interface{ Settle() }); ok {
		b.Settle()
	}
	return tensors.FromBuffer(buffer)
}

// ToBackend copies values, row-major, to a tensor of those dimensions on a backend.
func ToBackend[T float32 | int32](backend compute.Backend, values []T, dims ...int) (*tensors.Tensor, error) {
	shape := shapes.Make(dtypes.FromGenericsType[T](), dims...)
	if shape.Size() != len(values) {
		return nil, fmt.Errorf("%d values do not fill the shape %v", len(values), dims)
	}
	t, err := tensors.FromShapeForBackend(backend, 0, shape)
	if err != nil {
		return nil, err
	}
	return t, tensors.MutableFlatData(t, func(flat []T) { copy(flat, values) })
}

// ToHost copies the named weights, float32, to the host.
func (w Weights) ToHost(names ...string) (Arrays, error) {
	a := Arrays{}
	for _, name := range names {
		t, ok := w[name]
		if !ok {
			return nil, fmt.Errorf("there are no weights %q", name)
		}
		values, err := tensors.CopyFlatData[float32](t)
		if err != nil {
			return nil, fmt.Errorf("copying %q to the host: %w", name, err)
		}
		a[name] = Array{slices.Clone(t.Shape().Dimensions), values}
	}
	return a, nil
}
