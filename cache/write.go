package cache

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A tempFile becomes an entry of the store by commit, or nothing by discard.
type tempFile struct {
	*os.File
	dir       *Dir
	committed bool
}

func (d *Dir) createTemp() (*tempFile, error) {
	f, err := os.CreateTemp(filepath.Join(d.root, tempFolder), "*")
	if err != nil {
		return nil, err
	}
	return &tempFile{File: f, dir: d}, nil
}

// discard closes and removes the file; after commit it does nothing.
func (f *tempFile) discard() {
	if !f.committed {
		f.Close()
		os.Remove(f.Name())
	}
}

// durability says how much of a write must survive a power cut.
type durability uint8

const (
	// durable entries are on disk, with their name, when the write returns.
	durable durability = iota
	// derived entries can be made again from others: they are whole or absent
	// after a crash of the process, and anything (found out by their check)
	// after a crash of the machine.
	derived
	// grouped entries are durable when settle returns, or like durable ones where
	// there is no journal.
	grouped
)

// commit makes the file the entry at path, in place of what is there: fsync,
// rename, fsync of the folder.
func (f *tempFile) commit(path string, d durability) error {
	if err := f.Chmod(0o444); err != nil {
		return err
	}
	if s, ok := entrySum(path); ok {
		if err := stampFile(f.Name(), s, time.Now()); err != nil {
			return err
		}
	}
	if d == durable {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := f.dir.rename(f.Name(), path); err != nil {
		return err
	}
	f.committed = true
	if d == durable {
		return syncFolder(filepath.Dir(path))
	}
	return nil
}

// rename moves a file to path. The common case is one system call: only when it
// fails is the folder made, or a folder that stands at path set aside.
func (d *Dir) rename(from, path string) error {
	err := os.Rename(from, path)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotFolder):
		if err := d.makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrExist), errors.Is(err, errIsFolder):
		d.setAside(path)
	}
	return os.Rename(from, path)
}

// writeEntry stores a small file whole.
func (d *Dir) writeEntry(path string, content []byte, how durability) error {
	switch how {
	case grouped:
		return d.writeGrouped(path, content)
	case derived:
		return d.writeDerived(path, content)
	}
	f, err := d.createTemp()
	if err != nil {
		return err
	}
	defer f.discard()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.commit(path, how)
}

// writeDerived stores a derived entry. Runs of small stages do little else, so it
// asks the system for no more than that takes.
func (d *Dir) writeDerived(path string, content []byte) error {
	temp := filepath.Join(d.root, tempFolder, d.tempPrefix()+strconv.FormatInt(d.temps.Add(1), 10))
	if err := writeNew(temp, content); err != nil {
		_ = os.Remove(temp) // collections remove it otherwise
		return &fs.PathError{Op: "write", Path: temp, Err: err}
	}
	var err error
	if s, ok := entrySum(path); ok {
		err = stampFile(temp, s, time.Now())
	}
	if err == nil {
		err = d.rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// writeNew makes a read-only file.
func writeNew(path string, content []byte) error {
	var fd int
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	for len(content) > 0 && err == nil {
		var n int
		err = ignoringEINTR(func() (err error) {
			n, err = unix.Write(fd, content)
			return err
		})
		content = content[max(n, 0):]
	}
	if err == nil {
		err = unix.Fchmod(fd, 0o444)
	}
	if closed := unix.Close(fd); err == nil && !errors.Is(closed, unix.EINTR) { // the file is closed even so
		err = closed
	}
	return err
}

// tempPrefix begins the names of this Dir's temporary files, as no other does.
func (d *Dir) tempPrefix() string {
	d.tempOnce.Do(func() {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		d.tempName = hex.EncodeToString(random[:]) + "-"
	})
	return d.tempName
}

// writeGrouped stores an entry by the journal, where there is one and the entry
// is small.
func (d *Dir) writeGrouped(path string, content []byte) error {
	j := d.openJournal()
	if j == nil || len(content) > maxJournaled {
		return d.writeEntry(path, content, durable)
	}
	name, err := filepath.Rel(d.root, path)
	if err == nil {
		err = d.writeEntry(path, content, derived)
	}
	if err == nil {
		j.append(name, content)
	}
	return err
}

// settle returns when all grouped entries written before are durable.
func (d *Dir) settle() error {
	if j := d.openJournal(); j != nil {
		return j.sync()
	}
	return nil
}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("making names durable: %w", err)
	}
	return nil
}
