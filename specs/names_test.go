package specs_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regft/specs"

	"github.com/google/go-cmp/cmp"
)

// TestNamesAreInNoKey checks that names of stages, axes and values, and the order of axes, change no node.
func TestNamesAreInNoKey(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "ablation.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := nodeKeys(t, string(text))
	rename := func(pairs ...string) string {
		out := string(text)
		for i := 0; i < len(pairs); i += 2 {
			out = regexp.MustCompile(`(^|[^\w"./-]|stages\.|sweep\.|metrics\.)`+pairs[i]+`\b`).ReplaceAllString(out, "${1}"+pairs[i+1])
		}
		if out == string(text) {
			t.Fatalf("nothing is called %v", pairs)
		}
		return out
	}
	lines := strings.Split(string(text), "\n")
	guidance := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "    guidance:") })
	reordered := slices.Concat(lines[:guidance-2], []string{lines[guidance], lines[guidance-1], lines[guidance-2]}, lines[guidance+1:])
	for name, text := range map[string]string{
		"stages renamed":   rename("tuned", "trained", "val", "check", "best", "chosen_one"),
		"axes renamed":     rename("draw", "repeat", "guidance", "strength"),
		"values renamed":   strings.ReplaceAll(strings.ReplaceAll(string(text), "photo:", "picture:"), "style: photo", "style: picture"),
		"axes reordered":   strings.Join(reordered, "\n"),
		"the name changed": rename("regft-ablation", "other"),
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, nodeKeys(t, text)); diff != "" {
				t.Errorf("nodes differ (-want +got):\n%s", diff)
			}
		})
	}
}

// nodeKeys are the identities of all nodes that something needs, by what is in a key: type, parameters, inputs.
func nodeKeys(t *testing.T, text string) []string {
	t.Helper()
	nodes := map[*specs.Instance][]string{}
	all := map[string]bool{}
	for _, i := range mustExpand(t, writeSpec(t, text)).Instances {
		if parent := copyOf(i); parent != nil {
			nodes[i] = nodes[parent]
			continue
		}
		common := []any{i.Stage.Type.Name, i.Stage.Type.ParamLines(i.Runner, false)}
		parts := []any{}
		for k, b := range i.Stage.Type.Inputs(i.Runner) {
			in := []any{b.Field.Name}
			if from := i.Refs[k].Instance; from != nil {
				in = append(in, nodes[from])
			}
			if b.Field.Each {
				parts = append(parts, in)
			} else {
				common = append(common, in)
			}
		}
		if len(parts) == 0 {
			parts = []any{nil}
		}
		for _, p := range parts {
			key := digest([]any{common, p})
			nodes[i] = append(nodes[i], i.Stage.Type.Name+" "+key)
			all[i.Stage.Type.Name+" "+key] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func TestParamPlace(t *testing.T) {
	e := mustExpand(t, writeSpec(t, "version: 1\nstages:\n  s:\n    uses: const\n    with:\n      value: 1\n"))
	if p := e.Instances[0].ParamPlace("value"); p.Line != 6 || p.Column != 14 {
		t.Errorf("value is at %v", p)
	}
	if p := e.Instances[0].ParamPlace("size"); p.Line != 3 || p.Column != 3 {
		t.Errorf("what is not given is at %v", p)
	}
}
