package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"regft/cache"
)

// collectForever collects all that is old, again and again.
func collectForever(d *cache.Dir, _ string) error {
	for {
		g, err := d.FindGarbage(context.Background(), cache.Keep{})
		if err != nil {
			return err
		}
		fmt.Println("found", len(g.Results.Paths))
		if _, err := d.Collect(context.Background(), g); err != nil {
			return err
		}
	}
}

// TestAKilledCollectionLeavesBeforeOrAfter kills collections of 40 results at random moments: each result is there
// with all its content, or gone.
func TestAKilledCollectionLeavesBeforeOrAfter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	between := 0
	for range 4 {
		d := openDir(t, t.TempDir())
		var all []*cache.Result
		for i := range 40 {
			all = append(all, putResult(t, d, fmt.Sprint("key", i), fmt.Append(nil, "content", i), fmt.Append(nil, "shared", i%7)))
		}
		makeOld(t, d, 48*time.Hour)
		p := start(t, "collect", d.Root(), "")
		p.lines.Scan()
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait() // killed
		left := checkWhole(t, openDir(t, d.Root()), all)
		if left > 0 && left < len(all) {
			between++
		}
		again := openDir(t, d.Root())
		collect(t, again, cache.Keep{})
		if files, err := os.ReadDir(d.Root() + "/blobs"); err != nil || countFiles(t, d, "blobs", files) != 0 {
			t.Errorf("the next collection leaves content, %v", err)
		}
	}
	t.Logf("%d of 4 were killed among the results", between)
}

func countFiles(t *testing.T, d *cache.Dir, folder string, entries []os.DirEntry) int {
	t.Helper()
	n := 0
	for _, e := range entries {
		files, err := os.ReadDir(d.Root() + "/" + folder + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		n += len(files)
	}
	return n
}

// checkWhole counts the results that are there, and fails the test where one lacks content.
func checkWhole(t *testing.T, d *cache.Dir, all []*cache.Result) int {
	t.Helper()
	left := 0
	for _, r := range all {
		got, err := d.Result(t.Context(), r.Action)
		if errors.Is(err, cache.ErrMiss) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		left++
		wholeContent(t, d, got)
	}
	return left
}

// TestResultsPutBesideCollections puts results of old content while another process collects.
func TestResultsPutBesideCollections(t *testing.T) {
	d := openDir(t, t.TempDir())
	var contents [][]byte
	for i := range 30 {
		contents = append(contents, fmt.Append(nil, "content", i))
	}
	p := start(t, "collect", d.Root(), "")
	var fresh []*cache.Result
	for round := range 4 {
		for _, c := range contents {
			put(t, d, c)
		}
		then := time.Now().Add(-48 * time.Hour)
		for _, c := range contents {
			// It may have been taken already.
			_ = os.Chtimes(blobPath(d, cache.SumBytes(c)), then, then)
		}
		for i, c := range contents {
			fresh = append(fresh, putResult(t, d, fmt.Sprint("key", round, i), c))
		}
		if left := checkWhole(t, d, fresh); left != len(fresh) {
			t.Fatalf("%d of %d results are there", left, len(fresh))
		}
		// What the next round makes old, only records of before refer to.
		for _, r := range fresh {
			_ = os.Remove(resultPath(d, r.Action))
		}
		fresh = nil
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed
}

func resultPath(d *cache.Dir, action cache.ActionID) string {
	name := action.String()[len("sha256:"):]
	return d.Root() + "/results/" + name[:2] + "/" + name[2:]
}
