package builtin

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// keep writes a file of a stage's partial work with an XXH64 of its content before it: the store does not check such
// files.
func keep(path string, content []byte) error {
	return replaceFile(path, append(binary.BigEndian.AppendUint64(nil, xxhash.Sum64(content)), content...))
}

// kept is what keep wrote, if it is as it was written.
func kept(path string) (content []byte, ok bool) {
	file, err := os.ReadFile(path)
	if err != nil || len(file) < 8 {
		return nil, false
	}
	sum, content := binary.BigEndian.Uint64(file), file[8:]
	return content, xxhash.Sum64(content) == sum
}

// replaceFile writes a file so that it is there whole or not at all.
func replaceFile(path string, content []byte) error {
	temporary := strings.TrimSuffix(path, filepath.Ext(path)) + ".tmp"
	if err := os.WriteFile(temporary, content, 0o666); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
