package readers

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"unicode/utf16"
)

// matrix is an array of a MATLAB file, as far as the datasets' annotations need it: numbers, text, cells, or structs by field.
type matrix struct {
	numbers []float64
	text    string
	cells   []*matrix
	fields  map[string][]*matrix
}

// Types of elements and classes of arrays (MATLAB's "MAT-File Format", level 5).
const (
	matInt8       = 1
	matUint8      = 2
	matInt16      = 3
	matUint16     = 4
	matInt32      = 5
	matUint32     = 6
	matSingle     = 7
	matDouble     = 9
	matMatrix     = 14
	matCompressed = 15
	matUTF8       = 16

	classCell   = 1
	classStruct = 2
	classChar   = 4
)

const (
	mostInflated = 64 << 20 // bytes of a compressed array; the largest annotation has half a million
	mostNested   = 8        // arrays in arrays
)

var errMAT = errors.New("not a MATLAB 5 file, or a damaged one")

// readMAT reads an array of a MATLAB 5 file by its name.
func readMAT(path, name string) (*matrix, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	arrays, err := parseMAT(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	m, ok := arrays[name]
	if !ok {
		return nil, fmt.Errorf("reading %s: it has no array %q", path, name)
	}
	return m, nil
}

func parseMAT(data []byte) (map[string]*matrix, error) {
	const header = 128
	if len(data) < header || string(data[126:128]) != "IM" { // little endian, as all the datasets' files are
		return nil, errMAT
	}
	arrays := map[string]*matrix{}
	for e := (elements{data[header:]}); len(e.data) > 0; {
		kind, body, err := e.next()
		if err != nil {
			return nil, err
		}
		if kind == matCompressed {
			if kind, body, err = inflate(body); err != nil {
				return nil, err
			}
		}
		if kind != matMatrix {
			return nil, errMAT
		}
		name, m, err := parseMatrix(body, 0)
		if err != nil {
			return nil, err
		}
		arrays[name] = m
	}
	return arrays, nil
}

// inflate returns the one element that a compressed element holds.
func inflate(body []byte) (kind uint32, inner []byte, err error) {
	r, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, mostInflated))
	if err != nil {
		return 0, nil, err
	}
	return (&elements{data}).next()
}

// elements are data elements one after another.
type elements struct{ data []byte }

// next takes the next element: type, size, data padded to eight bytes; or, of at most four bytes of data, all in eight.
func (e *elements) next() (kind uint32, body []byte, err error) {
	if len(e.data) < 8 {
		return 0, nil, errMAT
	}
	kind, size := binary.LittleEndian.Uint32(e.data), binary.LittleEndian.Uint32(e.data[4:])
	if small := kind >> 16; small != 0 {
		if small > 4 {
			return 0, nil, errMAT
		}
		body = e.data[4 : 4+small]
		e.data = e.data[8:]
		return kind & 0xffff, body, nil
	}
	if uint64(size) > uint64(len(e.data)-8) {
		return 0, nil, errMAT
	}
	body = e.data[8 : 8+size]
	end := uint64(8) + uint64(size)
	if kind != matCompressed {
		end = min((end+7)&^7, uint64(len(e.data)))
	}
	e.data = e.data[end:]
	return kind, body, nil
}

// want takes the next element, which must be of a type.
func (e *elements) want(kind uint32) ([]byte, error) {
	got, body, err := e.next()
	if err == nil && got != kind {
		err = errMAT
	}
	return body, err
}

