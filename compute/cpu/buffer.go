package cpu

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// A Buffer is a tensor in the process's memory: a slice of the Go type of its dtype, row-major; bytes that hold
// several values each for types of less than a byte.
type Buffer struct {
	backend *Backend
	shape   shapes.Shape

	mu      sync.Mutex
	flat    any     // nil once it is finalized or donated
	settled bool    // the elements may be put in another order
	layout  *layout // their order, nil for row-major
	users   int     // executions that read flat
}

var _ compute.Buffer = (*Buffer)(nil)

func newBuffer(b *Backend, shape shapes.Shape, flat any) *Buffer {
	return &Buffer{backend: b, shape: shape, flat: flat}
}

// length is how many elements the slice of a tensor of that shape has.
func length(s shapes.Shape) int {
	if s.DType.IsPacked() {
		return s.DType.SizeForDimensions(s.Dimensions...)
	}
	return s.Size()
}

// newFlat is memory, all zero, for a tensor of that shape.
func newFlat(s shapes.Shape) any {
	if s.DType.IsPacked() {
		return make([]byte, length(s))
	}
	return dtypes.MakeAnySlice(s.DType, s.Size())
}

// fits tells whether flat can be the memory of a tensor of that shape.
func fits(flat any, s shapes.Shape) error {
	v := reflect.ValueOf(flat)
	want := s.DType.GoType()
	if s.DType.IsPacked() {
		want = reflect.TypeFor[byte]()
	}
	if v.Kind() != reflect.Slice || v.Type().Elem() != want || v.Len() != length(s) {
		return fmt.Errorf("cpu backend: a tensor %s needs a slice of %d %s, not %T of %d", s, length(s), want, flat, lengthOf(v))
	}
	return nil
}

func lengthOf(v reflect.Value) int {
	if v.Kind() != reflect.Slice {
		return 1
	}
	return v.Len()
}

func (b *Backend) check(device compute.DeviceNum) error {
	if b.IsFinalized() {
		return errFinalized
	}
	if device != 0 {
		return fmt.Errorf("cpu backend: there is no device %d, only device 0", device)
	}
	return nil
}

// BufferFromFlatData implements compute.DataInterface; it copies flat.
func (b *Backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	if err := b.check(device); err != nil {
		return nil, err
	}
	if err := fits(flat, shape); err != nil {
		return nil, err
	}
	buffer := newBuffer(b, shape.Clone(), newFlat(shape))
	copyFlat(buffer.flat, flat)
	return buffer, nil
}

// HasSharedBuffers implements compute.DataInterface: all buffers are in the process's memory.
func (b *Backend) HasSharedBuffers() bool { return true }

// NewSharedBuffer implements compute.DataInterface. Its memory is not to be changed while a program uses it.
func (b *Backend) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	if err := b.check(device); err != nil {
		return nil, nil, err
	}
	buffer := newBuffer(b, shape.Clone(), newFlat(shape))
	return buffer, buffer.flat, nil
}

// Backend implements compute.Buffer.
func (b *Buffer) Backend() compute.Backend { return b.backend }

// Finalize implements compute.Buffer. It may be called again.
func (b *Buffer) Finalize() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flat = nil
	return nil
}

// Shape implements compute.Buffer.
func (b *Buffer) Shape() (shapes.Shape, error) { return b.shape, b.alive() }

// DeviceNum implements compute.Buffer.
func (b *Buffer) DeviceNum() (compute.DeviceNum, error) { return 0, b.alive() }

// ToFlatData implements compute.Buffer.
func (b *Buffer) ToFlatData(flat any) error {
	if err := b.alive(); err != nil {
		return err
	}
	if err := fits(flat, b.shape); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.copyTo(flat)
	return nil
}

// Data implements compute.Buffer. The elements are in row-major order from now on, settled or not.
func (b *Buffer) Data() (any, error) {
	if err := b.alive(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsettle()
	return b.flat, nil
}

// CopyToDevice implements compute.Buffer: a copy on the only device.
func (b *Buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	if err := b.alive(); err != nil {
		return nil, err
	}
	if err := b.backend.check(device); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return newBuffer(b.backend, b.shape.Clone(), b.inOwnOrder()), nil
}

func (b *Buffer) alive() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flat == nil {
		return fmt.Errorf("cpu backend: a buffer %s is used after it was finalized or donated", b.shape)
	}
	return nil
}

// copyFlat copies slices of one type.
func copyFlat(dst, src any) {
	if d, ok := dst.([]float32); ok {
		copy(d, src.([]float32))
		return
	}
	reflect.Copy(reflect.ValueOf(dst), reflect.ValueOf(src))
}
