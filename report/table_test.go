package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"
)

func TestTableGoldens(t *testing.T) {
	p := world(t)
	final := NewTable(p.Groups[0], p.Axes, "")
	golden(t, "final.txt", final.Text(false))
	golden(t, "final.ansi", final.Text(true))
	golden(t, "final.md", final.Markdown())
	golden(t, "final.csv", final.CSV())
	golden(t, "curve.md", NewTable(p.Groups[1], p.Axes, "nll").Markdown())
}

// flat is a group of one metric, v, over axes a and the replicates r.
func flat(entries ...Entry) Group { return Group{Entries: entries} }

var foldedAxes = []Axis{{Name: "a"}, {Name: "r", Replicates: true}}

func entry(a, r, id string, v any) Entry {
	point := map[string]string{"a": a}
	if r != "" {
		point["r"] = r
	}
	return Entry{Point: point, ID: id, Metrics: map[string]any{"v": v}}
}

func texts(t Table) []string {
	_, rows := t.grid()
	var out []string
	for _, line := range rows {
		out = append(out, strings.Join(line, "|"))
	}
	return out
}

func TestFolding(t *testing.T) {
	tests := []struct {
		name  string
		group Group
		want  []string
	}{
		{"replicates fold", flat(entry("x", "0", "1", 0.1), entry("x", "1", "2", 0.3), entry("y", "0", "3", 0.5), entry("y", "1", "4", 0.5)),
			[]string{"x|0.2000 ± 0.1414", "y|0.5000 ± 0.0000"}},
		{"fewer say how many", flat(entry("x", "0", "1", 1.5), entry("x", "1", "2", 2.5), entry("y", "0", "3", 0.5)),
			[]string{"x|2.000 ± 0.707", "y|0.500 (n=1)"}},
		{"a shared result is one", flat(entry("x", "0", "1", 1.5), entry("x", "1", "1", 1.5), entry("y", "0", "3", 0.5), entry("y", "1", "4", 0.5)),
			[]string{"x|1.5", "y|0.5 ± 0.0"}},
		{"a row without replicates is one", flat(entry("x", "", "1", 1.5), entry("y", "0", "3", 0.5), entry("y", "1", "4", 0.5)),
			[]string{"x|1.5", "y|0.5 ± 0.0"}},
		{"numbers are ordered by size", flat(entry("10", "", "1", 3), entry("9.5", "", "2", 4), entry("0", "", "2b", 5)),
			[]string{"0|5", "9.5|4", "10|3"}},
		{"records hold what JSON lacks as text", flat(entry("x", "", "1", "NaN"), entry("y", "", "2", "-Infinity"), entry("z", "", "3", 1.25)),
			[]string{"x|NaN", "y|−∞", "z|1.25"}},
		{"a metric that is missing leaves a dash", flat(entry("x", "", "1", 2), Entry{Point: map[string]string{"a": "y"}, Metrics: map[string]any{"w": 3}}),
			[]string{"x|2|–", "y|–|3"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, texts(NewTable(test.group, foldedAxes, ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestOracleIsMarkedAndNeverBest(t *testing.T) {
	oracle := entry("x", "", "1", 9)
	oracle.Oracle = true
	table := NewTable(flat(oracle, entry("y", "", "2", 8), entry("z", "", "3", 7)), foldedAxes, "")
	if got := texts(table); got[0] != "x †|9" {
		t.Errorf("got %q, want the oracle marked", got[0])
	}
	if table.Rows[0].Cells[0].Best || !table.Rows[1].Cells[0].Best {
		t.Error("the best is not the best row that is no oracle")
	}
	if !strings.Contains(strings.Join(table.Notes(), " "), "oracle") {
		t.Error("no note explains the mark")
	}
}

func TestLeastIsBestForLosses(t *testing.T) {
	group := Group{}
	for i, x := range []float64{0.5, 0.25, 0.75} {
		group.Entries = append(group.Entries, Entry{Point: map[string]string{"a": fmt.Sprint(i)}, Metrics: map[string]any{"d": map[string]any{"nll": x}}})
	}
	table := NewTable(group, nil, "nll")
	for i, r := range table.Rows {
		if r.Cells[0].Best != (i == 1) {
			t.Errorf("row %d: best is %v", i, r.Cells[0].Best)
		}
	}
}

// TestFoldingIsMeanAndDeviation compares a fold with its definition on random values, in any order of the entries.
func TestFoldingIsMeanAndDeviation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.Float64Range(-10, 10), 1, 5), 2, 5).Draw(t, "rows")
		var entries []Entry
		for a, values := range rows {
			for r, v := range values {
				e := entry(fmt.Sprint("row ", a), fmt.Sprint(r), fmt.Sprint(a, " ", r), v)
				entries = append(entries, e)
				if rapid.Bool().Draw(t, "twice") { // an instance that shares the result
					entries = append(entries, e)
				}
			}
		}
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		for _, row := range NewTable(flat(entries...), foldedAxes, "").Rows {
			var a int
			fmt.Sscanf(row.Heads[0], "row %d", &a)
			mean, deviation := stat.MeanStdDev(rows[a], nil)
			if len(rows[a]) == 1 {
				deviation = 0
			}
			c := row.Cells[0]
			if len(c.Values) != len(rows[a]) || math.Abs(c.Mean-mean) > 1e-12 || math.Abs(c.Deviation-deviation) > 1e-12 {
				t.Fatalf("row %d: got %v ± %v of %d, want %v ± %v of %d", a, c.Mean, c.Deviation, len(c.Values), mean, deviation, len(rows[a]))
			}
		}
	})
}

func TestMeanColumnAveragesBeforeFolding(t *testing.T) {
	var group Group
	for r, v := range [][2]float64{{0.1, 0.5}, {0.3, 0.3}} {
		group.Entries = append(group.Entries, Entry{Point: map[string]string{"r": fmt.Sprint(r)}, Metrics: map[string]any{
			"d": map[string]any{"top1": v[0]}, "e": map[string]any{"top1": v[1]},
		}})
	}
	// Both replicates average to 0.3, though d and e vary.
	if got := texts(NewTable(group, foldedAxes, "")); got[0] != "20.0 ± 14.1|40.0 ± 14.1|30.0 ± 0.0" {
		t.Errorf("got %q", got[0])
	}
}

func TestHostileNamesStayInTheirCells(t *testing.T) {
	group := flat(entry("a|b*c_d`<x>\n\x1b[31m", "", "1", 1), entry("=1,2\"\n", "", "2", 2))
	table := NewTable(group, foldedAxes, "")
	if lines := strings.Split(strings.TrimSpace(table.Text(true)), "\n"); len(lines) != 4 {
		t.Errorf("text has %d lines, want heading, rule and two rows:\n%s", len(lines), table.Text(true))
	}
	if text := table.Text(false); strings.Contains(text, "\x1b") {
		t.Errorf("a name drives the terminal: %q", text)
	}
	if md := table.Markdown(); !strings.Contains(md, `a\|b\*c\_d\`+"`"+`&lt;x>`) || strings.Count(md, "\n") != 4 {
		t.Errorf("Markdown is not escaped:\n%s", md)
	}
}

func TestTicksSpanTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(t, "low")
		high := low + rapid.Float64Range(0, 1e6).Draw(t, "span")
		got := ticks(low, high, 4)
		if len(got) < 2 || len(got) > 12 || got[0] > low || got[len(got)-1] < high-1e-6*math.Abs(high) {
			t.Fatalf("ticks(%v, %v) = %v", low, high, got)
		}
	})
}

