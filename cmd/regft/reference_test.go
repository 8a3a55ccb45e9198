package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"regft/cache"
	"regft/engine"
	"regft/specs"

	"github.com/mattn/go-runewidth"
)

// TestReferencePlans plans every spec of the reference that is right, with the stage types of the program. Each plan's
// table fits 80 columns of a terminal, and has the nodes that the reference says.
func TestReferencePlans(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	store, err := cache.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	set := regexp.MustCompile(`(?m)^# set: (.*)$`)
	nodesClaimed := regexp.MustCompile(`(?m)^# expect: (\d+) nodes of (\S+)$`)
	planned, counted := 0, 0
	for _, m := range regexp.MustCompile("(?s)(?:<!-- file: (\\S+) -->\n)?```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		name, spec := m[1], m[2]
		if name == "" {
			name = "spec.yaml"
		}
		if err := os.WriteFile(name, []byte(spec), 0o666); err != nil {
			t.Fatal(err)
		}
		if m[1] != "" || strings.Contains(spec, "# refused: ") {
			continue
		}
		var sets []string
		for _, flag := range set.FindAllStringSubmatch(spec, -1) {
			sets = append(sets, flag[1])
		}
		s, found := specs.Load(name, sets)
		if found.HasErrors() {
			t.Errorf("%v in\n%s", found, spec)
			continue
		}
		e, found := s.Expand(t.Context())
		if found.HasErrors() {
			t.Errorf("%v in\n%s", found, spec)
			continue
		}
		plan, err := engine.NewPlan(t.Context(), e, store, engine.Options{})
		if err != nil {
			t.Errorf("%v in\n%s", err, spec)
			continue
		}
		var table strings.Builder
		if err := plan.WriteTable(t.Context(), &table); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(table.String()) {
			if n := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		for _, m := range nodesClaimed.FindAllStringSubmatch(spec, -1) {
			if got := plan.Counts().Stages[m[2]]; got == nil || strconv.Itoa(got.Nodes) != m[1] {
				t.Errorf("%s: got %+v, in\n%s", m[0], got, spec)
			}
			counted++
		}
		planned++
	}
	if planned < 15 || counted == 0 {
		t.Errorf("%d specs were planned, the nodes of %d stages counted", planned, counted)
	}
}
