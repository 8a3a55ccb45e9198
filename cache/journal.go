package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/gofrs/flock"
)

// A journal makes many small entries durable at once. They are written to their
// places without waiting for the disk, and again, one after the other, to one
// file; one fsync of that file is then enough for all that wait for it. After a
// power cut the entries are written again from there.
//
// A file of the journal is a line that says when its machine was started, and
// frames: the length of the entry's path and of its content, their XXH64, path,
// content. Whatever follows the first frame that is not whole does not count.
type journal struct {
	file *os.File
	lock *flock.Flock

	mu       sync.Mutex
	changed  sync.Cond // synced, syncing or err
	buffer   []byte    // frames that are not in the file yet
	appended int64     // bytes so far
	synced   int64     // of them on the disk
	syncing  bool
	length   int64 // of the file; who syncs has it
	err      error // that ended the journal
}

const (
	journalHeader = "regft journal 1 "
	journalSuffix = ".log"

	// maxJournaled is the size up to which an entry is written twice rather than
	// waited for.
	maxJournaled = 64 << 10
	// maxJournal is the length from which a journal ends and another begins.
	maxJournal = 256 << 20
	// journalRest is the age from which the file of an ended journal is removed.
	// By then the kernel has written almost all of its entries anyway.
	journalRest = time.Minute
)

// OpenJournal begins a journal, in which entries are put until end is called.
// Where the system lacks what it takes, every entry is waited for as before.
func (d *Dir) OpenJournal() (end func() error, err error) {
	d.journalMu.Lock()
	defer d.journalMu.Unlock()
	d.journalUsers++
	d.spares.keepIdle(true)
	if d.journal == nil && bootID() != "" {
		if err := d.retireJournals(); err != nil {
			return nil, fmt.Errorf("beginning a journal: %w", err)
		}
		if d.journal, err = d.createJournal(); err != nil {
			return nil, fmt.Errorf("beginning a journal: %w", err)
		}
	}
	return sync.OnceValue(d.endJournal), nil
}

func (d *Dir) endJournal() error {
	d.journalMu.Lock()
	defer d.journalMu.Unlock()
	if d.journalUsers--; d.journalUsers > 0 {
		return nil
	}
	d.spares.keepIdle(false)
	if d.journal == nil {
		return nil
	}
	j := d.journal
	d.journal = nil
	return j.close()
}

// openJournal is the journal in use, nil where there is none.
func (d *Dir) openJournal() *journal {
	d.journalMu.Lock()
	defer d.journalMu.Unlock()
	return d.journal
}

func (d *Dir) createJournal() (*journal, error) {
	f, err := os.CreateTemp(filepath.Join(d.root, journalFolder), "*"+journalSuffix)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, lock: flock.New(f.Name()), buffer: journalStart()}
	j.changed.L = &j.mu
	j.appended = int64(len(j.buffer))
	if err := j.lock.Lock(); err != nil {
		f.Close()
		return nil, err
	}
	return j, syncFolder(filepath.Dir(f.Name()))
}

// close ends a journal. Its file stays, until its entries are sure to be on disk.
func (j *journal) close() error {
	err := j.sync()
	return errors.Join(err, j.file.Close(), j.lock.Unlock())
}

// append adds an entry, path being below the store's root.
func (j *journal) append(path string, content []byte) {
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(path)))
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(content)))
	check := xxhash.New()
	_, _ = check.WriteString(path) // a hash never fails
	_, _ = check.Write(content)
	frame = binary.LittleEndian.AppendUint64(frame, check.Sum64())
	j.mu.Lock()
	defer j.mu.Unlock()
	start := len(j.buffer)
	j.buffer = append(append(append(j.buffer, frame...), path...), content...)
	j.appended += int64(len(j.buffer) - start)
}

// sync returns when all that was appended before is on the disk. Of those who
// call it at once, one writes for all.
func (j *journal) sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for want := j.appended; j.synced < want && j.err == nil; {
		if j.syncing {
			j.changed.Wait()
			continue
		}
		j.write()
	}
	return j.err
}

