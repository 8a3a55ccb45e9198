package specs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/specs"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A sweep is a random one, small enough to be expanded by definition.
type sweep struct {
	axes     [][]int       // values; axis i is called a<i>
	computed int           // axis whose values are those of the one before it, doubled; 0: none
	where    []term        // joined by &&
	exclude  [][]term      // each joined by ||
	include  []map[int]int // axis → value
	baseline map[int]int   // nil: none
	changed  int           // where: size(changed) <= changed; -1: none
}

// A term compares axis a with axis b, or with a number where b is negative.
type term struct {
	a, b, n int
	op      string
}

func (t term) String() string {
	right := fmt.Sprint(t.n)
	if t.b >= 0 {
		right = fmt.Sprintf("sweep.a%d", t.b)
	}
	return fmt.Sprintf("sweep.a%d %s %s", t.a, t.op, right)
}

func (t term) holds(p []int) bool {
	right := t.n
	if t.b >= 0 {
		right = p[t.b]
	}
	switch t.op {
	case "<":
		return p[t.a] < right
	case ">=":
		return p[t.a] >= right
	}
	return p[t.a]+0 != right
}

func drawSweep(t *rapid.T) sweep {
	s := sweep{changed: -1}
	n := rapid.IntRange(1, 4).Draw(t, "axes")
	for range n {
		s.axes = append(s.axes, rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 1, 4, rapid.ID[int]).Draw(t, "values"))
	}
	if n > 1 {
		s.computed = rapid.IntRange(0, n-1).Draw(t, "computed")
	}
	one := func() term {
		a := rapid.IntRange(0, n-1).Draw(t, "left")
		return term{a, rapid.IntRange(-1, n-1).Draw(t, "right"), rapid.IntRange(0, 7).Draw(t, "number"), rapid.SampledFrom([]string{"<", ">="}).Draw(t, "op")}
	}
	for range rapid.IntRange(0, 2).Draw(t, "conjuncts") {
		s.where = append(s.where, one())
	}
	for range rapid.IntRange(0, 2).Draw(t, "excludes") {
		s.exclude = append(s.exclude, []term{one(), one()})
	}
	for range rapid.IntRange(0, 2).Draw(t, "includes") {
		point := map[int]int{}
		for range rapid.IntRange(1, n).Draw(t, "fixed") {
			point[rapid.IntRange(0, n-1).Draw(t, "axis")] = rapid.IntRange(0, 9).Draw(t, "value")
		}
		s.include = append(s.include, point)
	}
	if rapid.Bool().Draw(t, "baseline") {
		s.baseline = map[int]int{}
		for i, values := range s.axes {
			if i != s.computed || i == 0 {
				s.baseline[i] = values[0]
			}
		}
		s.changed = rapid.IntRange(0, 2).Draw(t, "changed")
	}
	return s
}

// yaml writes s as a spec.
func (s sweep) yaml() string {
	var b strings.Builder
	b.WriteString("version: 1\nsweep:\n  axes:\n")
	for i, values := range s.axes {
		if i > 0 && i == s.computed {
			fmt.Fprintf(&b, "    a%d: ${[sweep.a%d, sweep.a%d * 2]}\n", i, i-1, i-1)
			continue
		}
		fmt.Fprintf(&b, "    a%d: %s\n", i, strings.ReplaceAll(fmt.Sprint(values), " ", ", "))
	}
	var where []string
	for _, t := range s.where {
		where = append(where, t.String())
	}
	if s.changed >= 0 {
		where = append(where, fmt.Sprintf("size(changed) <= %d", s.changed))
		b.WriteString("  baseline: {")
		for i, v := range s.baseline {
			fmt.Fprintf(&b, "a%d: %d, ", i, v)
		}
		b.WriteString("}\n")
	}
	if where != nil {
		fmt.Fprintf(&b, "  where: '%s'\n", strings.Join(where, " && "))
	}
	if s.exclude != nil {
		b.WriteString("  exclude:\n")
	}
	for _, e := range s.exclude {
		fmt.Fprintf(&b, "    - '%s || %s'\n", e[0], e[1])
	}
	if s.include != nil {
		b.WriteString("  include:\n")
	}
	for _, point := range s.include {
		b.WriteString("    - {")
		for i, v := range point {
			fmt.Fprintf(&b, "a%d: %d, ", i, v)
		}
		b.WriteString("}\n")
	}
	b.WriteString("stages: {c: {uses: const, with: {value: 1}}}\n")
	return b.String()
}

