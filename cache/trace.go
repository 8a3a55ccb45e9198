package cache

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A Tracer collects what an answer rests on: files of the user's, results, and
// their content. It is begun before any of it is looked at. What it saves is a
// verifying trace (Mokhov, Mitchell, Peyton Jones, "Build Systems à la Carte",
// 2018): while the states of all those files stay, so does the answer.
type Tracer struct {
	dir     *Dir
	began   time.Time
	files   map[string]bool // false: written by this process
	results map[sum]bool
	lists   map[sum]bool // manifests
	content map[sum]bool
}

// NewTracer begins a trace.
func (d *Dir) NewTracer() *Tracer {
	return &Tracer{dir: d, began: time.Now(), files: map[string]bool{}, results: map[sum]bool{}, lists: map[sum]bool{}, content: map[sum]bool{}}
}

// File adds a file or folder outside the store, or the fact that it is not there.
func (t *Tracer) File(path string) { t.files[path] = true }

// Own adds a file outside the store that this process has written since the
// Tracer was begun, and that nobody else writes.
func (t *Tracer) Own(path string) { t.files[path] = false }

// Result adds the record of an action.
func (t *Tracer) Result(action ActionID) { t.results[action.sum] = true }

// Manifest adds a manifest and the content of its files, but for that of the
// user's files, which are added by File.
func (t *Tracer) Manifest(digest Digest, m Manifest) {
	t.lists[digest.sum] = true
	for _, f := range m.Files {
		if !t.dir.isLinked(f.Digest) {
			t.content[f.Digest.sum] = true
		}
	}
}

// errUntraceable says that something cannot be relied on, so that there is no trace.
var errUntraceable = errors.New("it changes")

// Save stores the answer to request with what it rests on. Where one of the
// user's files may have changed since the Tracer was begun, it stores nothing.
func (t *Tracer) Save(ctx context.Context, request string, answer []byte) error {
	body, entries, err := t.encode(ctx, answer)
	if errors.Is(err, errUntraceable) {
		return nil
	}
	path := t.dir.tracePath(request)
	if err == nil {
		err = t.dir.writeEntry(entriesPath(path), entries, derived)
	}
	if err == nil {
		err = t.dir.writeEntry(path, seal("trace", body), derived)
	}
	if err != nil {
		return fmt.Errorf("noting what the run rests on: %w", err)
	}
	return nil
}

func (d *Dir) tracePath(request string) string {
	return d.entryPath(tracesFolder, NewActionID(request).sum)
}

// entriesPath is the file beside a trace that holds the entries of its folders:
// they are needed where a folder has changed.
func entriesPath(tracePath string) string { return tracePath + ".entries" }

// encode gives a trace: the device of the store; the answer; the user's files;
// the folders of results and manifests; the content. The entries of the folders
// are apart.
func (t *Tracer) encode(ctx context.Context, answer []byte) (body, entries []byte, err error) {
	root, err := statAny(t.dir.root)
	if err != nil {
		return nil, nil, err
	}
	w := &traceWriter{dir: t.dir, device: root.device}
	w.number(root.device)
	w.text(string(answer))
	w.number(int64(len(t.files)))
	for _, path := range slices.Sorted(maps.Keys(t.files)) {
		if err := w.file(path, t.files[path], t.began); err != nil {
			return nil, nil, err
		}
	}
	shelves := shelve(t.results, t.lists)
	w.number(int64(len(shelves)))
	of := &traceWriter{dir: t.dir, device: root.device}
	for _, s := range shelves {
		if err := errors.Join(w.shelf(s), of.entries(s.kind, s.entries), ctx.Err()); err != nil {
			return nil, nil, err
		}
	}
	w.number(int64(xxhash.Sum64(of.Bytes())))
	w.number(int64(len(t.content)))
	err = w.entries(blobsFolder, slices.SortedFunc(maps.Keys(t.content), compareSums))
	return w.Bytes(), of.Bytes(), errors.Join(err, ctx.Err())
}

func compareSums(a, b sum) int { return bytes.Compare(a.bytes[:], b.bytes[:]) }

// A shelf is those entries of one of the 256 folders of results or blobs that a
// trace needs.
type shelf struct {
	kind    string // resultsFolder or blobsFolder
	prefix  byte
	entries []sum
}

func (s shelf) folder() string { return filepath.Join(s.kind, fmt.Sprintf("%02x", s.prefix)) }

func shelve(results, lists map[sum]bool) []shelf {
	var out []shelf
	for _, kind := range []string{resultsFolder, blobsFolder} {
		sums := slices.SortedFunc(maps.Keys(map[string]map[sum]bool{resultsFolder: results, blobsFolder: lists}[kind]), compareSums)
		for len(sums) > 0 {
			n := 1
			for n < len(sums) && sums[n].bytes[0] == sums[0].bytes[0] {
				n++
			}
			out = append(out, shelf{kind, sums[0].bytes[0], sums[:n]})
			sums = sums[n:]
		}
	}
	return out
}

// traceWriter writes numbers as 8 bytes, little-endian.
type traceWriter struct {
	bytes.Buffer
	dir    *Dir
	device int64
}

func (w *traceWriter) number(n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	w.Write(b[:])
}

func (w *traceWriter) text(s string) {
	w.number(int64(len(s)))
	w.WriteString(s)
}

func (w *traceWriter) state(s fileState) {
	for _, n := range []int64{s.size, s.mtime, s.ctime, s.inode} {
		w.number(n)
	}
}

// file writes the state of one of the user's files, which must not have changed
// since the trace was begun, or of one of ours.
func (w *traceWriter) file(path string, users bool, began time.Time) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	state, err := statAny(abs)
	if err != nil || users && state.changedSince(began) {
		return errUntraceable
	}
	w.text(abs)
	w.number(state.device)
	w.state(state)
	return nil
}

// shelf writes the state of a folder, zero where it vouches for nothing because
// it has just changed, and its entries.
func (w *traceWriter) shelf(s shelf) error {
	state, err := statAny(filepath.Join(w.dir.root, s.folder()))
	if err != nil {
		return err
	}
	if state.changedSince(time.Now()) {
		state = fileState{}
	}
	kind := int64(0)
	if s.kind == blobsFolder {
		kind = 1
	}
	w.number(kind)
	w.number(int64(s.prefix))
	w.state(state)
	w.number(int64(len(s.entries)))
	return nil
}

// entries writes names and states; of content that only upstream has, that it is
// not here.
func (w *traceWriter) entries(kind string, sums []sum) error {
	for _, s := range sums {
		state, err := statAny(w.dir.entryPath(kind, s))
		if err != nil {
			return err
		}
		if state != (fileState{}) && (state.device != w.device || !state.stamped(s)) {
			return errUntraceable
		}
		w.Write(s.bytes[:])
		w.state(state)
	}
	return nil
}

// changedSince says that the file may have changed since at without another
// change showing: its times are not older by more than its clock's tick.
func (s fileState) changedSince(at time.Time) bool {
	tick := racyWindow
	if s.mtime%int64(time.Millisecond) != 0 && s.ctime%int64(time.Millisecond) != 0 {
		tick = fineTick
	}
	return max(s.mtime, s.ctime) >= at.UnixNano()-int64(tick)
}

// fineTick is more than the tick of clocks that give more than milliseconds.
const fineTick = 50 * time.Millisecond
