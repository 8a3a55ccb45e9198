package cache

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Recall gives the answer that a Tracer saved for request, if all that it rests
// on is as it was. It reads no content. Whatever is wrong with the trace means
// that there is none. Where entries had to be looked at because others came
// beside them, the trace is renewed, so that the next time they need not be.
func (t *Tracer) Recall(request string) (answer []byte, ok bool) {
	content, err := os.ReadFile(t.dir.tracePath(request))
	if err != nil {
		return nil, false
	}
	body, err := unseal("trace", content)
	if err != nil {
		return nil, false
	}
	c := &traceChecker{dir: t.dir}
	r := traceReader{rest: body}
	c.device = r.number()
	answer = r.take(r.number())
	if !c.files(&r) {
		return nil, false
	}
	entries, ok := c.shelves(&r)
	entries = append(entries, section{blobsFolder, r.take(entrySize * r.number())})
	if !ok || r.bad || len(r.rest) > 0 || !c.all(entries) {
		return nil, false
	}
	if len(c.renewed) > 0 {
		// Without it, the next time takes longer.
		_ = t.dir.writeEntry(t.dir.tracePath(request), seal("trace", c.renew(body)), derived)
	}
	return answer, true
}

// traceReader reads what traceWriter wrote. Whatever it wrote not is bad.
type traceReader struct {
	rest []byte
	bad  bool
}

func (r *traceReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.rest)) {
		r.bad = true
		n = 0
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *traceReader) number() int64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func (r *traceReader) state(device int64) fileState {
	return fileState{size: r.number(), mtime: r.number(), ctime: r.number(), inode: r.number(), device: device}
}

// A section is entries of one kind: 32 bytes of the name and 32 of the state each.
type section struct {
	kind    string
	entries []byte
}

const (
	stateSize = 4 * 8
	entrySize = 32 + stateSize
)

type traceChecker struct {
	dir     *Dir
	device  int64
	renewed []renewal
}

// A renewal is the state that a folder had before its entries were found to be as
// they were.
type renewal struct {
	rest  int // of the trace, from the old state on, in bytes
	state fileState
}

// renew gives a trace with the new states of folders.
func (c *traceChecker) renew(body []byte) []byte {
	body = bytes.Clone(body)
	for _, r := range c.renewed {
		var w traceWriter
		w.state(r.state)
		copy(body[len(body)-r.rest:], w.Bytes())
	}
	return body
}

func (c *traceChecker) files(r *traceReader) bool {
	for n := r.number(); n > 0 && !r.bad; n-- {
		path, device := string(r.take(r.number())), r.number()
		if now, err := statAny(path); err != nil || now != r.state(device) {
			return false
		}
	}
	return !r.bad
}

// shelves gives the entries of the folders that changed.
func (c *traceChecker) shelves(r *traceReader) (changed []section, ok bool) {
	for n := r.number(); n > 0 && !r.bad; n-- {
		s := shelf{kind: resultsFolder}
		if r.number() == 1 {
			s.kind = blobsFolder
		}
		s.prefix = byte(r.number())
		rest := len(r.rest)
		was := r.state(c.device)
		entries := r.take(entrySize * r.number())
		now, err := statAny(filepath.Join(c.dir.root, s.folder()))
		if err == nil && now == was {
			continue
		}
		changed = append(changed, section{s.kind, entries})
		if err == nil && now.device == c.device && !now.changedSince(time.Now()) {
			c.renewed = append(c.renewed, renewal{rest, now})
		}
	}
	return changed, !r.bad
}

// statsAtOnce is how many entries one goroutine looks at before it takes more.
const statsAtOnce = 256

// all says that every entry is in the state that it was in.
func (c *traceChecker) all(sections []section) bool {
	var chunks []section
	for _, s := range sections {
		for len(s.entries) > 0 {
			n := min(len(s.entries), statsAtOnce*entrySize)
			chunks = append(chunks, section{s.kind, s.entries[:n]})
			s.entries = s.entries[n:]
		}
	}
	var next atomic.Int64
	var changed atomic.Bool
	var group sync.WaitGroup
	for range min(len(chunks), runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for k := next.Add(1) - 1; k < int64(len(chunks)) && !changed.Load(); k = next.Add(1) - 1 {
				if !c.chunk(chunks[k]) {
					changed.Store(true)
				}
			}
		})
	}
	group.Wait()
	return !changed.Load()
}

// chunk looks at the entries of a part of a section.
func (c *traceChecker) chunk(s section) bool {
	folder, err := unix.Open(filepath.Join(c.dir.root, s.kind), unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(folder)
	var now unix.Stat_t
	for e := s.entries; len(e) > 0; e = e[entrySize:] {
		r := traceReader{rest: e[entrySize-stateSize : entrySize]}
		was := r.state(c.device)
		err := ignoringEINTR(func() error { return unix.Fstatat(folder, shardedName(e[:entrySize-stateSize]), &now, 0) })
		switch {
		case errors.Is(err, unix.ENOENT) && was == fileState{device: c.device}:
		case err != nil || newFileState(&now) != was:
			return false
		}
	}
	return true
}

// shardedName is the path of an entry below its kind's folder.
func shardedName(sum []byte) string {
	var b [2*32 + 1]byte
	hex.Encode(b[1:], sum)
	b[0], b[1], b[2] = b[1], b[2], '/'
	return string(b[:])
}