// values are those of axis i at a point whose first axes are p.
func (s sweep) values(p []int) []int {
	i := len(p)
	if i > 0 && i == s.computed {
		return []int{p[i-1], p[i-1] * 2}
	}
	return s.axes[i]
}

// points is the set of points by definition: the product, kept by where, less exclude, plus include.
func (s sweep) points() (points map[string]bool, excludesNothing, ambiguous bool) {
	points = map[string]bool{}
	removed := make([]bool, len(s.exclude))
	var product func(p []int, fixed map[int]int, each func([]int))
	product = func(p []int, fixed map[int]int, each func([]int)) {
		if len(p) == len(s.axes) {
			each(p)
			return
		}
		values := s.values(p)
		if v, given := fixed[len(p)]; given {
			values = []int{v}
		} else if len(p) > 0 && len(p) == s.computed && values[0] == values[1] {
			ambiguous = true // 0 and 0: two values with one key
		}
		for _, v := range values {
			product(append(slices.Clone(p), v), fixed, each)
		}
	}
	product(nil, nil, func(p []int) {
		for _, t := range s.where {
			if !t.holds(p) {
				return
			}
		}
		if s.changed >= 0 && s.differences(p) > s.changed {
			return
		}
		keep := true
		for k, e := range s.exclude {
			if e[0].holds(p) || e[1].holds(p) {
				removed[k], keep = true, false
			}
		}
		if keep {
			points[fmt.Sprint(p)] = true
		}
	})
	kept := len(points) > 0 || slices.Contains(removed, true)
	for _, point := range s.include {
		product(nil, point, func(p []int) { points[fmt.Sprint(p)] = true })
	}
	for k, e := range s.exclude { // what a computed axis says may change: a warning
		removed[k] = removed[k] || s.computed > 0 && (s.mentionsComputed(e[0]) || s.mentionsComputed(e[1]))
	}
	return points, slices.Contains(removed, false) || !kept || len(points) == 0, ambiguous
}

func (s sweep) mentionsComputed(t term) bool { return t.a == s.computed || t.b == s.computed }

func (s sweep) differences(p []int) int {
	n := 0
	for i, v := range s.baseline {
		if p[i] != v {
			n++
		}
	}
	return n
}

// TestPointsByDefinition compares the enumeration, which judges conditions early and by tables, with the definition.
func TestPointsByDefinition(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSweep(rt)
		path := filepath.Join(dir, "spec.yaml")
		if err := os.WriteFile(path, []byte(s.yaml()), 0o666); err != nil {
			rt.Fatal(err)
		}
		want, wrong, ambiguous := s.points()
		if ambiguous {
			rt.Skip("a computed axis with two values of one key")
		}
		spec, problems := specs.Load(path, nil)
		var e *specs.Expansion
		if spec != nil {
			e, problems = spec.Expand(context.Background())
		}
		if problems.HasErrors() != wrong {
			rt.Fatalf("errors %v, want some: %v\n%s", problems, wrong, s.yaml())
		}
		if wrong {
			return
		}
		got := map[string]bool{}
		for _, p := range e.Points {
			text := []string{}
			for _, v := range p {
				text = append(text, v.Key)
			}
			got["["+strings.Join(text, " ")+"]"] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got) != len(e.Points) {
			rt.Fatalf("%d points (-want +got):\n%s\n%s", len(e.Points), diff, s.yaml())
		}
	})
}