// write writes what is buffered. The caller holds j.mu, which it lends out.
func (j *journal) write() {
	buffer, end := j.buffer, j.appended
	j.buffer, j.syncing = nil, true
	j.mu.Unlock()
	_, err := j.file.Write(buffer)
	if err == nil {
		err = syncData(j.file)
	}
	if j.length += int64(len(buffer)); err == nil && j.length > maxJournal {
		err = j.restart()
	}
	j.mu.Lock()
	j.syncing = false
	if err != nil {
		j.err = fmt.Errorf("writing the journal: %w", err)
	} else {
		j.synced = end
	}
	j.changed.Broadcast()
}

// restart empties the file, once its entries are on the disk in their places.
func (j *journal) restart() error {
	if err := syncFileSystem(j.file.Name()); err != nil {
		return err
	}
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	n, err := j.file.WriteAt(journalStart(), 0)
	j.length = int64(n)
	if err == nil {
		_, err = j.file.Seek(j.length, io.SeekStart)
	}
	return err
}

// journalStart is the first line of a journal's file.
func journalStart() []byte { return []byte(journalHeader + bootID() + "\n") }

// retireJournals removes the files of ended journals, once their entries are on
// the disk.
func (d *Dir) retireJournals() error {
	ended, err := d.endedJournals(func(age time.Duration) bool { return age > journalRest })
	if err != nil || len(ended) == 0 {
		return err
	}
	if err := syncFileSystem(d.root); err != nil {
		return err
	}
	for _, path := range ended {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// endedJournals lists the files of journals that nobody writes to any more.
func (d *Dir) endedJournals(old func(age time.Duration) bool) ([]string, error) {
	entries, err := d.listed(journalFolder)
	if err != nil {
		return nil, err
	}
	var ended []string
	for _, e := range entries {
		path := filepath.Join(d.root, journalFolder, e.Name())
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(path, journalSuffix) || !old(time.Since(info.ModTime())) {
			continue
		}
		lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
		if free, err := lock.TryRLock(); err == nil && free {
			ended = append(ended, path)
			_ = lock.Unlock() // its file is closed with it
		}
	}
	return ended, nil
}

// replayJournals writes again the entries of journals that a power cut ended.
func (d *Dir) replayJournals() error {
	ended, err := d.endedJournals(func(time.Duration) bool { return true })
	if err != nil {
		return err
	}
	for _, path := range ended {
		// No more than its first line: every command looks here, at up to maxJournal.
		start, err := startOf(path, len(journalStart()))
		if err != nil || len(start) == 0 || bytes.Equal(start, journalStart()) {
			continue // it has just been begun, or its entries are as the kernel has them
		}
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, frames, _ := bytes.Cut(content, []byte("\n"))
		for path, content := range journaled(frames) {
			if err := d.restore(path, content); err != nil {
				return err
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// startOf reads at most the first n bytes of a file.
func startOf(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(n)))
}

// journaled gives the entries of a journal's frames up to the first that is not
// whole.
func journaled(frames []byte) func(yield func(path string, content []byte) bool) {
	return func(yield func(string, []byte) bool) {
		for len(frames) >= 16 {
			path, content := uint64(binary.LittleEndian.Uint32(frames)), uint64(binary.LittleEndian.Uint32(frames[4:]))
			check := binary.LittleEndian.Uint64(frames[8:])
			frames = frames[16:]
			if path+content > uint64(len(frames)) || xxhash.Sum64(frames[:path+content]) != check {
				return
			}
			if !yield(string(frames[:path]), frames[path:path+content]) {
				return
			}
			frames = frames[path+content:]
		}
	}
}

// restore writes a journaled entry to its place, if it is what its name says and
// not there.
func (d *Dir) restore(path string, content []byte) error {
	s, ok := entrySum(path)
	if !ok || !filepath.IsLocal(path) {
		return nil
	}
	switch filepath.Dir(filepath.Dir(path)) {
	case blobsFolder:
		ok = SumBytes(content).sum == s
	case resultsFolder:
		_, err := DecodeResult(content, ActionID{s})
		ok = err == nil
	default:
		ok = false
	}
	path = filepath.Join(d.root, path)
	if there, err := os.ReadFile(path); !ok || err == nil && bytes.Equal(there, content) {
		return nil
	}
	return d.writeEntry(path, content, durable)
}
