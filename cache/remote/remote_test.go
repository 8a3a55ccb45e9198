package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regft/cache"
	"regft/cache/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a Retry for tests.
var quick = Retry{First: time.Millisecond, Longest: 5 * time.Millisecond, Total: 10 * time.Second, Stall: 5 * time.Second}

// addresses are where a remote may be, each empty.
func addresses(t *testing.T) map[string]string {
	credentials(t)
	server := httptest.NewServer(newFakeS3())
	t.Cleanup(server.Close)
	out := map[string]string{
		"folder": filepath.Join(t.TempDir(), "shared"),
		"tar":    filepath.Join(t.TempDir(), "study.tar"),
		"s3":     "s3://bucket/some/prefix?endpoint=" + server.URL,
	}
	if startServer != nil {
		out["versitygw"] = startServer(t)
	}
	return out
}

// startServer starts a real server of S3, and gives its address: with the build
// tag versitygw.
var startServer func(t *testing.T) string

func open(t *testing.T, address string, o Options) *Remote {
	t.Helper()
	o.Retry = quick
	r, err := Open(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return r
}

// TestWriters holds every Writer to what its documentation says.
func TestWriters(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			w := open(t, address, Options{}).backend.(Writer)
			ctx := t.Context()
			if b, ok := w.(*bucket); ok {
				b.partSize = 5 << 20 // the least that servers take
			}
			if _, err := w.Size(ctx, "blobs/00/11"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Size of nothing: %v", err)
			}
			if _, _, err := w.Open(ctx, "blobs/00/11", 0); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open of nothing: %v", err)
			}
			for k, size := range []int{0, 1, 511, 512, 513, 100_000, 11<<20 + 7} {
				object := "blobs/ab/" + strings.Repeat("x", k+1)
				first, second := storetest.Content(uint64(k), size), storetest.Content(uint64(k)+100, size+1)
				check(t, w.Create(ctx, object, memory(first)))
				holds(t, w, object, first)
				if err := w.Create(ctx, object, memory(second)); !errors.Is(err, fs.ErrExist) {
					t.Errorf("Create of what is there, %d bytes: %v", size, err)
				}
				holds(t, w, object, first)
				check(t, w.Replace(ctx, object, memory(second)))
				holds(t, w, object, second)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds checks an object's content from several offsets.
func holds(t *testing.T, b Backend, object string, want []byte) {
	t.Helper()
	size, err := b.Size(t.Context(), object)
	check(t, err)
	for _, offset := range []int64{0, int64(len(want)) / 2} {
		body, whole, err := b.Open(t.Context(), object, offset)
		check(t, err)
		got, err := io.ReadAll(body)
		check(t, err)
		check(t, body.Close())
		if !bytes.Equal(got, want[offset:]) || whole != int64(len(want)) || size != whole {
			t.Fatalf("%s from %d: %d bytes of %d (%d), want %d of %d", object, offset, len(got), whole, size, len(want)-int(offset), len(want))
		}
	}
}

// TestCreateRaces checks that of many who create an object one succeeds.
func TestCreateRaces(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			w := open(t, address, Options{}).backend.(Writer)
			var won atomic.Int32
			var group sync.WaitGroup
			for k := range 16 {
				group.Go(func() {
					err := w.Create(t.Context(), "results/aa/bb", memory([]byte{byte(k)}))
					if err == nil {
						won.Add(1)
					} else if !errors.Is(err, fs.ErrExist) {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if won.Load() != 1 {
				t.Errorf("%d of 16 created the same object", won.Load())
			}
		})
	}
}

// TestServerThatOverwrites checks that a server is refused that ignores If-None-Match.
func TestServerThatOverwrites(t *testing.T) {
	credentials(t)
	fake := newFakeS3()
	fake.ignoreConditions = true
	server := httptest.NewServer(fake)
	defer server.Close()
	address := "s3://bucket?endpoint=" + server.URL
	_, err := Open(t.Context(), address, Options{Retry: quick})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "If-None-Match") {
		t.Fatalf("a server that ignores conditions: %v", err)
	}
	open(t, address, Options{ReadOnly: true}) // it can be read from
}

// TestOpenErrors checks that a remote that cannot be says why.
func TestOpenErrors(t *testing.T) {
	credentials(t)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	dir := t.TempDir()
	other := filepath.Join(dir, "other.tar")
	check(t, os.WriteFile(other, nil, 0o666))
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o666))
	for address, want := range map[string]string{
		"":                                   "empty",
		"gs://bucket":                        "gs:// is none of",
		"s3:///prefix":                       "s3://BUCKET",
		"s3://bucket?secret=x":               "secret= is none of the settings",
		"s3://bucket?endpoint=" + server.URL: "writing regft-remote",
		"http://":                            "http://HOST",
		server.URL:                           "there is no remote of regft",
		other:                                "tar file of something else",
		file:                                 "it is a file",
		"file://host/path":                   "host",
	} {
		_, err := Open(t.Context(), address, Options{Retry: Retry{First: 1, Longest: 1, Total: 1, Stall: time.Second}})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("opening %q: %v: want it to say %q", address, err, want)
		}
	}
}

