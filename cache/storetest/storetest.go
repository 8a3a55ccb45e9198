// Package storetest holds what every cache.Store must do. A new store gets the
// whole suite from one call of Run.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"regft/cache"
)

// Run tests the stores that open gives, each empty and for one test alone.
func Run(t *testing.T, open func(t *testing.T) cache.Store) {
	tests := map[string]func(*testing.T, cache.Store){
		"content comes back":            testContent,
		"content put at once by many":   testConcurrentPut,
		"absent entries are misses":     testAbsent,
		"a failed put leaves nothing":   testFailedPut,
		"a cancelled put ends soon":     testCancelledPut,
		"results come back":             testResults,
		"the last result counts":        testReplacedResult,
		"results need their outputs":    testResultNeedsOutputs,
		"results are of their keys":     testResultOfAnotherKey,
		"recipes come back":             testRecipes,
		"one holder of a lock":          testLockExcludes,
		"locks of two actions":          testLocksIndependent,
		"waiting for a lock can end":    testLockCancelled,
		"unlocking again does nothing":  testUnlockTwice,
		"cancelled lookups say so":      testCancelledLookups,
		"the end of content is checked": testReadToEnd,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// sizes are around every boundary that a store could have.
var sizes = []int{0, 1, 4095, 4096, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 7}

// Content gives size bytes that depend on seed, for tests that need many contents.
func Content(seed uint64, size int) []byte {
	content := make([]byte, size)
	state := seed
	for i := range content {
		state = state*6364136223846793005 + 1442695040888963407
		content[i] = byte(state >> 56)
	}
	return content
}

func put(t testing.TB, s cache.Store, content []byte) cache.Digest {
	t.Helper()
	digest, size, err := s.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if want := cache.SumBytes(content); digest != want || size != int64(len(content)) {
		t.Fatalf("Put gave %s of %d bytes, want %s of %d", digest, size, want, len(content))
	}
	return digest
}

func checkContent(t testing.TB, s cache.Store, want []byte) {
	t.Helper()
	digest := cache.SumBytes(want)
	if has, err := s.Has(t.Context(), digest); !has || err != nil {
		t.Fatalf("Has after Put: %v, %v", has, err)
	}
	content, size, err := s.Open(t.Context(), digest)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer content.Close()
	got, err := io.ReadAll(content)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	if !bytes.Equal(got, want) || size != int64(len(want)) {
		t.Fatalf("Open gave %d bytes (%d announced) that are not the %d put", len(got), size, len(want))
	}
}

func checkMiss(t testing.TB, err error) {
	t.Helper()
	var miss *cache.MissError
	if !errors.Is(err, cache.ErrMiss) || !errors.As(err, &miss) || miss.Entry == "" || miss.Reason == "" {
		t.Fatalf("got %v, want a miss with entry and reason", err)
	}
}

func testContent(t *testing.T, s cache.Store) {
	for i, size := range sizes {
		content := Content(uint64(i), size)
		for range 2 { // the second time it is there already
			put(t, s, content)
			checkContent(t, s, content)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "content")
		put(t, s, content)
		checkContent(t, s, content)
	})
}

func testConcurrentPut(t *testing.T, s cache.Store) {
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 10 {
				content := Content(uint64(i%5), 1000*(worker%2)+i%5)
				if _, _, err := s.Put(t.Context(), iotest.HalfReader(bytes.NewReader(content))); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	group.Wait()
	for i := range 5 {
		checkContent(t, s, Content(uint64(i), i))
		checkContent(t, s, Content(uint64(i), 1000+i))
	}
}

func testAbsent(t *testing.T, s cache.Store) {
	digest := cache.SumBytes([]byte("never put"))
	if has, err := s.Has(t.Context(), digest); has || err != nil {
		t.Errorf("Has: %v, %v", has, err)
	}
	_, _, err := s.Open(t.Context(), digest)
	checkMiss(t, err)
	_, err = s.Result(t.Context(), cache.NewActionID("never put"))
	checkMiss(t, err)
	_, err = s.Recipe(t.Context(), cache.NewRecipeID("never put"))
	checkMiss(t, err)
}

func testFailedPut(t *testing.T, s cache.Store) {
	broken := errors.New("the network is gone")
	content := Content(1, 5000)
	_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("Put: %v, want the reader's error", err)
	}
	if has, err := s.Has(t.Context(), cache.SumBytes(content)); has || err != nil {
		t.Errorf("Has of what was read before the failure: %v, %v", has, err)
	}
}

// endless gives zeros, and cancels after the first of them.
type endless struct{ cancel context.CancelFunc }

func (r endless) Read(p []byte) (int, error) {
	r.cancel()
	clear(p)
	return len(p), nil
}

func testCancelledPut(t *testing.T, s cache.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err := s.Put(ctx, endless{cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want %v", err, context.Canceled)
	}
}

// newResult puts the outputs of a result of keyText, and gives the result.
func newResult(t *testing.T, s cache.Store, keyText string) *cache.Result {
	chosen := 3
	return &cache.Result{
		Action:  cache.NewActionID(keyText),
		Key:     keyText,
		Outputs: map[string]cache.Digest{"": put(t, s, []byte("model of "+keyText)), "scores": put(t, s, nil)},
		Kinds:   map[string]string{"": "classifier", "scores": "scores"},
		Metrics: map[string]any{
			"val": map[string]any{"top1": 0.6, "loss": math.NaN()},
			"all": []any{math.Inf(1), math.Inf(-1), 1e-5, "text", nil, true},
		},
		Chosen:   &chosen,
		Seconds:  1.25,
		Log:      put(t, s, []byte("log of "+keyText)),
		Numerics: "go/avx2",
		Version:  "v1",
		Created:  time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC),
	}
}

func checkResult(t *testing.T, s cache.Store, want *cache.Result) {
	t.Helper()
	got, err := s.Result(t.Context(), want.Action)
	if err != nil {
		t.Fatalf("Result: %v", err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateComparable(cache.Digest{}, cache.ActionID{})); diff != "" {
		t.Fatalf("Result (-put +got):\n%s", diff)
	}
}

func putResult(t *testing.T, s cache.Store, r *cache.Result) {
	t.Helper()
	if err := s.PutResult(t.Context(), r); err != nil {
		t.Fatalf("PutResult: %v", err)
	}
}

func testResults(t *testing.T, s cache.Store) {
	full := newResult(t, s, "stage finetune v1\nparam lr 1e-05\n")
	minimal := &cache.Result{Action: cache.NewActionID(""), Key: ""}
	for _, r := range []*cache.Result{full, minimal} {
		putResult(t, s, r)
		checkResult(t, s, r)
	}
	checkResult(t, s, full)
}

func testReplacedResult(t *testing.T, s cache.Store) {
	r := newResult(t, s, "stage sum v1\n")
	putResult(t, s, r)
	r.Seconds, r.Chosen = 7, nil
	putResult(t, s, r)
	checkResult(t, s, r)
}

func testResultNeedsOutputs(t *testing.T, s cache.Store) {
	absent := cache.SumBytes([]byte("never put"))
	for name, lose := range map[string]func(*cache.Result){
		"output": func(r *cache.Result) { r.Outputs["scores"] = absent },
		"log":    func(r *cache.Result) { r.Log = absent },
	} {
		r := newResult(t, s, "stage that lost its "+name)
		lose(r)
		checkMiss(t, s.PutResult(t.Context(), r))
		_, err := s.Result(t.Context(), r.Action)
		checkMiss(t, err)
	}
}

func testResultOfAnotherKey(t *testing.T, s cache.Store) {
	r := newResult(t, s, "stage a")
	r.Key = "stage b"
	if err := s.PutResult(t.Context(), r); err == nil {
		t.Error("PutResult accepted a key text of another action")
	}
}

func testRecipes(t *testing.T, s cache.Store) {
	recipe, other := cache.NewRecipeID("recipe"), cache.NewRecipeID("other recipe")
	for _, key := range []string{"first", "second", "second"} {
		action := cache.NewActionID(key)
		if err := s.PutRecipe(t.Context(), recipe, action); err != nil {
			t.Fatalf("PutRecipe: %v", err)
		}
		got, err := s.Recipe(t.Context(), recipe)
		if got != action || err != nil {
			t.Fatalf("Recipe: %s, %v, want %s", got, err, action)
		}
	}
	_, err := s.Recipe(t.Context(), other)
	checkMiss(t, err)
}

func lock(t *testing.T, s cache.Store, action cache.ActionID) func() error {
	t.Helper()
	unlock, err := s.Lock(t.Context(), action)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	return unlock
}

func testLockExcludes(t *testing.T, s cache.Store) {
	action := cache.NewActionID("contended")
	// Atomic: a lock of the file system orders nothing that -race knows of.
	var holders, total atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				unlock, err := s.Lock(t.Context(), action)
				if err != nil {
					t.Errorf("Lock: %v", err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				total.Add(1)
				holders.Add(-1)
				if err := unlock(); err != nil {
					t.Errorf("unlock: %v", err)
				}
			}
		})
	}
	group.Wait()
	if total.Load() != 40 {
		t.Errorf("%d turns under the lock, want 40", total.Load())
	}
}

