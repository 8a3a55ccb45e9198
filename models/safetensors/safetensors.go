// Package safetensors reads and writes the safetensors format
// (https://github.com/huggingface/safetensors, "Format").
//
// A file is the length of its header (8 bytes, little-endian), the header (JSON: name → dtype, shape and
// place of each tensor), and the tensors, row-major and little-endian. A File is mapped, not read: opening
// one costs its header, and a tensor's bytes are paged in when they are looked at.
//
// Invariant: a File that Open returns is whole. Every tensor's place lies inside the file, is as long as its
// dtype and shape say, and overlaps no other, so that later reads cannot fail for the file's sake.
package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"regft/models/half"
)

// A DType is an element type, spelt as in the header.
type DType string

// The element types that occur in published checkpoints.
const (
	Bool DType = "BOOL"
	U8   DType = "U8"
	I8   DType = "I8"
	U16  DType = "U16"
	I16  DType = "I16"
	F16  DType = "F16"
	BF16 DType = "BF16"
	U32  DType = "U32"
	I32  DType = "I32"
	F32  DType = "F32"
	U64  DType = "U64"
	I64  DType = "I64"
	F64  DType = "F64"
)

var sizes = map[DType]int{
	Bool: 1, U8: 1, I8: 1, U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8,
}

// Size is the bytes of one element, 0 for a type that this package does not know.
func (d DType) Size() int { return sizes[d] }

// A Tensor is an array in memory: row-major, little-endian.
type Tensor struct {
	DType DType
	Shape []int
	Data  []byte // of a tensor in a File: mapped, read-only, valid until the File is closed
}

// Len is the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Float32s returns the elements as float32, in new memory. Integers and float64 are rounded to nearest.
func (t Tensor) Float32s() ([]float32, error) {
	out := make([]float32, t.Len())
	return out, t.CopyFloat32s(out)
}

// CopyFloat32s is Float32s into memory of as many elements.
func (t Tensor) CopyFloat32s(out []float32) error {
	switch t.DType {
	case F32: // most weights: without a call for each
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	case F16:
		each16(t.Data, out, half.FromFloat16)
	case BF16:
		each16(t.Data, out, half.FromBFloat16)
	case F64:
		each64(t.Data, out, func(bits uint64) float32 { return float32(math.Float64frombits(bits)) })
	case I64:
		each64(t.Data, out, func(bits uint64) float32 { return float32(int64(bits)) })
	case I32:
		each32(t.Data, out, func(bits uint32) float32 { return float32(int32(bits)) })
	case U8:
		for i := range out {
			out[i] = float32(t.Data[i])
		}
	default:
		return fmt.Errorf("%s elements cannot be read as float32", t.DType)
	}
	return nil
}

// Int64s returns the elements of an integer tensor, in new memory.
func (t Tensor) Int64s() ([]int64, error) {
	out := make([]int64, t.Len())
	switch t.DType {
	case I64:
		each64(t.Data, out, func(bits uint64) int64 { return int64(bits) })
	case I32:
		each32(t.Data, out, func(bits uint32) int64 { return int64(int32(bits)) })
	case U8:
		for i := range out {
			out[i] = int64(t.Data[i])
		}
	default:
		return nil, fmt.Errorf("%s elements cannot be read as int64", t.DType)
	}
	return out, nil
}

func each16[T any](data []byte, out []T, decode func(uint16) T) {
	for i := range out {
		out[i] = decode(binary.LittleEndian.Uint16(data[2*i:]))
	}
}

func each32[T any](data []byte, out []T, decode func(uint32) T) {
	for i := range out {
		out[i] = decode(binary.LittleEndian.Uint32(data[4*i:]))
	}
}

func each64[T any](data []byte, out []T, decode func(uint64) T) {
	for i := range out {
		out[i] = decode(binary.LittleEndian.Uint64(data[8*i:]))
	}
}

// FromFloat32s is values as a tensor of that shape. It shares memory with values where the machine is
// little-endian.
func FromFloat32s(values []float32, shape ...int) Tensor {
	return Tensor{F32, slices.Clone(shape), littleEndian(values, func(b []byte, v float32) []byte {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	})}
}

// FromInt64s is FromFloat32s for int64.
func FromInt64s(values []int64, shape ...int) Tensor {
	return Tensor{I64, slices.Clone(shape), littleEndian(values, func(b []byte, v int64) []byte {
		return binary.LittleEndian.AppendUint64(b, uint64(v))
	})}
}

// littleEndian views values as bytes; on a big-endian machine it encodes them, one by one, instead.
func littleEndian[T float32 | int64](values []T, encode func([]byte, T) []byte) []byte {
	if len(values) == 0 {
		return nil
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
	}
	var b []byte
	for _, v := range values {
		b = encode(b, v)
	}
	return b
}
