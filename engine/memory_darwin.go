package engine

import "golang.org/x/sys/unix"

// totalMemory is this machine's, in bytes; 0 if it does not say.
func totalMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
