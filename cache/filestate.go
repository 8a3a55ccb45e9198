package cache

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// What the system says when a path leads through a file, or is a folder.
const (
	errNotFolder = unix.ENOTDIR
	errIsFolder  = unix.EISDIR
)

// fileState is what stat tells about a file's content: while it stays the same,
// and is not younger than its record, so is the content.
type fileState struct {
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
	device       int64
	inode        int64
}

// statFile gives the state of a regular file, links followed.
func statFile(path string) (fileState, error) {
	var s unix.Stat_t
	for {
		err := unix.Stat(path, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		break
	}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return fileState{s.Size, s.Mtim.Nano(), s.Ctim.Nano(), int64(s.Dev), int64(s.Ino)}, nil
	case unix.S_IFDIR:
		return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: errIsFolder}
	}
	return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrInvalid}
}
