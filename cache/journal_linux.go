package cache

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// bootID names the time since the machine was started: what was written in it is
// in the kernel's hands, whatever became of the process.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// syncData brings a file's content, and its length, to the disk.
func syncData(f *os.File) error {
	return ignoringEINTR(func() error { return unix.Fdatasync(int(f.Fd())) })
}

// syncFileSystem brings all that was written to path's file system to the disk.
func syncFileSystem(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return ignoringEINTR(func() error { return unix.Syncfs(int(f.Fd())) })
}
