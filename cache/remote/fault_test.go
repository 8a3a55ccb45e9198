package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"regft/cache"
)

// A faultyNetwork stands before a server and drops, delays, damages, cuts short
// and doubles what passes. Its faults follow from its seed and the order of
// requests.
type faultyNetwork struct {
	server http.Handler
	rate   float64

	mu  sync.Mutex
	rng *rand.Rand
}

// The faults. Each but the last happens to rate of the requests, together.
const (
	refused = iota // the connection ends before the request is handled
	lost           // … after: nobody learns of the answer
	slow           // a short delay
	busy           // 503
	doubled        // the request is handled twice
	mangled        // a byte of the request's content is another
	cut            // half of the answer comes
	damaged        // a byte of the answer is another
	faultless
)

func (n *faultyNetwork) fault() (fault, at int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rng.Float64() >= n.rate {
		return faultless, 0
	}
	return n.rng.IntN(faultless), n.rng.IntN(1 << 20)
}

func (n *faultyNetwork) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fault, at := n.fault()
	switch {
	case fault == refused:
		hangUp(w)
		return
	case fault == slow:
		time.Sleep(time.Duration(at%20) * time.Millisecond)
	case fault == busy:
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	case fault == doubled:
		n.handle(r, body)
	case fault == mangled && len(body) > 0 && r.Header.Get("X-Amz-Checksum-Sha256") != "":
		body = bytes.Clone(body)
		body[at%len(body)] ^= 0x40
	}
	answer := n.handle(r, body)
	content := answer.Body.Bytes()
	isContent := r.Method == http.MethodGet && len(content) > 0 && answer.Code < 300
	if fault == damaged && isContent {
		content = bytes.Clone(content)
		content[at%len(content)] ^= 0x40
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	if r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	}
	switch {
	case fault == lost:
		hangUp(w)
		return
	case fault == cut && isContent:
		content = content[:len(content)/2]
		defer hangUp(w)
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(content)
	if fault == cut {
		w.(http.Flusher).Flush()
	}
}

// handle lets the server answer the request.
func (n *faultyNetwork) handle(r *http.Request, body []byte) *httptest.ResponseRecorder {
	again := r.Clone(context.Background())
	again.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	n.server.ServeHTTP(answer, again)
	return answer
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		conn.Close()
	}
}

// A watchedServer is a fakeS3 that says when a rule of remotes is broken.
type watchedServer struct {
	*fakeS3
	mu     sync.Mutex
	broken []string
}

func newWatchedServer() *watchedServer {
	s := &watchedServer{fakeS3: newFakeS3()}
	s.wrote = func(key string, old, content []byte) {
		if err := s.judge(key, old, content); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.broken = append(s.broken, err.Error())
		}
	}
	return s
}

// judge refuses a record that replaces another, or comes before its content, and
// content under a name that is not its own.
func (s *watchedServer) judge(key string, old, content []byte) error {
	folder, name, _ := strings.Cut(key, "/")
	id := "sha256:" + strings.ReplaceAll(name, "/", "")
	switch folder {
	case blobsFolder:
		if cache.SumBytes(content).String() != id {
			return fmt.Errorf("%s holds other content", key)
		}
	case resultsFolder:
		if old != nil {
			return fmt.Errorf("%s was replaced", key)
		}
		var action cache.ActionID
		if err := action.UnmarshalText([]byte(id)); err != nil {
			return err
		}
		r, err := cache.DecodeResult(content, action)
		if err != nil {
			return err
		}
		return s.complete(r)
	}
	return nil
}

func (s *watchedServer) complete(r *cache.Result) error {
	needed := []cache.Digest{r.Log}
	for _, out := range r.Outputs {
		list, ok := s.objects[blobName(out)]
		if !ok {
			return fmt.Errorf("a record came before its list of files")
		}
		m, err := cache.DecodeManifest(list)
		if err != nil {
			return err
		}
		needed = append(needed, digestsOf(m)...)
	}
	for _, d := range needed {
		if _, ok := s.objects[blobName(d)]; !ok {
			return fmt.Errorf("a record came before %s", d)
		}
	}
	return nil
}

// faultSeeds is how many networks TestFaults tries; REGFT_FAULT_SEEDS sets more.
func faultSeeds(t *testing.T) uint64 {
	text := os.Getenv("REGFT_FAULT_SEEDS")
	if text == "" {
		return 8
	}
	n, err := strconv.ParseUint(text, 10, 32)
	check(t, err)
	return n
}

