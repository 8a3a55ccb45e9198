package engine

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDrafts plans a sweep with one worker and with several: the nodes, their recipes and what they take are the same.
func TestDrafts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spec.yaml")
	text := strings.NewReplacer("to: 1000,", "to: 30,", "to: 100,", "to: 10,").Replace(hundredThousand)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	store := newStore(t)
	var first []string
	for _, workers := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(workers)
		p := loadPath(t, path).plan(store, Options{})
		runtime.GOMAXPROCS(before)
		var lines []string
		for _, n := range p.Nodes {
			line := n.Name() + " " + n.Recipe.String()
			for _, in := range n.inputs {
				line += " " + in.label
			}
			for _, taken := range n.takes {
				line += " " + taken.Name()
			}
			lines = append(lines, line)
		}
		if len(lines) != 1+30+300+30+1 {
			t.Fatalf("%d nodes", len(lines))
		}
		if first == nil {
			first = lines
		}
		if diff := cmp.Diff(first, lines); diff != "" {
			t.Errorf("with %d workers (-one +several):\n%s", workers, diff)
		}
	}
}
