package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
)

// maxHeader is the reference implementation's limit: a longer header is damage or an attack.
const maxHeader = 100_000_000

// A File is a mapped safetensors file. Its methods may be called from several goroutines.
type File struct {
	path     string
	mapped   mapping
	tensors  map[string]Tensor
	metadata map[string]string
}

// Open maps the file at path and checks its header against the file's length. The file must not be
// truncated while it is open: reading a mapped page that is gone kills the process.
func Open(path string) (*File, error) {
	mapped, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening safetensors: %w", err)
	}
	f := &File{path: path, mapped: mapped}
	if f.tensors, f.metadata, err = parse(mapped.data); err != nil {
		if IsPointer(mapped.data) {
			err = ErrPointer
		}
		return nil, errors.Join(fmt.Errorf("%s is not a whole safetensors file: %w", path, err), mapped.close())
	}
	return f, nil
}

// ErrPointer is about the files that a clone without Git LFS has in the place of weights.
var ErrPointer = errors.New("it is a Git LFS pointer: git lfs pull, in the clone, fetches the file itself")

// IsPointer tells such a file by how it begins.
func IsPointer(data []byte) bool {
	return bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/"))
}

// Parse is Open for a file that is in memory already.
func Parse(data []byte) (*File, error) {
	tensors, metadata, err := parse(data)
	if err != nil {
		return nil, err
	}
	return &File{path: "safetensors", tensors: tensors, metadata: metadata}, nil
}

// Forget lets the system take back the memory of all that was read, which counts as the process's until then. Data stays
// valid: it is read again where it is touched.
func (f *File) Forget() error {
	if f.mapped.forget == nil {
		return nil
	}
	return f.mapped.forget(f.mapped.data)
}

// Close unmaps the file. Data of its tensors must not be touched afterwards.
func (f *File) Close() error { return f.mapped.close() }

// Names lists the tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Metadata is the header's __metadata__, nil where there is none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Lookup returns the tensor called name, and whether there is one.
func (f *File) Lookup(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Tensor returns the tensor called name; a missing one is an error that names the file.
func (f *File) Tensor(name string) (Tensor, error) {
	if t, ok := f.tensors[name]; ok {
		return t, nil
	}
	return Tensor{}, fmt.Errorf("%s holds no tensor %q", f.path, name)
}

// Float32s returns the elements of the tensor called name as float32, in new memory.
func (f *File) Float32s(name string) ([]float32, error) {
	t, err := f.Tensor(name)
	if err != nil {
		return nil, err
	}
	values, err := t.Float32s()
	if err != nil {
		return nil, fmt.Errorf("%s, tensor %q: %w", f.path, name, err)
	}
	return values, nil
}

// entry is a tensor in the header. Pointers tell a missing key from a zero.
type entry struct {
	DType   *DType  `json:"dtype"`
	Shape   *[]int  `json:"shape"`
	Offsets *[2]int `json:"data_offsets"`
}

func parse(data []byte) (map[string]Tensor, map[string]string, error) {
	header, body, err := split(data)
	if err != nil {
		return nil, nil, err
	}
	entries, metadata, err := decodeHeader(header)
	if err != nil {
		return nil, nil, err
	}
	tensors := make(map[string]Tensor, len(entries))
	for name, e := range entries {
		if tensors[name], err = e.locate(body); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	if err := checkTiling(entries, len(body)); err != nil {
		return nil, nil, err
	}
	return tensors, metadata, nil
}

// split cuts a file into its header and the tensors' bytes.
func split(data []byte) (header, body []byte, err error) {
	if len(data) < 8 {
		return nil, nil, fmt.Errorf("it has %d bytes, fewer than the 8 of the header's length", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return nil, nil, fmt.Errorf("its header claims %d bytes, over the format's limit of %d", n, maxHeader)
	}
	if n > uint64(len(data)-8) {
		return nil, nil, fmt.Errorf("its header claims %d bytes, the file has %d: it is truncated", n, len(data)-8)
	}
	return data[8 : 8+n], data[8+n:], nil
}

// decodeHeader reads the JSON object token by token, for encoding/json keeps the last of two equal keys.
func decodeHeader(header []byte) (map[string]entry, map[string]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(header))
	if t, err := decoder.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("its header is no JSON object")
	}
	entries, seen := map[string]entry{}, map[string]bool{}
	var metadata map[string]string
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("its header is no JSON: %w", err)
		}
		name := key.(string) // More and a valid token inside an object: a key
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %q is listed twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			err = decoder.Decode(&metadata)
		} else {
			var e entry
			err = decoder.Decode(&e)
			entries[name] = e
		}
		if err != nil {
			return nil, nil, fmt.Errorf("header entry %q: %w", name, err)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, nil, fmt.Errorf("its header is no JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, nil, errors.New("its header goes on after the JSON object")
	}
	return entries, metadata, nil
}

// locate cuts the tensor out of body.
func (e entry) locate(body []byte) (Tensor, error) {
	if e.DType == nil || e.Shape == nil || e.Offsets == nil {
		return Tensor{}, errors.New("its header entry lacks dtype, shape or data_offsets")
	}
	if e.DType.Size() == 0 {
		return Tensor{}, fmt.Errorf("dtype %q is not supported", *e.DType)
	}
	size, err := byteSize(*e.DType, *e.Shape)
	if err != nil {
		return Tensor{}, err
	}
	begin, end := e.Offsets[0], e.Offsets[1]
	if begin < 0 || end < begin {
		return Tensor{}, fmt.Errorf("its place [%d, %d) is no range", begin, end)
	}
	if end > len(body) {
		return Tensor{}, fmt.Errorf("it ends at byte %d of the data, the file has %d: it is truncated", end, len(body))
	}
	if end-begin != size {
		return Tensor{}, fmt.Errorf("it takes %d bytes, but %s%v needs %d", end-begin, *e.DType, *e.Shape, size)
	}
	return Tensor{*e.DType, *e.Shape, body[begin:end:end]}, nil
}

// byteSize is the bytes of a tensor, or an error where a dimension is negative or the product overflows.
func byteSize(d DType, shape []int) (int, error) {
	size := d.Size()
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if n > 0 && size > math.MaxInt/n {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		size *= n
	}
	return size, nil
}

// checkTiling demands, as the format does, that the tensors cover the data without holes or overlaps.
func checkTiling(entries map[string]entry, length int) error {
	names := slices.Collect(maps.Keys(entries))
	slices.SortFunc(names, func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		return slices.Compare(x[:], y[:])
	})
	at, last := 0, ""
	for _, name := range names {
		switch begin := entries[name].Offsets[0]; {
		case begin < at:
			return fmt.Errorf("tensors %q and %q overlap", last, name)
		case begin > at:
			return fmt.Errorf("%d bytes before tensor %q belong to no tensor", begin-at, name)
		}
		at, last = entries[name].Offsets[1], name
	}
	if at != length {
		return fmt.Errorf("%d bytes at its end belong to no tensor", length-at)
	}
	return nil
}

// mapping is a file's bytes and how to let go of them.
type mapping struct {
	data   []byte
	unmap  func([]byte) error // nil: nothing to do
	forget func([]byte) error // gives pages back that can be read again; nil: there are none
}

func (m mapping) close() error {
	if m.unmap == nil {
		return nil
	}
	return m.unmap(m.data)
}

// readFile is the mapping of an empty file, or of any file where there is no mmap.
func readFile(path string) (mapping, error) {
	data, err := os.ReadFile(path)
	return mapping{data: data}, err
}