// parseMatrix reads an array: flags, dimensions, name, and what its class has.
func parseMatrix(body []byte, depth int) (name string, m *matrix, err error) {
	if len(body) == 0 { // an empty cell
		return "", &matrix{}, nil
	}
	if depth > mostNested {
		return "", nil, errMAT
	}
	e := &elements{body}
	flags, err := e.want(matUint32)
	if err != nil || len(flags) < 8 {
		return "", nil, errMAT
	}
	dimensions, err := e.want(matInt32)
	if err != nil {
		return "", nil, err
	}
	raw, err := e.want(matInt8)
	if err != nil {
		return "", nil, err
	}
	m = &matrix{}
	switch class := flags[0]; class {
	case classCell:
		m.cells, err = e.matrices(product(dimensions), depth)
	case classStruct:
		m.fields, err = e.structs(product(dimensions), depth)
	case classChar:
		m.text, err = e.text()
	default:
		m.numbers, err = e.numbers()
	}
	return string(raw), m, err
}

// product is the number of an array's elements; what does not fit in an int32 is a damaged file's, and reads as too many to be there.
func product(dimensions []byte) int {
	n := 1
	for len(dimensions) >= 4 {
		d := int32(binary.LittleEndian.Uint32(dimensions))
		if d < 0 || int64(n)*int64(d) > math.MaxInt32 {
			return math.MaxInt32
		}
		n *= int(d)
		dimensions = dimensions[4:]
	}
	return n
}

func (e *elements) matrices(n, depth int) ([]*matrix, error) {
	var all []*matrix
	for range n {
		body, err := e.want(matMatrix)
		if err != nil {
			return nil, err
		}
		_, m, err := parseMatrix(body, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// structs reads an array of structs: the length of field names, the names, then every struct's fields.
func (e *elements) structs(n, depth int) (map[string][]*matrix, error) {
	size, err := e.want(matInt32)
	if err != nil || len(size) != 4 {
		return nil, errMAT
	}
	length := int(int32(binary.LittleEndian.Uint32(size)))
	raw, err := e.want(matInt8)
	if err != nil || length < 1 || len(raw)%length != 0 {
		return nil, errMAT
	}
	var names []string
	for ; len(raw) > 0; raw = raw[length:] {
		name, _, _ := bytes.Cut(raw[:length], []byte{0})
		names = append(names, string(name))
	}
	fields := map[string][]*matrix{}
	for range n {
		values, err := e.matrices(len(names), depth)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			break
		}
		for i, name := range names {
			fields[name] = append(fields[name], values[i])
		}
	}
	return fields, nil
}

func (e *elements) text() (string, error) {
	kind, body, err := e.next()
	if err != nil {
		return "", err
	}
	switch kind {
	case matUTF8, matInt8, matUint8:
		return string(body), nil
	case matUint16:
		units := make([]uint16, len(body)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(body[2*i:])
		}
		return string(utf16.Decode(units)), nil
	}
	return "", errMAT
}

func (e *elements) numbers() ([]float64, error) {
	kind, body, err := e.next()
	if err != nil {
		return nil, err
	}
	little := binary.LittleEndian
	var size int
	var value func([]byte) float64
	switch kind {
	case matInt8:
		size, value = 1, func(b []byte) float64 { return float64(int8(b[0])) }
	case matUint8:
		size, value = 1, func(b []byte) float64 { return float64(b[0]) }
	case matInt16:
		size, value = 2, func(b []byte) float64 { return float64(int16(little.Uint16(b))) }
	case matUint16:
		size, value = 2, func(b []byte) float64 { return float64(little.Uint16(b)) }
	case matInt32:
		size, value = 4, func(b []byte) float64 { return float64(int32(little.Uint32(b))) }
	case matUint32:
		size, value = 4, func(b []byte) float64 { return float64(little.Uint32(b)) }
	case matSingle:
		size, value = 4, func(b []byte) float64 { return float64(math.Float32frombits(little.Uint32(b))) }
	case matDouble:
		size, value = 8, func(b []byte) float64 { return math.Float64frombits(little.Uint64(b)) }
	default:
		return nil, errMAT
	}
	out := make([]float64, 0, len(body)/size)
	for ; len(body) >= size; body = body[size:] {
		out = append(out, value(body))
	}
	return out, nil
}
