package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// file is a safetensors file with that header and so many bytes of data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestDamage(t *testing.T) {
	const one = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "fewer than the 8", nil},
		{"short", "fewer than the 8", make([]byte, 7)},
		{"giant header", "over the format's limit", binary.LittleEndian.AppendUint64(nil, math.MaxUint64)},
		{"long header", "truncated", binary.LittleEndian.AppendUint64(nil, 99)},
		{"no object", "no JSON object", file(`[]`, 0)},
		{"cut JSON", "no JSON", file(one, 8)},
		{"pointer", "git lfs pull", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")},
		{"trailing", "goes on after", file(one+`}x`, 8)},
		{"truncated data", `tensor "a": it ends at byte 8`, file(one+`}`, 7)},
		{"left over", "1 bytes at its end", file(one+`}`, 9)},
		{"twice", `"a" is listed twice`, file(one+`,"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8)},
		{"overlap", `"a" and "b" overlap`, file(one+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12)},
		{"hole", `4 bytes before tensor "b"`, file(one+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16)},
		{"size", "takes 8 bytes, but F32[3] needs 12", file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8)},
		{"negative", "negative dimension", file(`{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}`, 8)},
		{"overflow", "overflows", file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0)},
		{"backwards", "is no range", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`, 8)},
		{"negative offset", "is no range", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 8)},
		{"huge offset", `header entry "a"`, file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}}`, 8)},
		{"dtype", `dtype "Q7" is not supported`, file(`{"a":{"dtype":"Q7","shape":[2],"data_offsets":[0,8]}}`, 8)},
		{"lacks shape", "lacks dtype, shape", file(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8)},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v, want one that names the file and says %q", c.name, err, c.want)
		}
	}
}

func TestMissingFileAndTensor(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
	f, err := Parse(file(`{}`, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Float32s("w"); err == nil || !strings.Contains(err.Error(), `no tensor "w"`) {
		t.Errorf("got %v", err)
	}
}

func TestConversions(t *testing.T) {
	for _, c := range []struct {
		dtype DType
		data  []byte
		want  []float32
	}{
		{F16, []byte{0x00, 0x3c, 0x01, 0x00, 0xff, 0x7b, 0x00, 0xfc}, []float32{1, 0x1p-24, 65504, float32(math.Inf(-1))}},
		{BF16, []byte{0x80, 0x3f, 0x49, 0xc0}, []float32{1, -3.140625}},
		{F64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1)), []float32{0.1}},
		{I64, binary.LittleEndian.AppendUint64(nil, ^uint64(0)), []float32{-1}},
		{I32, []byte{0xfe, 0xff, 0xff, 0xff}, []float32{-2}},
		{U8, []byte{200}, []float32{200}},
	} {
		tensor := Tensor{c.dtype, []int{len(c.want)}, c.data}
		if got, err := tensor.Float32s(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.dtype, got, err, c.want)
		}
	}
	if _, err := (Tensor{DType: Bool}).Float32s(); err == nil {
		t.Error("booleans were read as float32")
	}
	if got, err := (Tensor{I32, []int{1}, []byte{0xfe, 0xff, 0xff, 0xff}}).Int64s(); err != nil || got[0] != -2 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWriteIsReadBack(t *testing.T) {
	tensors := map[string]Tensor{
		"b.weight": FromFloat32s([]float32{1, 2, 3}, 3, 1),
		"a<é>":     {F16, []int{1}, []byte{0, 0x3c}},
		"labels":   FromInt64s([]int64{7, -7}, 2),
		"scalar":   FromFloat32s([]float32{4}),
		"none":     FromFloat32s(nil, 0, 5),
	}
	var first, second bytes.Buffer
	if err := errors.Join(WriteTensors(&first, tensors), WriteTensors(&second, tensors)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two writes of the same tensors differ")
	}
	header := binary.LittleEndian.Uint64(first.Bytes())
	if header%8 != 0 {
		t.Errorf("header of %d bytes is not aligned to 8", header)
	}
	f, err := Parse(first.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"format": "pt"}, f.Metadata()); diff != "" {
		t.Error(diff)
	}
	for name, want := range tensors {
		got, err := f.Tensor(name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
}

func TestWriteRefusesWrongSizes(t *testing.T) {
	for name, s := range map[string]Source{
		"short": Tensor{F32, []int{2}, make([]byte, 7)}.Source(),
		"shape": Tensor{F32, []int{-1}, nil}.Source(),
		"dtype": Tensor{"", nil, nil}.Source(),
		"data":  {F32, nil, func() ([]byte, error) { return nil, os.ErrClosed }},
	} {
		if err := Write(&bytes.Buffer{}, map[string]Source{name: s}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names the tensor", name, err)
		}
	}
}

// FuzzParse: no bytes make the reader panic, and whatever it accepts can be read and written again.
func FuzzParse(f *testing.F) {
	var whole bytes.Buffer
	if err := WriteTensors(&whole, map[string]Tensor{"a": FromFloat32s([]float32{1, 2}, 2), "b": {F16, []int{1}, []byte{1, 2}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0))
	f.Add(file(`{"a":{"dtype":"F32","shape":[0,-1],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		tensors := map[string]Tensor{}
		for _, name := range file.Names() {
			tensors[name], _ = file.Lookup(name)
			if x, err := tensors[name].Float32s(); err == nil && len(x) != tensors[name].Len() {
				t.Errorf("%q: %d values of %d", name, len(x), tensors[name].Len())
			}
		}
		var again bytes.Buffer
		if err := WriteTensors(&again, tensors); err != nil {
			t.Error(err)
		}
		if _, err := Parse(again.Bytes()); err != nil {
			t.Error(err)
		}
	})
}
