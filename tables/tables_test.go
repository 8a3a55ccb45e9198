package tables_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/engine"
	"regft/report"
	"regft/specs"
	_ "regft/stages/toy"
	"regft/tables"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// expand expands a spec, which is written below folder.
func expand(t rapid.TB, folder, text string) *specs.Expansion {
	t.Helper()
	path := filepath.Join(folder, "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	spec, problems := specs.Load(path, nil)
	if problems.HasErrors() {
		t.Fatalf("loading:\n%v\n%s", problems, text)
	}
	e, problems := spec.Expand(context.Background())
	if problems.HasErrors() {
		t.Fatalf("expanding:\n%v\n%s", problems, text)
	}
	return e
}

// whole is a number of a point.
func whole(point map[string]any, axis string) int {
	switch x := point[axis].(type) {
	case int64:
		return int(x)
	case float64:
		return int(x)
	}
	return 0
}

// measured gives every instance one metric, value, of result id.
func measured(of func(point map[string]any) (value float64, id string)) tables.Source {
	return func(i *specs.Instance) engine.Measure {
		x, id := of(i.Point())
		return engine.Measure{Outcome: specs.Outcome{Metrics: map[string]any{"value": x}}, Standing: engine.Current, Oracle: i.Oracle, Actions: []string{id}, Numerics: []string{"go"}}
	}
}

// A grid is a random table: rows a, columns b, replicates d, an axis c at its baseline.
type grid struct {
	a, b, c, d int
	gone       map[[3]int]bool    // a, b, d without a point
	values     map[[4]int]float64 // of a, b, c, d
	shared     map[int]bool       // rows whose replicates share one result
}

func drawGrid(t *rapid.T) grid {
	size := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(t, name) }
	g := grid{size("a", 1, 3), size("b", 1, 3), size("c", 1, 2), size("d", 1, 4), map[[3]int]bool{}, map[[4]int]float64{}, map[int]bool{}}
	for a := range g.a {
		g.shared[a] = rapid.Bool().Draw(t, "shared")
		for b := range g.b {
			for d := range g.d {
				g.gone[[3]int{a, b, d}] = a+b+d > 0 && rapid.IntRange(0, 4).Draw(t, "gone") == 0
				for c := range g.c {
					g.values[[4]int{a, b, c, d}] = rapid.Float64Range(-5, 5).Draw(t, "value")
				}
			}
		}
	}
	return g
}

func list(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (g grid) spec() string {
	var exclude []string
	for _, p := range slices.SortedFunc(mapKeys(g.gone), func(a, b [3]int) int { return slices.Compare(a[:], b[:]) }) {
		if g.gone[p] {
			exclude = append(exclude, fmt.Sprintf("    - sweep.a == %d && sweep.b == %d && sweep.d == %d\n", p[0], p[1], p[2]))
		}
	}
	text := "version: 1\nsweep:\n  axes: {a: " + list(g.a) + ", b: " + list(g.b) + ", c: " + list(g.c) + ", d: {replicates: " + list(g.d) + "}}\n  baseline: {c: 0}\n"
	if exclude != nil {
		text += "  exclude:\n" + strings.Join(exclude, "")
	}
	return text + `stages:
  s: {uses: const, with: {value: "${sweep.a + 10 * sweep.b + 100 * sweep.c + 1000 * sweep.d}"}}
tables:
  t: {of: s, rows: [a], columns: [b], value: {V: metrics.value, Twice: 2 * metrics.value}, average: {All: true, Later: sweep.b > 0}, bold: max}
`
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (g grid) measure(p map[string]any) (float64, string) {
	a, b, c, d := whole(p, "a"), whole(p, "b"), whole(p, "c"), whole(p, "d")
	if g.shared[a] {
		d = 0
	}
	return g.values[[4]int{a, b, c, d}], fmt.Sprint(a, b, c, d)
}

// cell is what column b of row a holds, by the definition: the distinct results of its replicates.
func (g grid) cell(a, b int) []float64 {
	var out []float64
	for d := range g.d {
		if !g.gone[[3]int{a, b, d}] && (!g.shared[a] || len(out) == 0) {
			out = append(out, g.value(a, b, d))
		}
	}
	return out
}

func (g grid) value(a, b, d int) float64 {
	if g.shared[a] {
		d = 0
	}
	return g.values[[4]int{a, b, 0, d}]
}

// average is the mean of the columns from first on that have a point, for each replicate that has all of them.
func (g grid) average(a, first int) []float64 {
	var out []float64
	for d := range g.d {
		total, columns := 0.0, 0.0
		for b := first; b < g.b; b++ {
			if !g.has(b) {
				continue
			}
			if g.gone[[3]int{a, b, d}] {
				total = math.NaN()
			}
			total += g.value(a, b, d)
			columns++
		}
		if !math.IsNaN(total) && columns > 0 && (!g.shared[a] || len(out) == 0) {
			out = append(out, total/columns)
		}
	}
	return out
}

// has tells whether column b has a point in some row.
func (g grid) has(b int) bool {
	for a := range g.a {
		for d := range g.d {
			if !g.gone[[3]int{a, b, d}] {
				return true
			}
		}
	}
	return false
}

// TestCellsAreTheirDefinition compares tables of random sweeps, with holes and shared results, with their definition.
func TestCellsAreTheirDefinition(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		e := expand(t, folder, g.spec())
		table := tables.Build(e, measured(g.measure))[0]
		got := map[string]report.Cell{}
		for _, r := range table.Rows {
			for i, c := range r.Cells {
				got[r.Heads[0]+" "+table.Columns[i].Name] = c
			}
		}
		for a := range g.a {
			for k, heading := range []string{"V", "Twice"} {
				for b := range g.b {
					same(t, fmt.Sprintf("%d %d %s", a, b, heading), got, g.cell(a, b), float64(k+1))
				}
				same(t, fmt.Sprintf("%d All %s", a, heading), got, g.average(a, 0), float64(k+1))
				same(t, fmt.Sprintf("%d Later %s", a, heading), got, g.average(a, 1), float64(k+1))
			}
		}
	})
}

