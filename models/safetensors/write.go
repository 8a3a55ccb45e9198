package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// A Source is a tensor to be written whose bytes are made when its turn comes.
type Source struct {
	DType DType
	Shape []int
	Data  func() ([]byte, error)
}

// Source is the tensor itself as something to write.
func (t Tensor) Source() Source {
	return Source{t.DType, t.Shape, func() ([]byte, error) { return t.Data, nil }}
}

// Write writes tensors as one safetensors file. The bytes depend on the tensors alone: the header lists
// names sorted and is padded to 8 bytes, and the data of wider element types comes first (then by name), so
// that every tensor is aligned for readers that map the file, as the reference implementation has it.
// Sources are read one at a time, in that order.
func Write(w io.Writer, tensors map[string]Source) error {
	order := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		return cmp.Or(tensors[b].DType.Size()-tensors[a].DType.Size(), cmp.Compare(a, b))
	})
	header, sizes, err := encodeHeader(tensors, order)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("writing safetensors header: %w", err)
	}
	for _, name := range order {
		data, err := tensors[name].Data()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if len(data) != sizes[name] {
			return fmt.Errorf("tensor %q: %s%v needs %d bytes, got %d",
				name, tensors[name].DType, tensors[name].Shape, sizes[name], len(data))
		}
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("writing tensor %q: %w", name, err)
		}
	}
	return nil
}

// WriteTensors is Write for tensors that are in memory.
func WriteTensors(w io.Writer, tensors map[string]Tensor) error {
	sources := make(map[string]Source, len(tensors))
	for name, t := range tensors {
		sources[name] = t.Source()
	}
	return Write(w, sources)
}

// encodeHeader returns the header with its length before it, and the bytes of every tensor.
func encodeHeader(tensors map[string]Source, order []string) ([]byte, map[string]int, error) {
	entries, sizes, at := map[string]any{}, map[string]int{}, 0
	for _, name := range order {
		t := tensors[name]
		size, err := byteSize(t.DType, t.Shape)
		if err != nil || t.DType.Size() == 0 {
			return nil, nil, fmt.Errorf("tensor %q: %s%v cannot be written", name, t.DType, t.Shape)
		}
		shape := append([]int{}, t.Shape...) // a scalar's is [], never null
		entries[name] = entry{&t.DType, &shape, &[2]int{at, at + size}}
		sizes[name] = size
		at += size
	}
	entries["__metadata__"] = map[string]string{"format": "pt"} // without it transformers refuses the file
	b := bytes.NewBuffer(make([]byte, 8))
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(entries); err != nil {
		return nil, nil, fmt.Errorf("writing safetensors header: %w", err)
	}
	b.Truncate(b.Len() - 1) // Encode's newline
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	header := b.Bytes()
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, sizes, nil
}
