package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// A Result is one value that a cell rests on.
type Result struct {
	ID      string // equal for those that share what computed them
	Value   any    // a number; anything else is shown as it is
	Oracle  bool
	Actions []string // keys of what computed it
}

// FoldResults makes one cell of the distinct results: one value, or mean and sample deviation.
func FoldResults(results []Result) Cell {
	var c Cell
	seen := map[string]bool{}
	for _, r := range results {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		c.Oracle = c.Oracle || r.Oracle
		for _, a := range r.Actions {
			if !slices.Contains(c.Actions, a) {
				c.Actions = append(c.Actions, a)
			}
		}
		if x, ok := number(r.Value); ok {
			c.Values = append(c.Values, x)
		} else if w := fmt.Sprint(r.Value); !slices.Contains(c.Words, w) {
			c.Words = append(c.Words, w)
		}
	}
	c.summarise()
	return c
}

func (c *Cell) summarise() {
	switch len(c.Values) {
	case 0:
	case 1:
		c.Mean = c.Values[0]
	default:
		c.Mean, c.Deviation = stat.MeanStdDev(c.Values, nil)
	}
}

// confidence is the level of the intervals of differences.
const confidence = 0.95

// FoldDifferences makes one cell of the distinct differences of pairs: their mean, and where there are two or more,
// Student's t interval of it: mean ± t(n-1, 0.975) s/√n.
func FoldDifferences(differences []Result) Cell {
	c := FoldResults(differences)
	if n := float64(len(c.Values)); n > 1 {
		half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile((1+confidence)/2) * c.Deviation / math.Sqrt(n)
		c.Interval = &[2]float64{c.Mean - half, c.Mean + half}
	}
	return c
}

// Mean averages results of the columns of one row, of one replicate; ok is false where one is no number.
func Mean(results []Result) (mean Result, ok bool) {
	total := 0.0
	for _, r := range results {
		x, isNumber := number(r.Value)
		if !isNumber {
			return Result{}, false
		}
		total += x
		mean.ID += r.ID + "\n"
		mean.Oracle = mean.Oracle || r.Oracle
		mean.Actions = append(mean.Actions, r.Actions...)
	}
	mean.Value = total / float64(len(results))
	return mean, len(results) > 0
}

// Finish marks cells that rest on fewer values than the rest of their metric, and the best of each column, and writes all
// texts.
func (t *Table) Finish() {
	most := map[string]int{}
	for _, r := range t.Rows {
		for i, c := range r.Cells {
			most[t.Columns[i].Metric] = max(most[t.Columns[i].Metric], len(c.Values))
		}
	}
	for i, col := range t.Columns {
		for _, r := range t.Rows {
			n := len(r.Cells[i].Values)
			r.Cells[i].Few = n > 0 && n < most[col.Metric] && !col.Difference // a study has its pairs in a column
		}
		t.finishColumn(i)
	}
}
