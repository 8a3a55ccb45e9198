package checkpoint

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path"

	"github.com/nlpodyssey/gopickle/types"

	"regft/models/safetensors"
)

// readBin reads a state dict that torch.save wrote. Its pickle is interpreted, never executed: the interpreter
// knows dictionaries and tensors, and any other class that the file names is an error. gopickle's own reader of
// PyTorch files is not used: it takes short reads for whole ones, and widens float16.
func readBin(path string) (tensors map[string]safetensors.Tensor, err error) {
	defer func() {
		if r := recover(); r != nil { // gopickle panics on some malformed pickles
			err = fmt.Errorf("reading %s as a PyTorch state dict: %v", path, r)
		}
	}()
	archive, err := zip.OpenReader(path)
	switch {
	case err == nil:
		defer archive.Close()
		tensors, err = readZip(archive.File)
	case errors.Is(err, zip.ErrFormat):
		tensors, err = readLegacy(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s as a PyTorch state dict: %w", path, err)
	}
	return tensors, nil
}

// readZip reads the format since torch 1.6: a pickle in data.pkl, and each storage in a record data/KEY.
func readZip(files []*zip.File) (map[string]safetensors.Tensor, error) {
	records := map[string]*zip.File{}
	for _, f := range files {
		records[path.Base(f.Name)] = f
	}
	data, ok := records["data.pkl"]
	if !ok {
		return nil, errors.New("it is a zip file without data.pkl")
	}
	pickled, err := data.Open()
	if err != nil {
		return nil, err
	}
	defer pickled.Close()
	u := newUnpickler(bufio.NewReader(pickled))
	state, err := u.load()
	if err != nil {
		return nil, err
	}
	for key, s := range u.storages {
		record, ok := records[key]
		if !ok {
			return nil, fmt.Errorf("it has no record of storage %q", key)
		}
		if err := s.readRecord(record); err != nil {
			return nil, fmt.Errorf("storage %q: %w", key, err)
		}
	}
	return gatherAll(state)
}

func (s *storage) readRecord(record *zip.File) error {
	if record.UncompressedSize64 != uint64(s.bytes()) || record.Method != zip.Store {
		return fmt.Errorf("its record has %d bytes (compressed: %v), expected %d uncompressed ones",
			record.UncompressedSize64, record.Method != zip.Store, s.bytes())
	}
	r, err := record.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	s.data, err = io.ReadAll(r) // to the end, where the checksum is compared
	return err
}

// legacyMagic begins, as a pickled number, the files from before torch 1.6.
const legacyMagic = "1950a86a20f9469cfc6c"

// readLegacy reads the format from before torch 1.6: pickles of the magic number, a version, the machine's
// properties, the state dict and the list of storages, and then each storage after its length.
func readLegacy(name string) (map[string]safetensors.Tensor, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(f)
	if start, _ := r.Peek(64); safetensors.IsPointer(start) {
		return nil, safetensors.ErrPointer
	}
	magic, err := newUnpickler(r).load()
	if n, ok := magic.(*big.Int); err != nil || !ok || n.Text(16) != legacyMagic {
		return nil, errors.New("it is no file of torch.save, or it is truncated")
	}
	u := newUnpickler(r)
	var state, keys any
	for _, into := range []*any{new(any), new(any), &state, &keys} {
		if *into, err = u.load(); err != nil {
			return nil, err
		}
	}
	list, ok := keys.(*types.List)
	if !ok {
		return nil, fmt.Errorf("its list of storages is a %T", keys)
	}
	for _, key := range *list {
		s, ok := u.storages[fmt.Sprint(key)]
		if !ok {
			return nil, fmt.Errorf("no tensor uses storage %v", key)
		}
		if err := s.readLegacy(r, info.Size()); err != nil {
			return nil, fmt.Errorf("storage %v: %w", key, err)
		}
	}
	return gatherAll(state)
}

func (s *storage) readLegacy(r io.Reader, fileSize int64) error {
	var length int64
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return err
	}
	if length != int64(s.size) || int64(s.bytes()) > fileSize {
		return fmt.Errorf("it has %d elements, expected %d", length, s.size)
	}
	s.data = make([]byte, s.bytes())
	_, err := io.ReadFull(r, s.data)
	return err
}

// gatherAll copies the tensors of a state dict out of their storages.
func gatherAll(state any) (map[string]safetensors.Tensor, error) {
	entries, err := dictEntries(state)
	if err != nil {
		return nil, err
	}
	tensors := map[string]safetensors.Tensor{}
	for _, e := range entries {
		name, isName := e.Key.(string)
		v, isView := e.Value.(*view)
		if !isName || !isView {
			return nil, fmt.Errorf("it is not a state dict: entry %v is a %T", e.Key, e.Value)
		}
		if tensors[name], err = v.gather(); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return tensors, nil
}

func dictEntries(state any) ([]types.DictEntry, error) {
	switch dict := state.(type) {
	case *types.Dict:
		return *dict, nil
	case *types.OrderedDict:
		var entries []types.DictEntry
		for e := dict.List.Front(); e != nil; e = e.Next() {
			entry := e.Value.(*types.OrderedDictEntry)
			entries = append(entries, types.DictEntry{Key: entry.Key, Value: entry.Value})
		}
		return entries, nil
	default:
		return nil, fmt.Errorf("it is not a state dict but a %T", state)
	}
}