// A sample is a store with results, and what they are.
type sample struct {
	store   *cache.Dir
	items   []Item
	results map[cache.ActionID]*cache.Result
}

func newStore(t *testing.T) *cache.Dir {
	t.Helper()
	d, err := cache.OpenDir(t.TempDir())
	check(t, err)
	return d
}

// newSample makes n results with files of several sizes, some of them shared.
func newSample(t *testing.T, n int) *sample {
	t.Helper()
	s := &sample{store: newStore(t), results: map[cache.ActionID]*cache.Result{}}
	for k := range n {
		key := "stage toy v1\nparam k " + string(rune('a'+k)) + "\n"
		s.add(t, key, storetest.Content(uint64(k), 1000+k), storetest.Content(uint64(k%3), 2<<20))
	}
	return s
}

func (s *sample) add(t *testing.T, key string, contents ...[]byte) *cache.Result {
	t.Helper()
	var files []cache.File
	for k, content := range contents {
		d, size, err := s.store.Put(t.Context(), bytes.NewReader(content))
		check(t, err)
		files = append(files, cache.File{Name: string(rune('a' + k)), Digest: d, Size: size})
	}
	m, err := cache.NewManifest(files)
	check(t, err)
	out, err := s.store.PutManifest(t.Context(), m)
	check(t, err)
	log, _, err := s.store.Put(t.Context(), strings.NewReader("log of "+key))
	check(t, err)
	r := &cache.Result{Key: key, Action: cache.NewActionID(key), Outputs: map[string]cache.Digest{"": out}, Metrics: map[string]any{"top1": 0.5}, Log: log, Seconds: 1}
	check(t, s.store.PutResult(t.Context(), r))
	recipe := cache.NewRecipeID("recipe of " + key)
	check(t, s.store.PutRecipe(t.Context(), recipe, r.Action))
	s.items, s.results[r.Action] = append(s.items, Item{r.Action, recipe}), r
	return r
}

// whole checks that store has every result of s, with its content, by itself.
func (s *sample) whole(t *testing.T, store *cache.Dir) {
	t.Helper()
	store, err := cache.OpenDir(store.Root()) // without upstream
	check(t, err)
	for _, item := range s.items {
		want := s.results[item.Action]
		got, err := store.Result(t.Context(), item.Action)
		check(t, err)
		if got.Outputs[""] != want.Outputs[""] || got.Metrics["top1"] != 0.5 || got.Remote != "" {
			t.Fatalf("result of %s: %+v, want %+v", item.Action, got, want)
		}
		m, err := store.Manifest(t.Context(), got.Outputs[""])
		check(t, err)
		for _, d := range append(digestsOf(m), got.Log) {
			body, _, err := store.Open(t.Context(), d)
			check(t, err)
			_, err = io.Copy(io.Discard, body) // it is checked as it is read
			check(t, errors.Join(err, body.Close()))
		}
		action, err := store.Recipe(t.Context(), item.Recipe)
		if action != item.Action || err != nil {
			t.Fatalf("recipe: %s, %v", action, err)
		}
	}
	audit, err := store.Audit(t.Context())
	if err != nil || len(audit.Findings) > 0 {
		t.Fatalf("audit: %+v, %v", audit, err)
	}
}

func digestsOf(m cache.Manifest) []cache.Digest {
	var out []cache.Digest
	for _, f := range m.Files {
		out = append(out, f.Digest)
	}
	return out
}

