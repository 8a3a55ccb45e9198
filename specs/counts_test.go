package specs_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"regft/cache"
	"regft/specs"
	"regft/stages"

	"github.com/google/go-cmp/cmp"

	_ "regft/specs/internal/standin"
	_ "regft/stages/toy"
)

// counted is what counts.json says of a spec.
type counted struct {
	Points int                     `json:"points"`
	Stages map[string]countedStage `json:"stages"`
	Cells  map[string]int          `json:"table_cells"`
}

type countedStage struct {
	Uses  string   `json:"uses"`
	Nodes int      `json:"nodes"`
	Over  []string `json:"over"`
}

// TestCounts expands experiments of the literature to the numbers that two other planners agree on.
func TestCounts(t *testing.T) {
	folder := filepath.Join("..", "testdata", "specs")
	text, err := os.ReadFile(filepath.Join(folder, "counts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]counted
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, want := range want {
		t.Run(name, func(t *testing.T) {
			got := count(mustExpand(t, filepath.Join(folder, name)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("counts differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAblation counts the example of the language's description, with the numbers that it gives.
func TestAblation(t *testing.T) {
	got := count(mustExpand(t, filepath.Join("testdata", "ablation.yaml")))
	nodes := map[string]int{}
	for name, s := range got.Stages {
		nodes[name] = s.Nodes
	}
	want := map[string]int{"images": 10, "zeroshot": 1, "val": 1, "test": 1, "tuned": 45, "merged": 216, "scores": 262, "best": 66, "final": 66}
	if diff := cmp.Diff(want, nodes); diff != "" {
		t.Errorf("nodes differ (-want +got):\n%s", diff)
	}
	if got.Points != 306 || got.Cells["main"] != 6 {
		t.Errorf("%d points and %d cells, want 306 and 6", got.Points, got.Cells["main"])
	}
	if diff := cmp.Diff([]string{"style", "steps", "guidance", "method", "draw"}, got.Stages["tuned"].Over); diff != "" {
		t.Errorf("tuned is over other axes (-want +got):\n%s", diff)
	}
}

func mustExpand(t testing.TB, path string, sets ...string) *specs.Expansion {
	t.Helper()
	s, problems := specs.Load(path, sets)
	if problems.HasErrors() {
		t.Fatalf("loading %s:\n%v", path, problems)
	}
	e, problems := s.Expand(context.Background())
	if problems.HasErrors() {
		t.Fatalf("expanding %s:\n%v", path, problems)
	}
	return e
}

// count counts as regft plan does: distinct nodes that something needs, each of the stage's own type.
func count(e *specs.Expansion) counted {
	nodes := map[*specs.Instance][]string{}
	out := counted{Points: len(e.Points), Stages: map[string]countedStage{}, Cells: map[string]int{}}
	distinct := map[string]map[string]bool{}
	for _, i := range e.Instances {
		nodes[i] = keys(i, nodes)
		if !i.Needed || copyOf(i) != nil {
			continue
		}
		if distinct[i.Stage.Name] == nil {
			distinct[i.Stage.Name] = map[string]bool{}
		}
		for _, k := range nodes[i] {
			distinct[i.Stage.Name][k] = true
		}
	}
	for _, s := range e.Spec.Stages {
		out.Stages[s.Name] = countedStage{Uses: s.Type.Name, Nodes: len(distinct[s.Name]), Over: append([]string{}, s.Over...)}
	}
	for name, cells := range e.Cells {
		out.Cells[name] = len(cells)
	}
	return out
}

// keys are the identities of i's nodes: type, parameters and inputs.
func keys(i *specs.Instance, nodes map[*specs.Instance][]string) []string {
	if parent := copyOf(i); parent != nil {
		return nodes[parent]
	}
	common := []any{i.Stage.Type.Name, i.Stage.Type.Params(i.Runner)}
	var each []any
	for k, b := range i.Stage.Type.Inputs(i.Runner) {
		in := []any{b.Field.Name, b.Key, b.Path}
		if from := i.Refs[k].Instance; from != nil {
			in = append(in, nodes[from], i.Refs[k].Output)
		}
		if b.Field.Each {
			each = append(each, in)
		} else {
			common = append(common, in)
		}
	}
	if each == nil {
		return []string{digest(common)}
	}
	var out []string
	for _, e := range each {
		out = append(out, digest([]any{common, e}))
	}
	return out
}

func digest(v any) string { return cache.SumBytes([]byte(stages.CanonicalJSON(v))).String() }

func copyOf(i *specs.Instance) *specs.Instance {
	c, ok := i.Runner.(stages.Copier)
	if !ok || c.CopyOf() == "" {
		return nil
	}
	for k, b := range i.Stage.Type.Inputs(i.Runner) {
		if b.Field.Name == c.CopyOf() {
			return i.Refs[k].Instance
		}
	}
	return nil
}