// TestFaults lets two push at once and one read meanwhile, over networks that
// fail in every way: no record comes before its content or replaces another,
// nothing wrong is taken, and once the network holds all that was pushed is there.
func TestFaults(t *testing.T) {
	credentials(t)
	for seed := range faultSeeds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			held := newWatchedServer()
			network := &faultyNetwork{server: held, rate: 0.15 + 0.02*float64(seed%10), rng: rand.New(rand.NewPCG(seed, 1))}
			server := httptest.NewServer(network)
			defer server.Close()
			address := "s3://bucket?endpoint=" + server.URL
			s := newSample(t, 8)
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() { pushUntilDone(t, address, s) })
			}
			group.Go(func() { readMeanwhile(t, address, s) })
			group.Wait()
			network.mu.Lock()
			network.rate = 0
			network.mu.Unlock()
			store := withUpstream(t, open(t, address, Options{ReadOnly: true}))
			pulled, err := Pull(t.Context(), store, s.items, nil)
			check(t, err)
			if pulled.Results != len(s.items) {
				t.Errorf("pulled %+v", pulled)
			}
			s.whole(t, store)
			for _, text := range held.broken {
				t.Error(text)
			}
		})
	}
}

// impatient is a Retry that gives up soon.
var impatient = Retry{First: time.Millisecond, Longest: 4 * time.Millisecond, Total: 150 * time.Millisecond, Stall: time.Second}

// pushUntilDone pushes again after each failure, as a user would.
func pushUntilDone(t *testing.T, address string, s *sample) {
	for range 50 {
		r, err := Open(t.Context(), address, Options{Retry: impatient})
		if err != nil {
			continue
		}
		pushed, err := r.Push(t.Context(), s.store, s.items, nil)
		if closed := r.Close(); closed != nil {
			t.Error(closed)
		}
		if err == nil {
			if len(pushed.Differ)+len(pushed.Lacking) > 0 {
				t.Errorf("pushed %+v", pushed)
			}
			return
		}
	}
	t.Error("50 pushes did not get through")
}

// readMeanwhile takes what it can get: each result is right, or a miss.
func readMeanwhile(t *testing.T, address string, s *sample) {
	for range 3 {
		r, err := Open(t.Context(), address, Options{ReadOnly: true, Retry: impatient})
		if err != nil {
			continue
		}
		store := newStore(t)
		store.SetUpstream(NewUpstream(r, func(string) {}))
		for _, item := range s.items {
			got, err := store.Result(t.Context(), item.Action)
			if errors.Is(err, cache.ErrMiss) {
				continue
			}
			if err != nil || got.Outputs[""] != s.results[item.Action].Outputs[""] {
				t.Errorf("result of %s: %+v, %v", item.Action, got, err)
			}
		}
		if _, err := Pull(t.Context(), store, s.items, nil); err != nil {
			t.Error(err)
		}
		audit, err := store.Audit(t.Context())
		if err != nil || len(audit.Findings) > 0 {
			t.Errorf("audit: %+v, %v", audit, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// FuzzRemoteRecord lets a remote hold anything as a record or recipe: it is a
// miss, or is of what it was asked for.
func FuzzRemoteRecord(f *testing.F) {
	key := "stage toy v1\n"
	action, recipe := cache.NewActionID(key), cache.NewRecipeID(key)
	text, err := cache.EncodeResult(&cache.Result{Key: key, Action: action, Metrics: map[string]any{"x": 1.5}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(cache.EncodeRecipe(recipe, action))
	f.Add([]byte("regft result 1 0000000000000000\n{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		held := newFakeS3()
		held.objects[objectName(resultsFolder, action)] = content
		held.objects[objectName(recipesFolder, recipe)] = content
		server := httptest.NewServer(held)
		defer server.Close()
		u, err := parse(server.URL + "/bucket")
		check(t, err)
		b, err := openHTTP(t.Context(), u)
		check(t, err)
		r := newRemote("test", b, quick)
		defer r.Close()
		up := NewUpstream(r, func(string) {})
		got, err := up.Result(t.Context(), action)
		if err == nil && (got.Action != action || got.Key != key) || err != nil && !errors.Is(err, cache.ErrMiss) {
			t.Errorf("result: %+v, %v", got, err)
		}
		if _, err := up.Recipe(t.Context(), recipe); err != nil && !errors.Is(err, cache.ErrMiss) {
			t.Errorf("recipe: %v", err)
		}
	})
}

// FuzzStudy decodes anything as a study: an error, or one whose files stay where
// they are unpacked.
func FuzzStudy(f *testing.F) {
	f.Add([]byte(`{"name":"s","id":"1","files":[{"name":"runs/s/1/plan.json","digest":"sha256:` + strings.Repeat("0", 64) + `","size":1}]}`))
	f.Add([]byte(`{"name":"s","id":"1","files":[{"name":"../x"}]}`))
	f.Add([]byte(`{"name":"s","id":"1","files":[{"name":".git/hooks/x"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := decodeStudy(content, cache.SumBytes(content))
		if err != nil {
			return
		}
		for _, file := range s.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Name)) || strings.HasPrefix(file.Name, ".") || strings.Contains(file.Name, "/.") {
				t.Errorf("file %q was accepted", file.Name)
			}
		}
	})
}