// withUpstream gives an empty store that asks r.
func withUpstream(t *testing.T, r *Remote) *cache.Dir {
	d := newStore(t)
	d.SetUpstream(NewUpstream(r, func(text string) { t.Log(text) }))
	return d
}

// TestPushAndPull takes results through every kind of remote, read as it was
// written and, where it is a folder, over HTTP.
func TestPushAndPull(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			s := newSample(t, 5)
			r := open(t, address, Options{})
			pushed, err := r.Push(t.Context(), s.store, s.items, nil)
			check(t, err)
			if pushed.Results != 5 || pushed.There != 0 || pushed.Blobs != 5+3+5+5 || len(pushed.Differ)+len(pushed.Lacking) > 0 {
				t.Errorf("pushed %+v", pushed)
			}
			again, err := r.Push(t.Context(), s.store, s.items, nil)
			check(t, err)
			if again.Results != 0 || again.There != 5 || again.Blobs != 0 {
				t.Errorf("pushed again %+v", again)
			}
			check(t, r.Close())
			readers := []string{address}
			if name == "folder" {
				server := httptest.NewServer(http.FileServer(http.Dir(address)))
				defer server.Close()
				readers = append(readers, server.URL)
			}
			for _, from := range readers {
				r := open(t, from, Options{ReadOnly: true})
				store := withUpstream(t, r)
				pulled, err := Pull(t.Context(), store, s.items, nil)
				check(t, err)
				if pulled.Results != 5 || len(pulled.Lacking) > 0 {
					t.Errorf("pulled from %s: %+v", from, pulled)
				}
				s.whole(t, store)
			}
		})
	}
}

// TestReadOnly checks that nothing is written in that mode.
func TestReadOnly(t *testing.T) {
	s := newSample(t, 1)
	dir := filepath.Join(t.TempDir(), "shared")
	check(t, open(t, dir, Options{}).Close())
	r := open(t, dir, Options{ReadOnly: true})
	if _, err := r.Push(t.Context(), s.store, s.items, nil); !errors.Is(err, fs.ErrPermission) || !r.ReadOnly() {
		t.Errorf("push to a read-only remote: %v", err)
	}
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		if e.Name() != markerName && e.Name() != tempFolder {
			t.Errorf("%s was written", e.Name())
		}
	}
}

// TestOtherBytes checks that of two results of one action the first stays, and
// that the second pusher is told.
func TestOtherBytes(t *testing.T) {
	a, b := newSample(t, 0), newSample(t, 0)
	first := a.add(t, "stage toy v1\n", []byte("one"))
	b.add(t, "stage toy v1\n", []byte("other"))
	r := open(t, filepath.Join(t.TempDir(), "shared"), Options{})
	_, err := r.Push(t.Context(), a.store, a.items, nil)
	check(t, err)
	pushed, err := r.Push(t.Context(), b.store, b.items, nil)
	check(t, err)
	if len(pushed.Differ) != 1 || pushed.Differ[0] != first.Action {
		t.Errorf("pushed %+v: want it to name %s", pushed, first.Action)
	}
	store := withUpstream(t, r)
	_, err = Pull(t.Context(), store, a.items, nil)
	check(t, err)
	a.whole(t, store)
}

// TestLacking checks that a result is not pushed whose content is gone.
func TestLacking(t *testing.T) {
	s := newSample(t, 3)
	m, err := s.store.Manifest(t.Context(), s.results[s.items[1].Action].Outputs[""])
	check(t, err)
	path, err := s.store.Path(t.Context(), m.Files[0].Digest)
	check(t, err)
	check(t, os.Remove(path))
	dir := filepath.Join(t.TempDir(), "shared")
	pushed, err := open(t, dir, Options{}).Push(t.Context(), s.store, s.items, nil)
	check(t, err)
	if pushed.Results != 2 || len(pushed.Lacking) != 1 || pushed.Lacking[0] != s.items[1].Action {
		t.Errorf("pushed %+v", pushed)
	}
	if _, err := os.Stat(filepath.Join(dir, objectName(resultsFolder, s.items[1].Action))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record without its content: %v", err)
	}
}

