package cache

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// traced is a store with one result whose answer rests on a file of the user's.
type traced struct {
	t       testing.TB
	dir     *Dir
	file    string
	result  *Result
	content Digest
	list    Digest
}

const request, answer = "a request", "the answer"

func newTraced(t testing.TB) *traced {
	t.Helper()
	root := t.TempDir()
	dir, err := OpenDir(filepath.Join(root, "store"))
	if err != nil {
		t.Fatal(err)
	}
	x := &traced{t: t, dir: dir, file: filepath.Join(root, "spec.yaml")}
	x.must(os.WriteFile(x.file, []byte("spec"), 0o666))
	content, size, err := dir.Put(t.Context(), bytes.NewReader([]byte("content")))
	x.must(err)
	x.content = content
	x.list, err = dir.PutManifest(t.Context(), Manifest{Files: []File{{Name: "f", Digest: content, Size: size}}})
	x.must(err)
	x.result = &Result{Key: "key\n", Action: NewActionID("key\n"), Outputs: map[string]Digest{"": x.list}}
	x.must(dir.PutResult(t.Context(), x.result))
	return x
}

func (x *traced) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// save saves the trace, long enough after the last change that it is relied on.
func (x *traced) save() {
	x.t.Helper()
	time.Sleep(fineTick + 20*time.Millisecond)
	t := x.dir.NewTracer()
	t.File(x.file)
	t.File(x.file + ".optional")
	t.Result(x.result.Action)
	m, err := x.dir.Manifest(x.t.Context(), x.list)
	x.must(err)
	t.Manifest(x.list, m)
	x.must(t.Save(x.t.Context(), request, []byte(answer)))
}

func (x *traced) recalls(want bool) {
	x.t.Helper()
	got, ok := x.dir.NewTracer().Recall(request)
	if ok != want || ok && string(got) != answer {
		x.t.Errorf("recalled %q, %v: want %v", got, ok, want)
	}
}

func TestTraceHolds(t *testing.T) {
	x := newTraced(t)
	x.recalls(false)
	x.save()
	x.recalls(true)
	if _, ok := x.dir.NewTracer().Recall("another request"); ok {
		t.Error("it answers another request")
	}
	// Another run's result in the folder of ours costs a look at ours.
	other := filepath.Join(filepath.Dir(x.dir.entryPath(resultsFolder, x.result.Action.sum)), "other")
	x.must(os.WriteFile(other, nil, 0o666))
	x.recalls(true)
}

// TestTraceNotices changes one thing that the answer rests on.
func TestTraceNotices(t *testing.T) {
	blob := func(x *traced) string { return x.dir.blobPath(x.content) }
	record := func(x *traced) string { return x.dir.entryPath(resultsFolder, x.result.Action.sum) }
	edit := func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return errors.Join(os.Chmod(path, 0o666), os.WriteFile(path, bytes.Repeat([]byte("x"), int(info.Size())), 0o666))
	}
	for name, change := range map[string]func(x *traced) error{
		"the spec edited":     func(x *traced) error { return edit(x.file) },
		"the spec replaced":   func(x *traced) error { return replace(x.file) },
		"the spec removed":    func(x *traced) error { return os.Remove(x.file) },
		"a missing file came": func(x *traced) error { return os.WriteFile(x.file+".optional", nil, 0o666) },
		"content edited":      func(x *traced) error { return edit(blob(x)) },
		"content removed":     func(x *traced) error { return os.Remove(blob(x)) },
		"content replaced":    func(x *traced) error { return replace(blob(x)) },
		"its time given back": func(x *traced) error {
			return errors.Join(edit(blob(x)), stampFile(blob(x), x.content.sum, time.Now()))
		},
		"a folder in its place": func(x *traced) error { return errors.Join(os.Remove(blob(x)), os.Mkdir(blob(x), 0o777)) },
		"the record removed":    func(x *traced) error { return os.Remove(record(x)) },
		"the record replaced":   func(x *traced) error { return replace(record(x)) },
		"the manifest removed":  func(x *traced) error { return os.Remove(x.dir.blobPath(x.list)) },
		"all results removed":   func(x *traced) error { return os.RemoveAll(filepath.Join(x.dir.root, resultsFolder)) },
		"all content removed":   func(x *traced) error { return os.RemoveAll(filepath.Join(x.dir.root, blobsFolder)) },
		"the trace removed":     func(x *traced) error { return os.Remove(x.dir.tracePath(request)) },
		"another program's trace": func(x *traced) error {
			return os.WriteFile(x.dir.tracePath(request), []byte("regft trace 2 0\n"), 0o666)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTraced(t)
			x.save()
			x.recalls(true)
			if name == "another program's trace" {
				x.must(os.Chmod(x.dir.tracePath(request), 0o666))
			}
			x.must(change(x))
			x.recalls(false)
		})
	}
}