// same compares a cell with the mean and sample deviation of values, in any order.
func same(t *rapid.T, name string, cells map[string]report.Cell, values []float64, times float64) {
	t.Helper()
	n, mean, square := float64(len(values)), 0.0, 0.0
	for _, x := range values {
		mean += times * x / n
	}
	for _, x := range values {
		square += (times*x - mean) * (times*x - mean)
	}
	deviation := 0.0
	if n > 1 {
		deviation = math.Sqrt(square / (n - 1))
	}
	c := cells[name]
	if len(c.Values) != len(values) || math.Abs(c.Mean-mean) > 1e-9 || math.Abs(c.Deviation-deviation) > 1e-9 {
		t.Fatalf("cell %s: %v ± %v of %v, want %v ± %v of %v", name, c.Mean, c.Deviation, c.Values, mean, deviation, values)
	}
}

const study = `version: 1
sweep:
  axes: {a: {none: 0, full: 1}, b: {none: 0, half: 1, full: 2}, t: [0, 1], d: {replicates: [0, 1, 2]}}
  baseline: {a: none, b: none}
  exclude: [sweep.a.key == "full" && sweep.b.key == "none" && sweep.d == 2]
stages:
  s: {uses: const, with: {value: "${sweep.a.value + 10 * sweep.b.value + 100 * sweep.t + 1000 * sweep.d}"}}
ablate:
  STUDY
`

// effect is 1 for a, 3 for b at half, 4 for b at full, 2 more for a and b together; draws add 0, 0.1 and 0.4 to what has b.
func effect(p map[string]any) (float64, string) {
	b := map[any]float64{"none": 0, "half": 3, "full": 4}[p["b"]]
	x := 10*float64(whole(p, "t")) + b
	if p["a"] == "full" {
		x++
		if b > 0 {
			x += 2
		}
	}
	if b > 0 {
		x += []float64{0, 0.1, 0.4}[whole(p, "d")]
	}
	return x, fmt.Sprint(p)
}

