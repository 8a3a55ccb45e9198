package engine

import "golang.org/x/sys/unix"

// totalMemory is this machine's, in bytes; 0 if it does not say.
func totalMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
