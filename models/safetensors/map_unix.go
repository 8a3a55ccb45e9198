//go:build unix

package safetensors

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(path string) (mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return mapping{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return mapping{}, err
	}
	if info.Size() == 0 || !info.Mode().IsRegular() {
		return readFile(path)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return mapping{}, fmt.Errorf("mapping %s: %w", path, err)
	}
	forget := func(data []byte) error { return unix.Madvise(data, unix.MADV_DONTNEED) }
	return mapping{data, unix.Munmap, forget}, nil
}