// replace puts an equal copy in a file's place.
func replace(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path+".copy", content, 0o444), os.Rename(path+".copy", path))
}

// TestTraceOfAYoungFile: what may have changed since it was read is not relied on.
func TestTraceOfAYoungFile(t *testing.T) {
	x := newTraced(t)
	time.Sleep(fineTick + 20*time.Millisecond)
	tracer := x.dir.NewTracer()
	x.must(os.WriteFile(x.file, []byte("edited"), 0o666))
	tracer.File(x.file)
	x.must(tracer.Save(t.Context(), request, []byte(answer)))
	x.recalls(false)
}

// TestTraceDamage cuts and flips every part of a trace.
func TestTraceDamage(t *testing.T) {
	x := newTraced(t)
	x.save()
	path := x.dir.tracePath(request)
	whole, err := os.ReadFile(path)
	x.must(err)
	x.must(os.Chmod(path, 0o666))
	for n := range whole {
		x.must(os.WriteFile(path, whole[:n], 0o666))
		x.recalls(false)
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1 << (n % 8)
		x.must(os.WriteFile(path, flipped, 0o666))
		x.recalls(false)
	}
	x.must(os.WriteFile(path, whole, 0o666))
	x.recalls(true)
}

// TestTraceEntriesDamage cuts and flips the entries of folders, which count where a folder changed.
func TestTraceEntriesDamage(t *testing.T) {
	x := newTraced(t)
	x.save()
	path := entriesPath(x.dir.tracePath(request))
	whole, err := os.ReadFile(path)
	x.must(err)
	x.must(os.Remove(path))
	x.recalls(true)
	// Its time stays young, so that the trace is not renewed.
	other := filepath.Join(filepath.Dir(x.dir.entryPath(resultsFolder, x.result.Action.sum)), "other")
	touch := func() { x.must(errors.Join(os.WriteFile(other, nil, 0o666), os.Remove(other))) }
	touch()
	x.recalls(false)
	for n := range whole {
		x.must(os.WriteFile(path, whole[:n], 0o666))
		touch()
		x.recalls(false)
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1 << (n % 8)
		x.must(os.WriteFile(path, flipped, 0o666))
		x.recalls(false)
	}
	x.must(os.WriteFile(path, whole, 0o666))
	x.recalls(true)
}

// FuzzTrace reads arbitrary traces whose checksum is right: nothing panics, what is answered is in the trace, and the
// trace of content that is gone does not answer.
func FuzzTrace(f *testing.F) {
	x := newTraced(f)
	x.save()
	whole, err := os.ReadFile(x.dir.tracePath(request))
	x.must(err)
	body, err := unseal("trace", whole)
	x.must(err)
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add([]byte{})
	x.must(os.Remove(x.dir.blobPath(x.content)))
	x.must(os.Chmod(x.dir.tracePath(request), 0o666))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(x.dir.tracePath(request), seal("trace", text), 0o666); err != nil {
			t.Fatal(err)
		}
		got, ok := x.dir.NewTracer().Recall(request)
		if ok && (bytes.Equal(text, body) || !bytes.Contains(text, got)) {
			t.Errorf("%q answers %q although the content is gone", text, got)
		}
	})
}

