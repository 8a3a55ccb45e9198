package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/half"
	"regft/models/nn"
	"regft/models/safetensors"
)

// Weights are the tensors of one component, still in their files. Methods may be called from several goroutines.
type Weights struct {
	source  string // for errors: the file, or the index
	tensors map[string]safetensors.Tensor
	close   []func() error
	forget  []func() error // gives back the memory of what was read of the files
}

// Open opens the weights of the component in folder ("" for a CLIP folder, "unet", …). Buffers called
// position_ids are left out: they are no parameters, and only some versions of transformers save them.
func Open(files Files, folder string) (*Weights, error) {
	names, err := weightFiles(files, folder)
	if err != nil {
		return nil, err
	}
	w := &Weights{source: names[0], tensors: map[string]safetensors.Tensor{}}
	for _, name := range names {
		if strings.HasSuffix(name, ".json") {
			continue
		}
		if err := w.add(files, name); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	if strings.HasSuffix(names[0], ".json") {
		if err := w.checkIndex(files, names[0]); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// OpenFile opens one file of tensors.
func OpenFile(files Files, name string) (*Weights, error) {
	w := &Weights{source: name, tensors: map[string]safetensors.Tensor{}}
	if err := w.add(files, name); err != nil {
		return nil, err
	}
	return w, nil
}

// isPickled tells whether a file is one of torch.save's, by the endings that people give them.
func isPickled(name string) bool {
	return slices.Contains([]string{".bin", ".pth", ".pt"}, path.Ext(name))
}

func (w *Weights) add(files Files, name string) error {
	at, err := files.Path(name)
	if err != nil {
		return err
	}
	found := map[string]safetensors.Tensor{}
	if isPickled(name) {
		if found, err = readBin(at); err != nil {
			return err
		}
	} else {
		f, err := safetensors.Open(at)
		if err != nil {
			return err
		}
		w.close, w.forget = append(w.close, f.Close), append(w.forget, f.Forget)
		for _, tensor := range f.Names() {
			found[tensor], _ = f.Lookup(tensor)
		}
	}
	for tensor, t := range found {
		if path.Ext("."+tensor) == ".position_ids" {
			continue
		}
		if _, twice := w.tensors[tensor]; twice {
			return fmt.Errorf("%s: tensor %q is in another shard too", at, tensor)
		}
		w.tensors[tensor] = t
	}
	return nil
}

// checkIndex demands that the shards hold what their index promises.
func (w *Weights) checkIndex(files Files, name string) error {
	var in index
	if err := ReadJSON(files, name, &in); err != nil {
		return err
	}
	var missing []string
	for _, tensor := range slices.Sorted(maps.Keys(in.WeightMap)) {
		if _, ok := w.tensors[tensor]; !ok && path.Ext("."+tensor) != ".position_ids" {
			missing = append(missing, tensor)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s lists tensors that no shard holds: %s", name, strings.Join(missing, ", "))
	}
	return nil
}

// Close unmaps the files. Tensors of w must not be touched afterwards; loaded weights are copies.
func (w *Weights) Close() error {
	var errs []error
	for _, closeFile := range w.close {
		errs = append(errs, closeFile())
	}
	w.close = nil
	return errors.Join(errs...)
}

// Names lists the tensors, sorted.
func (w *Weights) Names() []string { return slices.Sorted(maps.Keys(w.tensors)) }

// Shapes lists the tensors with their dimensions.
func (w *Weights) Shapes() nn.Shapes {
	s := nn.Shapes{}
	for name, t := range w.tensors {
		s[name] = t.Shape
	}
	return s
}

// Lookup returns the tensor called name as it is in the file, in its own element type: derived checkpoints copy
// what they do not change.
func (w *Weights) Lookup(name string) (safetensors.Tensor, bool) {
	t, ok := w.tensors[name]
	return t, ok
}

// Float32s returns the elements of the tensor called name as float32.
func (w *Weights) Float32s(name string) ([]float32, error) {
	t, ok := w.tensors[name]
	if !ok {
		return nil, fmt.Errorf("%s holds no tensor %q", w.source, name)
	}
	values, err := t.Float32s()
	if err != nil {
		return nil, fmt.Errorf("%s, tensor %q: %w", w.source, name, err)
	}
	return values, nil
}

// A MismatchError says how a checkpoint differs from what its model is made of, all at once.
type MismatchError struct {
	File      string
	Missing   []string
	Extra     []string
	Misshapen []string // "NAME is [2 3], the config makes it [3 2]"
}

func (e *MismatchError) Error() string {
	parts := []string{e.File + " does not fit its config"}
	for _, part := range []struct {
		what  string
		names []string
	}{{"missing", e.Missing}, {"not of this model", e.Extra}, {"of another shape", e.Misshapen}} {
		if len(part.names) > 0 {
			parts = append(parts, fmt.Sprintf("%d tensors %s: %s", len(part.names), part.what, someOf(part.names)))
		}
	}
	return strings.Join(parts, "; ")
}

// maxNamed is how many tensors an error names of each kind.
const maxNamed = 5

func someOf(names []string) string {
	if rest := len(names) - maxNamed; rest > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:maxNamed], ", "), rest)
	}
	return strings.Join(names, ", ")
}