// TestDamage changes objects of a remote: what is damaged is never taken, is
// named, and is mended by who has it.
func TestDamage(t *testing.T) {
	for _, what := range []string{blobsFolder, resultsFolder, recipesFolder} {
		for name, damage := range map[string]func(content []byte) []byte{
			"flipped": func(c []byte) []byte { c = bytes.Clone(c); c[len(c)/2] ^= 1; return c },
			"cut":     func(c []byte) []byte { return c[:len(c)/2] },
			"emptied": func([]byte) []byte { return nil },
		} {
			t.Run(what+" "+name, func(t *testing.T) {
				s := newSample(t, 1)
				dir := filepath.Join(t.TempDir(), "shared")
				r := open(t, dir, Options{})
				_, err := r.Push(t.Context(), s.store, s.items, nil)
				check(t, err)
				damageAll(t, filepath.Join(dir, what), damage)
				var told []string
				var mu sync.Mutex
				store := newStore(t)
				store.SetUpstream(NewUpstream(r, func(text string) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, text)
				}))
				pulled, err := Pull(t.Context(), store, s.items, nil)
				check(t, err)
				if what != recipesFolder && (pulled.Results != 0 || len(pulled.Lacking) != 1) {
					t.Errorf("pulled %+v from a damaged remote", pulled)
				}
				if what == blobsFolder && (len(told) == 0 || !strings.Contains(told[0], "is damaged, and not used")) {
					t.Errorf("told %q", told)
				}
				audit, err := store.Audit(t.Context())
				if err != nil || len(audit.Findings) > 0 {
					t.Errorf("audit: %+v, %v", audit, err)
				}
				_, err = r.Push(t.Context(), s.store, s.items, nil)
				check(t, err)
				again := withUpstream(t, r)
				if what == blobsFolder {
					for range 4 { // each finds another blob broken, as long as there are any
						_, err = Pull(t.Context(), withUpstream(t, r), s.items, nil)
						check(t, err)
						_, err = r.Push(t.Context(), s.store, s.items, nil)
						check(t, err)
					}
				}
				_, err = Pull(t.Context(), again, s.items, nil)
				check(t, err)
				s.whole(t, again)
			})
		}
	}
}

func damageAll(t *testing.T, dir string, damage func([]byte) []byte) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.Remove(path), os.WriteFile(path, damage(content), 0o666))
	}))
}

// TestRemoteGone checks that work goes on where the remote does not answer any
// more, that it is told once, and soon.
func TestRemoteGone(t *testing.T) {
	credentials(t)
	server := httptest.NewServer(newFakeS3())
	var told, waited atomic.Int32
	r, err := Open(t.Context(), "s3://bucket?endpoint="+server.URL, Options{
		Retry:   Retry{First: time.Millisecond, Longest: 10 * time.Millisecond, Total: 200 * time.Millisecond, Stall: time.Second},
		Waiting: func(error) { waited.Add(1) }})
	check(t, err)
	defer r.Close()
	server.Close()
	store := newStore(t)
	store.SetUpstream(NewUpstream(r, func(string) { told.Add(1) }))
	for k := range 100 {
		if _, err := store.Result(t.Context(), cache.NewActionID(string(rune(k)))); !errors.Is(err, cache.ErrMiss) {
			t.Fatalf("a lookup without the remote: %v", err)
		}
	}
	if told.Load() != 1 {
		t.Errorf("told %d times that the remote is gone", told.Load())
	}
	if waited.Load() != 1 {
		t.Errorf("told %d times that it is waited for", waited.Load())
	}
}

// TestStall checks that an answer that stops coming is asked for again, and that
// cancelling ends at once.
func TestStall(t *testing.T) {
	content := storetest.Content(1, 3<<20)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 && r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "3145728")
			_, _ = w.Write(content[:1<<20])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer server.Close()
	u, err := parse(server.URL)
	check(t, err)
	b, err := openHTTP(t.Context(), u)
	check(t, err)
	retry := quick
	retry.Stall = 100 * time.Millisecond
	r := newRemote("test", b, retry)
	defer r.Close()
	store := newStore(t)
	check(t, r.fetch(t.Context(), store, cache.SumBytes(content)))

	asked.Store(-1000)
	r.retry.Stall = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err = r.fetch(ctx, newStore(t), cache.SumBytes(content))
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > time.Second {
		t.Errorf("a cancelled fetch gave %v after %s", err, took)
	}
}
