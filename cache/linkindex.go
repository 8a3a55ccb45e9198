package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// racyWindow is how much older than its record a file's times must be for its
// state to vouch for its content: a later write within the same tick of the
// file system's clock leaves the state as it was (git's "racy" entries). The
// coarsest clock in use, FAT's, ticks every two seconds.
const racyWindow = 2 * time.Second

// link says what content a file had, in which state, and when that was recorded.
type link struct {
	path     string // absolute
	digest   Digest
	state    fileState
	recorded int64 // nanoseconds since 1970, before the file was read
}

// racy tells whether the file may have changed since without its state showing it.
func (l link) racy() bool {
	return max(l.state.mtime, l.state.ctime) >= l.recorded-int64(racyWindow)
}

// linkIndex is what is known of linked files. On disk it is a file of lines, one
// per record, appended to, the last line of a path counting. It is a cache of
// what reading the linked files would tell: torn or damaged lines are ignored.
type linkIndex struct {
	mu     sync.Mutex
	loaded bool
	byPath map[string]link
	last   map[Digest]string // the path linked last
}

func (x *linkIndex) get(path string) (link, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	l, ok := x.byPath[path]
	return l, ok
}

func (x *linkIndex) lastPath(digest Digest) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	path, ok := x.last[digest]
	return path, ok
}

// otherPaths gives, sorted, the paths but one that are recorded with digest.
func (x *linkIndex) otherPaths(digest Digest, but string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var paths []string
	for path, l := range x.byPath {
		if l.digest == digest && path != but {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// add remembers a link and tells whether that is news worth a line on disk.
func (x *linkIndex) add(l link) bool {
	known, ok := x.byPath[l.path]
	x.byPath[l.path], x.last[l.digest] = l, l.path
	return !ok || known.digest != l.digest || known.state != l.state || known.racy() && !l.racy()
}

func (d *Dir) linksPath() string { return filepath.Join(d.root, "links") }

// loadLinks reads the index once.
func (d *Dir) loadLinks() error {
	x := &d.links
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.loaded {
		return nil
	}
	content, err := os.ReadFile(d.linksPath())
	if errors.Is(err, errIsFolder) {
		d.setAside(d.linksPath())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the index of linked files: %w", err)
	}
	x.byPath, x.last = map[string]link{}, map[Digest]string{}
	lines := 0
	for line := range strings.Lines(string(content)) {
		lines++
		if l, ok := decodeLink(line); ok {
			x.add(l)
		}
	}
	x.loaded = true
	if lines > 2*len(x.byPath)+1000 {
		// A long index is only slow; a store that is read-only may be read.
		_ = d.writeEntry(d.linksPath(), x.encode(), derived)
	}
	return nil
}

// encode gives the index with one line a path, those that last names last.
func (x *linkIndex) encode() []byte {
	var older, last bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(x.byPath)) {
		l := x.byPath[path]
		lines := &older
		if x.last[l.digest] == path {
			lines = &last
		}
		lines.WriteString(encodeLink(l))
	}
	return append(older.Bytes(), last.Bytes()...)
}

// recordLinks remembers links, those that are set, and appends what is new to
// the index in one write.
func (d *Dir) recordLinks(found []link) error {
	x := &d.links
	x.mu.Lock()
	defer x.mu.Unlock()
	var lines bytes.Buffer
	for _, l := range found {
		if l.path != "" && x.add(l) {
			lines.WriteString(encodeLink(l))
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	f, err := os.OpenFile(d.linksPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("writing the index of linked files: %w", err)
	}
	_, err = f.Write(lines.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the index of linked files: %w", err)
	}
	return nil
}

// encodeLink gives a line: XXH64 of the rest, digest, size, mtime, ctime,
// device, inode, recorded, and the path, quoted.
func encodeLink(l link) string {
	s := l.state
	rest := fmt.Sprintf("%s %d %d %d %d %d %d %q", l.digest.hex(), s.size, s.mtime, s.ctime, s.device, s.inode, l.recorded, l.path)
	return lineCheck(rest) + " " + rest + "\n"
}

func lineCheck(rest string) string { return fmt.Sprintf("%016x", xxhash.Sum64String(rest)) }

// decodeLink reads a line that encodeLink wrote.
func decodeLink(line string) (link, bool) {
	line, ended := strings.CutSuffix(line, "\n")
	check, rest, found := strings.Cut(line, " ")
	if !ended || !found || check != lineCheck(rest) {
		return link{}, false
	}
	fields := strings.SplitN(rest, " ", 8)
	if len(fields) != 8 {
		return link{}, false
	}
	var numbers [6]int64
	for i := range numbers {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return link{}, false
		}
		numbers[i] = n
	}
	digest, digestErr := ParseDigest(digestPrefix + fields[0])
	path, pathErr := strconv.Unquote(fields[7])
	state := fileState{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]}
	return link{path, digest, state, numbers[5]}, digestErr == nil && pathErr == nil
}