// Check compares the tensors with the parameters that a model asks for. The error is a *MismatchError.
func (w *Weights) Check(expected nn.Shapes) error {
	e := &MismatchError{File: w.source}
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		t, ok := w.tensors[name]
		switch {
		case !ok:
			e.Missing = append(e.Missing, name)
		case !slices.Equal(t.Shape, expected[name]):
			e.Misshapen = append(e.Misshapen, fmt.Sprintf("%s is %v, the config makes it %v", name, t.Shape, expected[name]))
		}
	}
	for _, name := range w.Names() {
		if _, ok := expected[name]; !ok {
			e.Extra = append(e.Extra, name)
		}
	}
	if len(e.Missing)+len(e.Extra)+len(e.Misshapen) > 0 {
		return e
	}
	return nil
}

// Load copies the named tensors to a backend, as elements of dtype: float32, float16 or bfloat16.
func (w *Weights) Load(backend compute.Backend, dtype dtypes.DType, names ...string) (nn.Weights, error) {
	return w.LoadChanged(backend, dtype, func(string, []float32) {}, names...)
}

// LoadChanged is Load of what change makes of each tensor's elements, in place.
func (w *Weights) LoadChanged(backend compute.Backend, dtype dtypes.DType, change func(name string, values []float32), names ...string) (nn.Weights, error) {
	loaded := nn.Weights{}
	var wide []float32 // a tensor on its way to a half type
	for _, name := range names {
		read := func(values []float32) error {
			if err := w.tensors[name].CopyFloat32s(values); err != nil {
				return err
			}
			change(name, values)
			return nil
		}
		if _, ok := w.tensors[name]; !ok {
			return nil, fmt.Errorf("%s holds no tensor %q", w.source, name)
		}
		t, err := toBackend(backend, dtype, w.tensors[name].Shape, &wide, read)
		if err != nil {
			return nil, fmt.Errorf("loading %s, tensor %q: %w", w.source, name, err)
		}
		loaded[name] = t
		for _, forget := range w.forget {
			if err := forget(); err != nil {
				return nil, fmt.Errorf("loading %s: %w", w.source, err)
			}
		}
	}
	return loaded, nil
}

// toBackend makes a tensor of what read gives: of float32 without a copy in between, so that large weights leave no garbage.
func toBackend(backend compute.Backend, dtype dtypes.DType, dims []int, wide *[]float32, read func([]float32) error) (*tensors.Tensor, error) {
	shape := shapes.Make(dtype, dims...)
	if dtype == dtypes.Float32 {
		return nn.Settled(backend, shape, read)
	}
	*wide = slices.Grow((*wide)[:0], shape.Size())[:shape.Size()]
	if err := read(*wide); err != nil {
		return nil, err
	}
	switch dtype {
	case dtypes.Float16:
		return nn.Settled(backend, shape, func(flat []float16.Float16) error { half.ToFloat16(bitsOf(flat), *wide); return nil })
	case dtypes.BFloat16:
		return nn.Settled(backend, shape, func(flat []bfloat16.BFloat16) error { half.ToBFloat16(bitsOf(flat), *wide); return nil })
	}
	return nil, fmt.Errorf("weights cannot be held as %s", dtype)
}

// bitsOf is flat's memory as the bits that its elements are.
func bitsOf[T ~uint16](flat []T) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(flat))), len(flat))
}
