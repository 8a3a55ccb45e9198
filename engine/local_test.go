package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestExecutorsBeginAtOnce: what killed runs left is removed by several executors that begin at once, and hinders none.
func TestExecutorsBeginAtOnce(t *testing.T) {
	store := newStore(t)
	root := filepath.Join(store.Root(), workFolder)
	for range 30 {
		for k := range 20 {
			left := filepath.Join(root, fmt.Sprintf("left%d", k))
			if err := os.MkdirAll(filepath.Join(left, "1"), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(left+".lock", nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		var begin errgroup.Group
		for range 8 {
			begin.Go(func() error {
				l, err := NewLocal(store, 1<<20, "test")
				if err != nil {
					return err
				}
				return l.Close()
			})
		}
		if err := begin.Wait(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
			t.Fatalf("%v stay, %v", left, err)
		}
	}
}