func TestStudies(t *testing.T) {
	// Student's t at 0.975 is 4.30265 with 2 degrees of freedom, 12.7062 with 1, 2.57058 with 5, 3.18245 with 3.
	interval := func(t975 float64, differences ...float64) string {
		n, mean, square := float64(len(differences)), 0.0, 0.0
		for _, d := range differences {
			mean += d / n
		}
		for _, d := range differences {
			square += (d - mean) * (d - mean)
		}
		half := t975 * math.Sqrt(square/(n-1)/n)
		return fmt.Sprintf("%.3f %.3f %.3f", mean, mean-half, mean+half)
	}
	const fixed = `, where: sweep.t == 0`
	tests := []struct {
		name, study string
		want        []string
	}{
		{"one factor at a time", "x: {of: s, around: baseline, vary: one" + fixed + "}", []string{
			"a=full | a=none | " + interval(12.7062, 1, 1) + " | 2 1",
			"b=half | b=none | " + interval(4.30265, 3, 3.1, 3.4) + " | 3 0",
			"b=full | b=none | " + interval(4.30265, 4, 4.1, 4.4) + " | 3 0",
		}},
		{"pairs", "x: {of: s, around: baseline, vary: pairs" + fixed + "}", []string{
			"a=full | a=none | " + interval(12.7062, 1, 1) + " | 2 1",
			"b=half | b=none | " + interval(4.30265, 3, 3.1, 3.4) + " | 3 0",
			"b=full | b=none | " + interval(4.30265, 4, 4.1, 4.4) + " | 3 0",
			"a=full, b=half | a=none, b=none | " + interval(4.30265, 6, 6.1, 6.4) + " | 3 0",
			"a=full, b=full | a=none, b=none | " + interval(4.30265, 7, 7.1, 7.4) + " | 3 0",
		}},
		{"leave one out", "x: {of: s, around: baseline, vary: leave_one_out" + fixed + "}", []string{
			"b=none | a=full, b=half | " + interval(12.7062, -5, -5.1) + " | 2 1",
			"b=none | a=full, b=full | " + interval(12.7062, -6, -6.1) + " | 2 1",
			"a=none | a=full, b=half | " + interval(4.30265, -3, -3, -3) + " | 3 0",
			"a=none | a=full, b=full | " + interval(4.30265, -3, -3, -3) + " | 3 0",
		}},
		{"an axis compared, paired by others", "x: {of: s, compare: b, paired_by: [t, d]}", []string{
			"b=half | b=none | " + interval(2.57058, 3, 3.1, 3.4, 3, 3.1, 3.4) + " | 6 0",
			"b=full | b=none | " + interval(2.57058, 4, 4.1, 4.4, 4, 4.1, 4.4) + " | 6 0",
		}},
		{"replicates that are not named fold", "x: {of: s, compare: b, paired_by: [a, t]}", []string{
			"b=half | b=none | " + interval(3.18245, 19./6, 19./6, 31./6, 31./6) + " | 4 0",
			"b=full | b=none | " + interval(3.18245, 25./6, 25./6, 37./6, 37./6) + " | 4 0",
		}},
		{"replicates pair where nothing is named", "x: {of: s, compare: a, value: {Ten: 10 * metrics.value}" + fixed + "}", []string{
			"a=full | a=none | " + interval(12.7062, 10, 10) + " | 2 1",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := expand(t, t.TempDir(), strings.ReplaceAll(study, "STUDY", test.study))
			var got []string
			for _, r := range tables.Build(e, measured(effect))[0].Rows {
				c := r.Cells[0]
				got = append(got, fmt.Sprintf("%s | %s | %.3f %.3f %.3f | %s %s", r.Heads[0], r.Heads[1], c.Mean, c.Interval[0], c.Interval[1], r.Cells[1].Text, r.Cells[2].Text))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("differences differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestABaselineWithoutAPoint checks that a study whose reference was left out of the sweep says so by its dropped pairs.
func TestABaselineWithoutAPoint(t *testing.T) {
	e := expand(t, t.TempDir(), `version: 1
sweep:
  axes: {a: {none: 0, full: 1}, d: {replicates: [0, 1]}}
  baseline: {a: none}
  exclude: [sweep.a.key == "none"]
stages:
  s: {uses: const, with: {value: "${sweep.a.value + sweep.d}"}}
ablate:
  x: {of: s, around: baseline, vary: one}
`)
	r := tables.Build(e, measured(func(p map[string]any) (float64, string) { return 1, fmt.Sprint(p) }))[0].Rows[0]
	if got := fmt.Sprintf("%v %s %s %s", r.Heads, r.Cells[0].Text, r.Cells[1].Text, r.Cells[2].Text); got != "[a=full a=none] – 0 2" {
		t.Errorf("got %s, want no difference, no pair and two dropped", got)
	}
}

// TestOracleAndChosen checks the marks of a choice: chosen values fold as others do, named ones are listed.
func TestOracleAndChosen(t *testing.T) {
	e := expand(t, t.TempDir(), `version: 1
sweep: {axes: {way: {short: 1, long: 2}, alpha: [0, 0.5], d: {replicates: [0, 1]}}}
stages:
  m: {uses: const, with: {value: "${sweep.alpha + sweep.way.value + sweep.d}"}}
  data: {uses: const, with: {value: 1}}
  sc: {uses: score, with: {model: stages.m, data: stages.data}}
  best: {uses: pick, gather: [alpha, way], with: {from: stages.m, scores: stages.sc, maximize: metrics.data.top1}}
tables:
  top1: {of: best, value: metrics.data.top1, bold: max}
  alpha: {of: best, value: chosen.alpha}
  way: {of: best, value: {Way: chosen.way}}
  both: {of: best, value: chosen.alpha + metrics.data.top1}
`)
	built := tables.Build(e, func(i *specs.Instance) engine.Measure {
		d := whole(i.Point(), "d")
		return engine.Measure{Standing: engine.Current, Oracle: i.Oracle, Actions: []string{i.Address()}, Outcome: specs.Outcome{
			Metrics: map[string]any{"data": map[string]any{"top1": 0.5 + 0.1*float64(d)}},
			Chosen:  map[string]any{"alpha": 0.5 * float64(d), "way": []string{"short", "long"}[d]}}}
	})
	var got []string
	for _, table := range built {
		got = append(got, table.Title+": "+table.Rows[0].Cells[0].Text)
	}
	want := []string{"top1: 55.0 ± 7.1 †", "alpha: 0.2500 ± 0.3536", "way: short, long", "both: 0.800 ± 0.424 †"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells differ (-want +got):\n%s", diff)
	}
}

const standings = `version: 1
sweep: {axes: {a: [0, 1, 2], d: {replicates: [0, 1]}}}
stages:
  s: {uses: const, with: {value: "${sweep.a + 10 * sweep.d}"}}
tables:
  t: {of: s, rows: [a], value: metrics.value, bold: min}
`

// TestStandings checks what a table does with results that are missing, stale, unchecked or of several machines.
func TestStandings(t *testing.T) {
	e := expand(t, t.TempDir(), standings)
	build := func(change func(a, d int, m *engine.Measure)) report.Table {
		return tables.Build(e, func(i *specs.Instance) engine.Measure {
			a, d := whole(i.Point(), "a"), whole(i.Point(), "d")
			m := measured(func(map[string]any) (float64, string) { return float64(10*a + d), i.Address() })(i)
			change(a, d, &m)
			return m
		})[0]
	}
	tests := []struct {
		name   string
		change func(a, d int, m *engine.Measure)
		cells  []string
		remark string
	}{
		{"all there", func(int, int, *engine.Measure) {}, []string{"0.50 ± 0.71", "10.50 ± 0.71", "20.50 ± 0.71"}, ""},
		{"one missing", func(a, d int, m *engine.Measure) {
			if a+d == 0 {
				*m = engine.Measure{}
			}
		}, []string{"1.00 (n=1)", "10.50 ± 0.71", "20.50 ± 0.71"}, "1 of 6 results are missing"},
		{"one stale", func(a, d int, m *engine.Measure) {
			if a == 1 && d == 1 {
				m.Standing = engine.Stale
			}
		}, []string{"0.50 ± 0.71", "refused", "20.50 ± 0.71"}, "1 of 6 results are refused"},
		{"not checked", func(a, _ int, m *engine.Measure) { m.Standing = engine.Unchecked }, []string{"0.50 ± 0.71", "10.50 ± 0.71", "20.50 ± 0.71"}, "6 of 6 results are not checked"},
		{"two machines", func(a, _ int, m *engine.Measure) {
			if a == 2 {
				m.Numerics = []string{"avx512"}
			}
		}, []string{"0.50 ± 0.71", "10.50 ± 0.71", "20.50 ± 0.71"}, "avx512; go"},
		{"no value", func(a, _ int, m *engine.Measure) {
			if a == 0 {
				m.Metrics = map[string]any{}
			}
		}, []string{"–", "10.50 ± 0.71", "20.50 ± 0.71"}, `2 results have no value`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table := build(test.change)
			var got []string
			for _, r := range table.Rows {
				got = append(got, r.Cells[0].Text)
			}
			if diff := cmp.Diff(test.cells, got); diff != "" {
				t.Errorf("cells differ (-want +got):\n%s", diff)
			}
			if remarks := strings.Join(table.Remarks, "\n"); !strings.Contains(remarks, test.remark) || test.remark == "" && remarks != "" {
				t.Errorf("remarks are %q, want %q", remarks, test.remark)
			}
			if table.Rows[0].Cells[0].Best != (len(table.Rows[0].Cells[0].Values) > 0) {
				t.Error("the least value is not the best")
			}
		})
	}
}

// TestStudyNamedAsATable: what is written of both by name stays apart.
func TestStudyNamedAsATable(t *testing.T) {
	e := expand(t, t.TempDir(), `version: 1
sweep: {axes: {x: [1, 2]}}
stages: {s: {uses: const, with: {value: "${sweep.x}"}}}
tables: {main: {of: s, rows: [x], value: metrics.value}}
ablate: {main: {of: s, compare: x}, other: {of: s, compare: x}}
`)
	var got []string
	for _, table := range tables.Build(e, func(*specs.Instance) engine.Measure { return engine.Measure{} }) {
		got = append(got, table.Title)
	}
	if diff := cmp.Diff([]string{"main", "study main", "other"}, got); diff != "" {
		t.Errorf("titles differ (-want +got):\n%s", diff)
	}
}