func testLocksIndependent(t *testing.T, s cache.Store) {
	unlockA := lock(t, s, cache.NewActionID("a"))
	unlockB := lock(t, s, cache.NewActionID("b"))
	if err := errors.Join(unlockA(), unlockB()); err != nil {
		t.Errorf("unlock: %v", err)
	}
}

func testLockCancelled(t *testing.T, s cache.Store) {
	action := cache.NewActionID("held")
	unlock := lock(t, s, action)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := s.Lock(ctx, action); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock of a held lock: %v, want %v", err, context.DeadlineExceeded)
	}
	if waited := time.Since(start); waited > time.Second {
		t.Errorf("waiting ended %v after it was cancelled", waited)
	}
	if err := unlock(); err != nil {
		t.Errorf("unlock: %v", err)
	}
	if err := lock(t, s, action)(); err != nil {
		t.Errorf("unlock: %v", err)
	}
}

func testUnlockTwice(t *testing.T, s cache.Store) {
	action := cache.NewActionID("twice")
	first := lock(t, s, action)
	if err := first(); err != nil {
		t.Fatalf("unlock: %v", err)
	}
	defer lock(t, s, action)()
	if err := first(); err != nil {
		t.Errorf("unlocking again: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, action); err == nil {
		t.Error("unlocking again released the next holder's lock")
	}
}

func testCancelledLookups(t *testing.T, s cache.Store) {
	r := newResult(t, s, "stage there")
	putResult(t, s, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, resultErr := s.Result(ctx, r.Action)
	_, recipeErr := s.Recipe(ctx, cache.NewRecipeID("there"))
	_, lockErr := s.Lock(ctx, r.Action)
	for _, err := range []error{resultErr, recipeErr, lockErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
}

func testReadToEnd(t *testing.T, s cache.Store) {
	for i, size := range sizes {
		want := Content(uint64(i), size)
		content, _, err := s.Open(t.Context(), put(t, s, want))
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		if err := iotest.TestReader(iotest.OneByteReader(io.LimitReader(content, 100)), want[:min(size, 100)]); err != nil {
			t.Errorf("reading the beginning of %d bytes: %v", size, err)
		}
		if err := content.Close(); err != nil {
			t.Errorf("closing before the end: %v", err)
		}
	}
}
