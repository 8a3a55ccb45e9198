package cache

import (
	"errors"
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

func newFileState(s *unix.Stat_t) fileState {
	return fileState{s.Size, s.Mtim.Nano(), s.Ctim.Nano(), int64(s.Dev), int64(s.Ino)}
}

// statFile gives the state of a regular file, links followed.
func statFile(path string) (fileState, error) {
	var s unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Stat(path, &s) }); err != nil {
		return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return newFileState(&s), nil
	case unix.S_IFDIR:
		return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: errIsFolder}
	}
	return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrInvalid}
}

// statAny gives the state of a file or folder, links followed; zero where there
// is none.
func statAny(path string) (fileState, error) {
	var s unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Stat(path, &s) })
	if errors.Is(err, unix.ENOENT) || errors.Is(err, errNotFolder) {
		return fileState{}, nil
	}
	if err != nil {
		return fileState{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return newFileState(&s), nil
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
