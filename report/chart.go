package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// A chart is lines over a numeric axis: the mean over replicates with a band of one sample deviation.
type chart struct {
	Title, XLabel string
	Column        Column
	Lines         []line
}

// A line is one combination of the row headings other than the chart's axis.
type line struct {
	Name   string
	Rank   int // which colour, dash and mark; those beyond the palette are grey
	Points []point
}

type point struct{ X, Y, Deviation float64 }

// palette is how many lines the page's style can tell apart.
const palette = 8

// charts draws each column of g's table over the numeric axis that has most values, alpha before others. There is
// none where no axis has three.
func charts(g Group, axes []Axis) []chart {
	t := NewTable(g, axes, "")
	x := numericHead(t)
	if x < 0 {
		return nil
	}
	ranks := rankLines(t, x)
	var out []chart
	for i := len(t.Columns) - 1; i >= 0; i-- { // the average, which is last, first
		c := chart{Title: t.Columns[i].Name, XLabel: t.Heads[x], Column: t.Columns[i]}
		for name, points := range linesOf(t, x, i) {
			c.Lines = append(c.Lines, line{Name: name, Rank: ranks[name], Points: points})
		}
		slices.SortFunc(c.Lines, func(a, b line) int { return a.Rank - b.Rank })
		if len(c.Lines) > 0 {
			out = append(out, c)
		}
	}
	if len(out) > 1 && t.Columns[len(t.Columns)-1].Average {
		slices.Reverse(out[1:])
	} else {
		slices.Reverse(out)
	}
	return out
}

// numericHead is the index of the head to draw over, or -1.
func numericHead(t Table) int {
	best, most := -1, 2
	for i, h := range t.Heads {
		seen := map[string]bool{}
		numeric := h != labelHead
		for _, r := range t.Rows {
			if r.Heads[i] == "" {
				continue // a row that does not depend on the axis
			}
			_, err := strconv.ParseFloat(r.Heads[i], 64)
			numeric = numeric && err == nil
			seen[r.Heads[i]] = true
		}
		if n := len(seen); numeric && (n > most || n > 2 && h == "alpha") {
			best, most = i, n
			if h == "alpha" {
				return i
			}
		}
	}
	return best
}

// linesOf gathers the points of column i by line.
func linesOf(t Table, x, i int) map[string][]point {
	out := map[string][]point{}
	for _, r := range t.Rows {
		v, err := strconv.ParseFloat(r.Heads[x], 64)
		c := r.Cells[i]
		if err != nil || len(c.Values) == 0 || math.IsNaN(c.Mean) || math.IsInf(c.Mean, 0) {
			continue
		}
		name := lineName(r.Heads, x)
		out[name] = append(out[name], point{v, c.Mean, c.Deviation})
	}
	for _, points := range out {
		slices.SortFunc(points, func(a, b point) int { return int(math.Copysign(1, a.X-b.X)) })
	}
	return out
}

func lineName(heads []string, x int) string {
	var parts []string
	for i, h := range heads {
		if i != x && h != "" {
			parts = append(parts, h)
		}
	}
	return strings.Join(parts, ", ")
}

// rankLines orders the lines as the table does; where there are more than the palette holds, those that reach the
// best value of the last column come first.
func rankLines(t Table, x int) map[string]int {
	var names []string
	for _, r := range t.Rows {
		if name := lineName(r.Heads, x); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if last := len(t.Columns) - 1; len(names) > palette && last >= 0 {
		lines := linesOf(t, x, last)
		slices.SortStableFunc(names, func(a, b string) int {
			return int(math.Copysign(1, reach(lines[b], t.Columns[last])-reach(lines[a], t.Columns[last])))
		})
	}
	ranks := map[string]int{}
	for i, name := range names {
		ranks[name] = i
	}
	return ranks
}

// reach is the best value of a line, larger being better.
func reach(points []point, c Column) float64 {
	best := math.Inf(-1)
	for _, p := range points {
		if c.Lower {
			best = max(best, -p.Y)
		} else {
			best = max(best, p.Y)
		}
	}
	return best
}

// ticks are round values that span [low, high], about n of them.
func ticks(low, high float64, n int) []float64 {
	if high-low <= 1e-6*max(math.Abs(low), math.Abs(high)) { // nothing to see between them
		pad := max(math.Abs(low)*0.1, 0.01)
		low, high = low-pad, high+pad
	}
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*step >= raw {
			step *= m
			break
		}
	}
	var out []float64
	for i := math.Floor(low / step); ; i++ {
		out = append(out, round12(i*step))
		if i*step >= high-step*1e-9 {
			return out
		}
	}
}

// round12 takes the noise of binary fractions off a number, as the spec language does.
func round12(x float64) float64 {
	y, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	return y
}
