package engine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"regft/cache"
)

// TestNothingLeaks runs many plans in one process, half of which have a node to execute.
func TestNothingLeaks(t *testing.T) {
	runs := 100
	if text := os.Getenv("REGFT_RUNS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("REGFT_RUNS: %v", err)
		}
		runs = n
	}
	root := newStore(t).Root()
	var goroutines, files int
	for k := range runs + 2 {
		store, err := cache.OpenDir(root)
		if err != nil {
			t.Fatal(err)
		}
		_, s, _ := chain(t, fmt.Sprint(k/2), "2").run(store, Options{}, RunOptions{})
		if s.Failed > 0 {
			t.Fatalf("run %d failed", k)
		}
		if k == 1 { // all that is made once is there
			goroutines, files = runtime.NumGoroutine(), openFiles(t)
		}
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines after %d runs, %d before", now, runs, goroutines)
	}
	if now := openFiles(t); now > files+2 {
		t.Errorf("%d open files after %d runs, %d before", now, runs, files)
	}
}

// openFiles counts the process's file descriptors, 0 where the system does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(entries)
}

// TestWorkersChangeNothing: the same actions give the same bytes whatever runs beside them.
func TestWorkersChangeNothing(t *testing.T) {
	var first map[cache.ActionID]map[string]cache.Digest
	for _, jobs := range []int{1, 2, 8} {
		p, s, _ := fan(t, 12, 0.001).run(newStore(t), Options{}, RunOptions{Jobs: jobs})
		if s.Executed != 13 {
			t.Fatalf("-j %d executed %d", jobs, s.Executed)
		}
		got := map[cache.ActionID]map[string]cache.Digest{}
		for _, n := range p.Nodes {
			got[n.Result.Action] = n.Result.Outputs
		}
		if first == nil {
			first = got
		}
		equal(t, fmt.Sprintf("results with -j %d", jobs), fmt.Sprint(got), fmt.Sprint(first))
	}
}