func TestChartsDrawTheAverageFirst(t *testing.T) {
	p := world(t)
	var titles []string
	for _, c := range charts(p.Groups[1], p.Axes) {
		titles = append(titles, c.Title)
		if len(c.Lines) != 5 || len(c.Lines[4].Points) != 6 {
			t.Errorf("%s: %d lines, want one of each method, the last with six alphas", c.Title, len(c.Lines))
		}
	}
	if want := []string{"mean", "painting", "photo", "rendering", "sketch"}; !cmp.Equal(want, titles) {
		t.Errorf("charts are %v, want %v", titles, want)
	}
}

func TestBusyChartsKeepTheBestInColour(t *testing.T) {
	var group Group
	for l := range palette + 4 {
		for a := range 4 {
			group.Entries = append(group.Entries, Entry{Label: fmt.Sprint("line ", l), Point: map[string]string{"alpha": fmt.Sprint(a)}, Metrics: map[string]any{"score": float64(l) + float64(a)/10}})
		}
	}
	for _, l := range charts(group, nil)[0].Lines {
		var n int
		fmt.Sscanf(l.Name, "line %d", &n)
		if wantRank := palette + 3 - n; l.Rank != wantRank {
			t.Errorf("%s has rank %d, want %d", l.Name, l.Rank, wantRank)
		}
	}
}

// TestDecimals: halves in decimal digits go away from zero, whatever binary fraction is nearest, and zero has no sign.
func TestDecimals(t *testing.T) {
	percent := Column{Percent: true}
	for x, want := range map[float64]string{0.1235: "12.4", 0.0235: "2.4", 0.0245: "2.5", -0.1235: "-12.4", 0.12349: "12.3", -0.0001: "0.0", 0: "0.0", 1: "100.0"} {
		if got := percent.format(x, 1); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
	if got := (Column{}).format(math.Copysign(0, -1), 0); got != "0" {
		t.Errorf("minus zero is written %q", got)
	}
}

// TestHeading: a column that is called by a number does not read as so much percent.
func TestHeading(t *testing.T) {
	for name, want := range map[string]string{"photo": "photo %", "top1": "top1 %", "2": "2 (%)", "photo, 0.5": "photo, 0.5 (%)"} {
		if got := (Column{Name: name, Percent: true}).Heading(); got != want {
			t.Errorf("column %s is headed %q, want %q", name, got, want)
		}
	}
}
