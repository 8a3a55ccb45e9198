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

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// Recall gives the answer that a Tracer saved for request, if all that it rests
// on is as it was. It reads no content. Whatever is wrong with the trace means
// that there is none. Where entries had to be looked at because others came
// beside them, the trace is renewed, so that the next time they need not be.
func (t *Tracer) Recall(request string) (answer []byte, ok bool) {
	path := t.dir.tracePath(request)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	body, err := unseal("trace", text)
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
	shelves := c.shelves(&r)
	check := uint64(r.number())
	content := r.take(entrySize * r.number())
	if r.bad || len(r.rest) > 0 {
		return nil, false
	}
	sound := make(chan bool, 1)
	go func() { sound <- c.all([]section{{blobsFolder, content}}) }()
	changed := c.changed(shelves)
	if !<-sound || !c.entries(entriesPath(path), check, changed) {
		return nil, false
	}
	if len(c.renewed) > 0 {
		// Without it, the next time takes longer.
		_ = t.dir.writeEntry(path, seal("trace", c.renew(body)), derived)
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

// A pastShelf is a folder of entries as a trace has it.
type pastShelf struct {
	shelf
	state     fileState
	rest      int   // of the trace, from the state on, in bytes
	from, end int64 // its entries, of those of all shelves
}

func (c *traceChecker) shelves(r *traceReader) []pastShelf {
	var out []pastShelf
	end := int64(0)
	for n := r.number(); n > 0 && !r.bad; n-- {
		s := pastShelf{shelf: shelf{kind: resultsFolder}, from: end}
		if r.number() == 1 {
			s.kind = blobsFolder
		}
		s.prefix = byte(r.number())
		s.rest = len(r.rest)
		s.state = r.state(c.device)
		end += r.number()
		s.end = end
		out = append(out, s)
	}
	return out
}

// changed gives the folders that are not as they were.
func (c *traceChecker) changed(shelves []pastShelf) []pastShelf {
	var out []pastShelf
	for _, s := range shelves {
		now, err := statAny(filepath.Join(c.dir.root, s.folder()))
		if err == nil && now == s.state {
			continue
		}
		out = append(out, s)
		if err == nil && now.device == c.device && !now.changedSince(time.Now()) {
			c.renewed = append(c.renewed, renewal{s.rest, now})
		}
	}
	return out
}

// entries looks at the entries of folders that changed, which stand in a file of
// their own with that XXH64.
func (c *traceChecker) entries(path string, check uint64, changed []pastShelf) bool {
	if len(changed) == 0 {
		return true
	}
	content, err := os.ReadFile(path)
	if err != nil || xxhash.Sum64(content) != check {
		return false
	}
	var sections []section
	for _, s := range changed {
		if s.from < 0 || s.end < s.from || s.end > int64(len(content)/entrySize) {
			return false
		}
		sections = append(sections, section{s.kind, content[s.from*entrySize : s.end*entrySize]})
	}
	return c.all(sections)
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
	var name [shardedSize + 1]byte
	var now unix.Stat_t
	for e := s.entries; len(e) > 0; e = e[entrySize:] {
		r := traceReader{rest: e[entrySize-stateSize : entrySize]}
		was := r.state(c.device)
		setShardedName(&name, e)
		err := statAt(folder, &name, &now)
		switch {
		case errors.Is(err, unix.ENOENT) && was == fileState{device: c.device}:
		case err != nil || newFileState(&now) != was:
			return false
		}
	}
	return true
}

// shardedSize is the length of the path of an entry below its kind's folder.
const shardedSize = 2*(entrySize-stateSize) + 1

// setShardedName makes name that path, ended by a zero byte, of an entry.
func setShardedName(name *[shardedSize + 1]byte, entry []byte) {
	hex.Encode(name[1:], entry[:entrySize-stateSize])
	name[0], name[1], name[2] = name[1], name[2], '/'
}
