package regft_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/cache"
	"regft/engine"
	"regft/specs"
	_ "regft/stages/builtin"

	"github.com/mattn/go-runewidth"
)

// TestCounts plans the experiments of testdata/specs, written by a researcher, and compares points, nodes, axes and
// cells with those that two other planners agree on. Specs of the same kind can be put beside them.
func TestCounts(t *testing.T) {
	folder := filepath.Join("testdata", "specs")
	content, err := os.ReadFile(filepath.Join(folder, "counts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Points int
		Stages map[string]struct {
			Uses  string
			Nodes int
			Over  []string
		}
		Cells map[string]int `json:"table_cells"`
	}
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		t.Run(name, func(t *testing.T) {
			p := plan(t, filepath.Join(folder, name))
			fits(t, p)
			got := p.Counts()
			if got.Points != w.Points {
				t.Errorf("%d points, want %d", got.Points, w.Points)
			}
			for stage, w := range w.Stages {
				g := got.Stages[stage]
				if g == nil || g.Nodes != w.Nodes || g.Uses != w.Uses || !slices.Equal(g.Over, w.Over) {
					t.Errorf("stage %s: %+v, want %+v", stage, g, w)
				}
			}
			for table, cells := range w.Cells {
				if got.Tables[table] != cells {
					t.Errorf("table %s: %d cells, want %d", table, got.Tables[table], cells)
				}
			}
		})
	}
}

// TestExamplesFit plans the specs of examples/ and checks how wide their plans are.
func TestExamplesFit(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("examples", "*", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	planned := 0
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), "version: 1\n") {
			continue // what specs include
		}
		planned++
		t.Run(path, func(t *testing.T) { fits(t, plan(t, path)) })
	}
	if planned < 12 {
		t.Errorf("%d specs were planned", planned)
	}
}

// fits checks that the plan's table is at most 80 columns of a terminal wide.
func fits(t *testing.T, p *engine.Plan) {
	t.Helper()
	var table strings.Builder
	if err := p.WriteTable(t.Context(), &table); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if n := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func plan(t *testing.T, path string) *engine.Plan {
	t.Helper()
	spec, problems := specs.Load(path, nil)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	expansion, problems := spec.Expand(t.Context())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	store, err := cache.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.NewPlan(t.Context(), expansion, store, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
