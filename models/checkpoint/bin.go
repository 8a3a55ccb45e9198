package checkpoint

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gomlx/compute/dtypes/float16"
	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/pytorch"
	"github.com/nlpodyssey/gopickle/types"

	"regft/models/safetensors"
)

// readBin reads a state dict that torch.save wrote. Its pickle is interpreted, never executed: the interpreter
// knows tensors and dictionaries, and any other class that the file names is an error.
func readBin(path string) (_ map[string]safetensors.Tensor, err error) {
	defer func() {
		if r := recover(); r != nil { // gopickle panics on some malformed files
			err = fmt.Errorf("%s is not a PyTorch state dict: %v", path, r)
		}
	}()
	if err := checkStored(path); err != nil {
		return nil, err
	}
	loaded, err := pytorch.LoadWithUnpickler(path, func(r io.Reader) pickle.Unpickler {
		u := pickle.NewUnpickler(r)
		u.FindClass = func(module, name string) (any, error) {
			return nil, fmt.Errorf("it names %s.%s, which is no tensor", module, name)
		}
		return u
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s as a PyTorch state dict: %w", path, err)
	}
	return stateDict(path, loaded)
}

// checkStored refuses zip files with compressed records, which torch never writes and gopickle reads wrongly.
// A file that is no zip has the format from before torch 1.6, which gopickle knows.
func checkStored(path string) error {
	archive, err := zip.OpenReader(path)
	if errors.Is(err, zip.ErrFormat) {
		return nil
	}
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, f := range archive.File {
		if f.Method != zip.Store {
			return fmt.Errorf("%s: record %s is compressed, torch.save does not do that", path, f.Name)
		}
	}
	return nil
}

func stateDict(path string, loaded any) (map[string]safetensors.Tensor, error) {
	found := map[string]safetensors.Tensor{}
	add := func(key, value any) error {
		name, isName := key.(string)
		t, isTensor := value.(*pytorch.Tensor)
		if !isName || !isTensor {
			return fmt.Errorf("%s is not a state dict: entry %v is a %T", path, key, value)
		}
		var err error
		if found[name], err = gather(t); err != nil {
			return fmt.Errorf("%s, tensor %q: %w", path, name, err)
		}
		return nil
	}
	switch dict := loaded.(type) {
	case *types.OrderedDict:
		for e := dict.List.Front(); e != nil; e = e.Next() {
			entry := e.Value.(*types.OrderedDictEntry)
			if err := add(entry.Key, entry.Value); err != nil {
				return nil, err
			}
		}
	case *types.Dict:
		for _, entry := range *dict {
			if err := add(entry.Key, entry.Value); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("%s is not a state dict but a %T", path, loaded)
	}
	return found, nil
}

// gather copies a tensor's elements out of its storage, row by row whatever its strides.
func gather(t *pytorch.Tensor) (safetensors.Tensor, error) {
	switch s := t.Source.(type) {
	case *pytorch.FloatStorage:
		return strided(t, safetensors.F32, s.Data)
	case *pytorch.HalfStorage: // gopickle widened it; going back is exact
		return strided(t, safetensors.F16, float16.FromFloat32s(s.Data...))
	case *pytorch.BFloat16Storage:
		return strided(t, safetensors.F32, s.Data)
	case *pytorch.DoubleStorage:
		return strided(t, safetensors.F64, s.Data)
	case *pytorch.LongStorage:
		return strided(t, safetensors.I64, s.Data)
	case *pytorch.IntStorage:
		return strided(t, safetensors.I32, s.Data)
	default:
		return safetensors.Tensor{}, fmt.Errorf("elements of a %T are not supported", s)
	}
}

func strided[T any](t *pytorch.Tensor, dtype safetensors.DType, storage []T) (safetensors.Tensor, error) {
	out := safetensors.Tensor{DType: dtype, Shape: t.Size}
	if err := checkView(t, len(storage)); err != nil {
		return out, err
	}
	values := make([]T, out.Len())
	index := make([]int, len(t.Size))
	for i := range values {
		at := t.StorageOffset
		for axis, k := range index {
			at += k * t.Stride[axis]
		}
		values[i] = storage[at]
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < t.Size[axis] {
				break
			}
			index[axis] = 0
		}
	}
	var err error
	out.Data, err = binary.Append(nil, binary.LittleEndian, values)
	return out, err
}

// checkView demands that a tensor lies inside its storage of n elements and has no more elements than that.
func checkView(t *pytorch.Tensor, n int) error {
	if len(t.Stride) != len(t.Size) || t.StorageOffset < 0 {
		return fmt.Errorf("shape %v does not go with strides %v from %d", t.Size, t.Stride, t.StorageOffset)
	}
	count, last := 1, t.StorageOffset
	for i, size := range t.Size {
		stride := t.Stride[i]
		if size < 0 || stride < 0 || size > n || stride > n && size > 1 {
			return fmt.Errorf("shape %v with strides %v is not in a storage of %d elements", t.Size, t.Stride, n)
		}
		last += max(size-1, 0) * stride
		if count *= size; count > n {
			return fmt.Errorf("shape %v is larger than its storage of %d elements", t.Size, n)
		}
	}
	if count > 0 && last >= n {
		return fmt.Errorf("shape %v with strides %v from %d is not in a storage of %d elements",
			t.Size, t.Stride, t.StorageOffset, n)
	}
	return nil
}
