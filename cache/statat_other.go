//go:build !linux || !(amd64 || arm64)

package cache

import "golang.org/x/sys/unix"

// statAt is unix.Fstatat of a name that ends in a zero byte, links followed.
func statAt(folder int, name *[shardedSize + 1]byte, s *unix.Stat_t) error {
	return ignoringEINTR(func() error { return unix.Fstatat(folder, string(name[:shardedSize]), s, 0) })
}
