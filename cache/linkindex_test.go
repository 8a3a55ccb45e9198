package cache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLinkLineRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64()
		l := link{
			path:     string(rapid.SliceOf(rapid.Byte()).Draw(t, "path")),
			digest:   SumBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "content")),
			state:    fileState{n.Draw(t, "size"), n.Draw(t, "mtime"), n.Draw(t, "ctime"), n.Draw(t, "device"), n.Draw(t, "inode")},
			recorded: n.Draw(t, "recorded"),
		}
		line := encodeLink(l)
		if got, ok := decodeLink(line); !ok || got != l {
			t.Errorf("%q decoded as %v, %v, want %v", line, got, ok, l)
		}
		if strings.Count(line, "\n") != 1 {
			t.Errorf("%q is not one line", line)
		}
		damaged := []byte(line)
		damaged[rapid.IntRange(0, len(line)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, ok := decodeLink(string(damaged)); ok {
			t.Errorf("damaged %q decoded as %v", damaged, got)
		}
	})
}

// The record of a file vouches for its content only if the file's times are
// clearly older than the record. What is trusted here is a wrong digest, which
// shows that the file was not read.
func TestRacyLinksAreReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	state, err := statFile(path)
	if err != nil {
		t.Fatal(err)
	}
	recordedLater := link{path, SumBytes([]byte("wrong")), state, state.ctime + int64(3*time.Second)}
	changedSince := recordedLater
	changedSince.state.mtime--
	for name, test := range map[string]struct {
		record  link
		trusted bool
	}{
		"recorded seconds later":        {recordedLater, true},
		"recorded in the same tick":     {link{path, recordedLater.digest, state, state.ctime}, false},
		"recorded one second later":     {link{path, recordedLater.digest, state, state.ctime + int64(time.Second)}, false},
		"recorded before, by the clock": {link{path, recordedLater.digest, state, state.ctime - int64(time.Hour)}, false},
		"changed since":                 {changedSince, false},
	} {
		d, err := OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.linksPath(), []byte(encodeLink(test.record)), 0o666); err != nil {
			t.Fatal(err)
		}
		digest, _, err := d.Link(t.Context(), path)
		if trusted := digest == test.record.digest; trusted != test.trusted || err != nil {
			t.Errorf("%s: trusted %v (%v), want %v", name, trusted, err, test.trusted)
		}
	}
}

// Only news is written to the index: that a file still cannot be trusted is none.
func TestNewsOfLinks(t *testing.T) {
	const second = int64(time.Second)
	racy := link{path: "/f", digest: SumBytes([]byte("a")), state: fileState{mtime: 100 * second}, recorded: 100 * second}
	later, settled, touched, changed := racy, racy, racy, racy
	later.recorded += second
	settled.recorded += 10 * second
	touched.state.mtime, touched.recorded = 200*second, 300*second
	changed.digest = SumBytes([]byte("b"))
	for name, test := range map[string]struct {
		known, now link
		news       bool
	}{
		"the same":                {racy, racy, false},
		"still not to be trusted": {racy, later, false},
		"now to be trusted":       {racy, settled, true},
		"trusted as before":       {settled, settled, false},
		"touched":                 {settled, touched, true},
		"other content":           {settled, changed, true},
	} {
		x := linkIndex{byPath: map[string]link{}, last: map[Digest]string{}}
		if !x.add(test.known) {
			t.Errorf("%s: the first record is no news", name)
		}
		if news := x.add(test.now); news != test.news {
			t.Errorf("%s: news %v, want %v", name, news, test.news)
		}
	}
}

// The index does not grow with the number of runs, and keeps what counts when
// it is rewritten.
func TestLinkIndexIsCompacted(t *testing.T) {
	root, folder := t.TempDir(), t.TempDir()
	d, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(folder, "a"), filepath.Join(folder, "b")
	for _, path := range []string{b, a} {
		if err := os.WriteFile(path, []byte("content"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.LinkAll(t.Context(), []string{a, b}); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(d.linksPath())
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat(string(line), 1000) + "torn li"
	if err := os.WriteFile(d.linksPath(), []byte(long), 0o666); err != nil {
		t.Fatal(err)
	}
	digest := SumBytes([]byte("content"))
	for range 2 { // before and after it was rewritten
		d, err := OpenDir(root)
		if err != nil {
			t.Fatal(err)
		}
		if path, err := d.Path(t.Context(), digest); path != b || err != nil {
			t.Errorf("Path: %q, %v, want %q", path, err, b)
		}
	}
	short, err := os.ReadFile(d.linksPath())
	if got := strings.Count(string(short), "\n"); got > 4 || err != nil {
		t.Errorf("%d lines are left (%v)", got, err)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	d, err = OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if path, err := d.Path(t.Context(), digest); path != a || err != nil {
		t.Errorf("without b: %q, %v, want %q", path, err, a)
	}
}