// TestIntact tells content that was edited from content that only lost its stamp.
func TestIntact(t *testing.T) {
	x := newTraced(t)
	path := x.dir.blobPath(x.content)
	intact := func() error { return x.dir.Intact(t.Context(), x.content, int64(len("content"))) }
	x.must(intact())
	x.must(os.Chtimes(path, time.Now(), time.Unix(1e9, 5)))
	x.must(intact())
	if state, err := statFile(path); err != nil || !state.stamped(x.content.sum) {
		t.Errorf("its stamp was not given back: %v, %v", state, err)
	}
	x.must(errors.Join(os.Chmod(path, 0o666), os.WriteFile(path, []byte("CONTENT"), 0o666)))
	if err := intact(); !errors.Is(err, ErrMiss) {
		t.Errorf("edited content is %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("edited content stays: %v", err)
	}
	if err := intact(); !errors.Is(err, ErrMiss) {
		t.Errorf("removed content is %v", err)
	}
}

// TestEntriesAreStamped: every entry that the store writes has its stamp.
func TestEntriesAreStamped(t *testing.T) {
	x := newTraced(t)
	big, _, err := x.dir.Put(t.Context(), bytes.NewReader(make([]byte, 2*checkSize)))
	x.must(err)
	recipe := NewRecipeID("r")
	x.must(x.dir.PutRecipe(t.Context(), recipe, x.result.Action))
	for path, s := range map[string]sum{
		x.dir.blobPath(big): big.sum, x.dir.blobPath(x.content): x.content.sum, x.dir.blobPath(x.list): x.list.sum,
		x.dir.entryPath(resultsFolder, x.result.Action.sum): x.result.Action.sum,
		x.dir.entryPath(recipesFolder, recipe.sum):          recipe.sum,
	} {
		state, err := statFile(path)
		if err != nil || !state.stamped(s) {
			t.Errorf("%s: %+v, %v", path, state, err)
		}
	}
}

// BenchmarkRecall is the look at so many results and as much content.
func BenchmarkRecall(b *testing.B) {
	for _, n := range []int{10_001, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := newTraced(b)
			t := x.dir.NewTracer()
			for k := range n {
				x.add(t, fmt.Sprintf("content %d", k))
			}
			time.Sleep(2 * fineTick) // the folders vouch for their entries
			x.must(t.Save(b.Context(), request, []byte(answer)))
			for b.Loop() {
				x.recalls(true)
			}
		})
	}
}

// add writes a result and its content without waiting for the disk, and adds both to a trace.
func (x *traced) add(t *Tracer, text string) {
	content := SumBytes([]byte(text))
	m := Manifest{Files: []File{{Name: "f", Digest: content, Size: int64(len(text))}}}
	r := &Result{Key: text, Action: NewActionID(text), Outputs: map[string]Digest{"": m.Digest()}}
	record, err := EncodeResult(r)
	x.must(err)
	x.must(x.dir.writeEntry(x.dir.blobPath(content), []byte(text), derived))
	x.must(x.dir.writeEntry(x.dir.blobPath(m.Digest()), m.Encode(), derived))
	x.must(x.dir.writeEntry(x.dir.entryPath(resultsFolder, r.Action.sum), record, derived))
	t.Result(r.Action)
	t.Manifest(m.Digest(), m)
}

// TestTraceRenewed lets entries come beside those of a trace: they are looked at once, and then the folder vouches again.
func TestTraceRenewed(t *testing.T) {
	x := newTraced(t)
	x.save()
	record := x.dir.entryPath(resultsFolder, x.result.Action.sum)
	x.must(os.WriteFile(filepath.Join(filepath.Dir(record), "other"), nil, 0o666))
	time.Sleep(fineTick + 20*time.Millisecond)
	trace := func() []byte {
		content, err := os.ReadFile(x.dir.tracePath(request))
		x.must(err)
		return content
	}
	before := trace()
	x.recalls(true)
	renewed := trace()
	if bytes.Equal(renewed, before) {
		t.Fatal("the trace has the folder's old state")
	}
	x.recalls(true)
	if !bytes.Equal(trace(), renewed) {
		t.Error("it is renewed though nothing changed")
	}
	x.must(os.Remove(record))
	x.recalls(false)
}

// TestTraceOwn traces a file that was written after the trace was begun: only of its own does a process know what it holds.
func TestTraceOwn(t *testing.T) {
	x := newTraced(t)
	for _, own := range []bool{false, true} {
		tracer := x.dir.NewTracer()
		x.must(os.WriteFile(x.file, []byte("written"), 0o666))
		if own {
			tracer.Own(x.file)
		} else {
			tracer.File(x.file)
		}
		x.must(tracer.Save(t.Context(), request, []byte(answer)))
		x.recalls(own)
	}
	x.must(os.WriteFile(x.file, []byte("written again"), 0o666))
	x.recalls(false)
}
