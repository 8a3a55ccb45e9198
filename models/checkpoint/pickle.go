package checkpoint

import (
	"fmt"
	"io"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"

	"regft/models/safetensors"
)

// An unpickler interprets the pickles of torch.save and collects the storages that they name.
type unpickler struct {
	r        io.Reader
	storages map[string]*storage
}

// newUnpickler reads pickles one after another from r, which must be an io.ByteReader, or bytes between them are
// lost.
func newUnpickler(r interface {
	io.Reader
	io.ByteReader
}) *unpickler {
	return &unpickler{r, map[string]*storage{}}
}

func (u *unpickler) load() (any, error) {
	p := pickle.NewUnpickler(u.r)
	p.FindClass, p.PersistentLoad = findClass, u.persistent
	return p.Load()
}

// findClass knows what a state dict is made of; collections.OrderedDict is gopickle's.
func findClass(module, name string) (any, error) {
	if dtype, ok := storageClasses[name]; ok && module == "torch" {
		return storageClass{dtype}, nil
	}
	switch module + "." + name {
	case "torch._utils._rebuild_tensor_v2":
		return rebuildTensor{}, nil
	case "torch._utils._rebuild_parameter":
		return rebuildParameter{}, nil
	}
	return nil, fmt.Errorf("it names %s.%s, which is no part of a state dict", module, name)
}

type storageClass struct{ dtype safetensors.DType }

var storageClasses = map[string]safetensors.DType{
	"FloatStorage": safetensors.F32, "HalfStorage": safetensors.F16, "BFloat16Storage": safetensors.BF16,
	"DoubleStorage": safetensors.F64, "LongStorage": safetensors.I64, "IntStorage": safetensors.I32,
	"ShortStorage": safetensors.I16, "CharStorage": safetensors.I8, "ByteStorage": safetensors.U8, "BoolStorage": safetensors.Bool,
}

// A storage is memory that tensors are views of.
type storage struct {
	dtype safetensors.DType
	size  int // elements
	data  []byte
}

func (s *storage) bytes() int { return s.size * s.dtype.Size() }

// persistent resolves ("storage", class, key, device, elements, …), as torch names storages in its pickles.
func (u *unpickler) persistent(id any) (any, error) {
	tuple, ok := id.(*types.Tuple)
	if !ok || tuple.Len() < 5 {
		return nil, fmt.Errorf("%v names no storage", id)
	}
	class, isClass := tuple.Get(1).(storageClass)
	size, isSize := tuple.Get(4).(int)
	if tuple.Get(0) != "storage" || !isClass || !isSize || size < 0 || size > 1<<48 {
		return nil, fmt.Errorf("%v names no storage", id)
	}
	if tuple.Len() > 5 && tuple.Get(5) != nil {
		return nil, fmt.Errorf("storage %v is a view of another, which torch no longer writes", tuple.Get(2))
	}
	key := fmt.Sprint(tuple.Get(2))
	if known, ok := u.storages[key]; ok {
		return known, nil
	}
	u.storages[key] = &storage{dtype: class.dtype, size: size}
	return u.storages[key], nil
}

// A view is a tensor: elements of a storage at some strides.
type view struct {
	*storage
	offset        int
	shape, stride []int
}

type rebuildTensor struct{}

// Call is torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks).
func (rebuildTensor) Call(args ...any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d arguments", len(args))
	}
	s, isStorage := args[0].(*storage)
	offset, isOffset := args[1].(int)
	shape, isShape := ints(args[2])
	stride, isStride := ints(args[3])
	if !isStorage || !isOffset || !isShape || !isStride {
		return nil, fmt.Errorf("a tensor made of %T, %T, %T, %T", args[0], args[1], args[2], args[3])
	}
	return &view{s, offset, shape, stride}, nil
}

type rebuildParameter struct{}

// Call is torch._utils._rebuild_parameter(tensor, requires_grad, hooks).
func (rebuildParameter) Call(args ...any) (any, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("a parameter of no tensor")
	}
	return args[0], nil
}

func ints(value any) ([]int, bool) {
	tuple, ok := value.(*types.Tuple)
	if !ok {
		return nil, false
	}
	out := make([]int, tuple.Len())
	for i := range out {
		if out[i], ok = tuple.Get(i).(int); !ok {
			return nil, false
		}
	}
	return out, true
}

// gather copies the view's elements row by row, whatever its strides.
func (v *view) gather() (safetensors.Tensor, error) {
	if err := v.check(); err != nil {
		return safetensors.Tensor{}, err
	}
	out := safetensors.Tensor{DType: v.dtype, Shape: v.shape}
	width := v.dtype.Size()
	if v.contiguous() {
		out.Data = v.data[v.offset*width:][:out.Len()*width]
		return out, nil
	}
	out.Data = make([]byte, 0, out.Len()*width)
	index := make([]int, len(v.shape))
	for range out.Len() {
		at := v.offset
		for axis, k := range index {
			at += k * v.stride[axis]
		}
		out.Data = append(out.Data, v.data[at*width:(at+1)*width]...)
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < v.shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return out, nil
}

// contiguous tells whether the view's elements lie row by row already.
func (v *view) contiguous() bool {
	step := 1
	for axis := len(v.shape) - 1; axis >= 0; axis-- {
		if v.shape[axis] != 1 && v.stride[axis] != step {
			return false
		}
		step *= v.shape[axis]
	}
	return true
}

// check demands that the view lies inside its storage and has no more elements than that.
func (v *view) check() error {
	if len(v.data) != v.bytes() {
		return fmt.Errorf("its storage of %d elements is not in the file", v.size)
	}
	if len(v.stride) != len(v.shape) || v.offset < 0 || v.offset > v.size {
		return fmt.Errorf("shape %v does not go with strides %v from %d", v.shape, v.stride, v.offset)
	}
	count, last := 1, v.offset
	for i, n := range v.shape {
		stride := v.stride[i]
		if n < 0 || n > v.size || stride < 0 || stride > v.size && n > 1 {
			return fmt.Errorf("shape %v with strides %v is not in a storage of %d elements", v.shape, v.stride, v.size)
		}
		last += max(n-1, 0) * stride
		if count *= n; count > v.size {
			return fmt.Errorf("shape %v is larger than its storage of %d elements", v.shape, v.size)
		}
	}
	if count > 0 && last >= v.size {
		return fmt.Errorf("shape %v with strides %v from %d is not in a storage of %d elements", v.shape, v.stride, v.offset, v.size)
	}
	return nil
}