func writeSpec(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

const tenMillion = `version: 1
sweep:
  axes:
    a: {from: 1, to: 10, step: 1}
    b: {from: 1, to: 10, step: 1}
    c: {from: 1, to: 10, step: 1}
    d: {from: 1, to: 10, step: 1}
    e: {from: 1, to: 10, step: 1}
    f: {from: 1, to: 10, step: 1}
    g: {from: 1, to: 10, step: 1}
`

// TestLargeProducts expands products of ten million combinations of which few are kept.
func TestLargeProducts(t *testing.T) {
	stage := "stages: {s: {uses: const, with: {value: \"${sweep.a + sweep.b + sweep.c + sweep.d + sweep.e + sweep.f + sweep.g}\"}}}\n"
	baseline := "  baseline: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1}\n"
	for name, test := range map[string]struct {
		sweep string
		want  int
	}{
		"conjuncts":     {"  where: sweep.a == sweep.b && sweep.c == sweep.d && sweep.e == sweep.f && sweep.g == sweep.a\n", 1000},
		"one factor":    {baseline + "  where: size(changed) <= 1\n", 64},
		"two factors":   {baseline + "  where: size(changed) <= 2\n", 1765},
		"excluded":      {baseline + "  exclude: [size(changed) > 1]\n", 64},
		"several":       {"  where: sweep.a + sweep.b <= 3\n  exclude: [sweep.c > 1, sweep.d != sweep.e, sweep.f * sweep.g > 60]\n", 2610},
		"a sum":         {"  where: sweep.a + sweep.b + sweep.c + sweep.d + sweep.e + sweep.f + sweep.g <= 11\n", 330},
		"across blocks": {"  where: sweep.a + sweep.g == 2 && sweep.b + sweep.f == 2 && sweep.d < 11\n", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeSpec(t, tenMillion+test.sweep+stage)
			if e := mustExpand(t, path); len(e.Points) != test.want {
				t.Errorf("%d points, want %d", len(e.Points), test.want)
			}
		})
	}
}

func BenchmarkTenMillion(b *testing.B) {
	path := writeSpec(b, tenMillion+"  where: sweep.a == sweep.b && sweep.c == sweep.d && sweep.e == sweep.f && sweep.g == sweep.a\nstages: {s: {uses: const, with: {value: \"${sweep.a}\"}}}\n")
	for b.Loop() {
		mustExpand(b, path)
	}
}

// method is a spec of the usual shape with n × 21 × 2 × 10 points.
func method(n int) string {
	return fmt.Sprintf(`version: 1
sweep:
  axes:
    style: ${[%s]}
    vc: {none: {variance: 0, covariance: 0}, both: {variance: 0.16, covariance: 0.02}}
    alpha: {from: 0, to: 1, step: 0.05}
    draw: {replicates: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
stages:
  images: {uses: generate, with: {checkpoint: sd, classes: [a], prompt: "${sweep.style}"}}
  zeroshot: {uses: zeroshot, with: {checkpoint: clip, classes: [a]}}
  tuned: {uses: finetune, with: {classifier: stages.zeroshot, data: stages.images, vc_reg: "${sweep.vc}", seed: "${sweep.draw}"}}
  merged: {uses: ensemble, with: {from: stages.zeroshot, to: stages.tuned, alpha: "${sweep.alpha}"}}
  val: {uses: dataset, with: {format: imagenet, path: val}}
  scores: {uses: evaluate, with: {classifier: stages.merged, data: stages.val}}
  best: {uses: select, gather: [alpha], with: {from: stages.merged, scores: stages.scores, maximize: metrics.val.top1}}
  final: {uses: evaluate, with: {classifier: stages.best, data: stages.val}}
`, strings.TrimSuffix(strings.Repeat("\"s\", ", n), ", "))
}

func BenchmarkExpand(b *testing.B) {
	for _, n := range []int{33, 240} { // 13,860 and 100,800 points
		text := method(n)
		for i := range n {
			text = strings.Replace(text, `"s"`, fmt.Sprintf(`"style %d"`, i), 1)
		}
		path := writeSpec(b, text)
		b.Run(fmt.Sprint(n*2*21*10), func(b *testing.B) {
			for b.Loop() {
				if e := mustExpand(b, path); len(e.Points) != n*420 {
					b.Fatalf("%d points", len(e.Points))
				}
			}
		})
	}
}
