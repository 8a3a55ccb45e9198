package specs_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regft/specs"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// TestAnyNamesAndOrder is TestNamesAreInNoKey for random small sweeps: what axes and stages are called, and which axis
// stands first, changes no node.
func TestAnyNamesAndOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(rt, "axes")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 3), n, n).Draw(rt, "sizes")
		factors := rapid.SliceOfN(rapid.IntRange(0, 2), n, n).Draw(rt, "factors")
		bound := rapid.IntRange(0, 3).Draw(rt, "bound")
		gathered := slices.Index(factors, 2)
		spec := func(names []string, model, sum string, order []int) string {
			var axes, terms []string
			for _, a := range order {
				axes = append(axes, fmt.Sprintf("%s: %v", names[a], strings.Join([]string{"[0", ", 1", ", 2"}[:sizes[a]], "")+"]"))
				if factors[a] > 0 {
					terms = append(terms, fmt.Sprintf("%d * sweep.%s", factors[a], names[a]))
				}
			}
			slices.Sort(terms) // only the order of axes changes
			gather := ""
			if gathered >= 0 {
				gather = "gather: [" + names[gathered] + "], "
			}
			return fmt.Sprintf("version: 1\nsweep:\n  axes: {%s}\n  where: sweep.%s + sweep.%s <= %d\nstages:\n  %s: {uses: const, with: {value: \"${%s}\"}}\n  %s: {uses: sum, %swith: {inputs: stages.%s}}\n",
				strings.Join(axes, ", "), names[0], names[1], bound, model, strings.Join(append(terms, "0"), " + "), sum, gather, model)
		}
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		plain := spec([]string{"a", "b", "c", "d"}, "m", "s", order)
		other := spec(rapid.Permutation([]string{"w", "x", "y", "z"}).Draw(rt, "names"), "z", "a", rapid.Permutation(order).Draw(rt, "order"))
		if diff := cmp.Diff(nodeKeys(t, plain), nodeKeys(t, other)); diff != "" {
			rt.Fatalf("nodes differ (-want +got):\n%s\n%s\n%s", diff, plain, other)
		}
	})
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
