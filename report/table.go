package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Table is results as rows and columns: a row for each label and value of the axes that vary, replicates folded.
type Table struct {
	Title   string
	Heads   []string // of the columns that name a row: label, axes
	Columns []Column
	Chosen  []string // axes on which a choice was made, as further columns
	Rows    []Row
	Remarks []string // further notes
	Unrun   int      // results that were neither run nor left out nor failed
}

// A Row is one line of a table.
type Row struct {
	Heads  []string
	Cells  []Cell
	Chosen []string // the distinct choices of its replicates, in their order
	Oracle bool
}

// A Cell is a value, or the mean of several.
type Cell struct {
	Values    []float64 // of distinct results; none: the cell is empty
	Mean      float64
	Deviation float64 // of the sample; only with two values or more
	Few       bool    // it has fewer values than the rest of its table
	Best      bool    // in its column, oracles apart
	Text      string  // as people read it

	Words    []string    // distinct values that are no numbers
	Interval *[2]float64 // of confidence, around the mean
	Oracle   bool        // one of its results was chosen on the very data that it reports
	Refused  bool        // it has results, of other data, parameters or versions
	Actions  []string    // keys of what computed it
}

const labelHead = ""

// NewTable folds the entries of g into a table of metric, a metric of every dataset ("top1"), or with "" the first that
// there is, or flat metrics themselves.
func NewTable(g Group, axes []Axis, metric string) Table {
	if metric == "" {
		if nested := metricsOf(g.Entries); len(nested) > 0 {
			metric = nested[0]
		}
	}
	t := Table{Title: g.Title, Heads: headsOf(g.Entries, axes), Columns: columnsOf(g, metric)}
	t.Chosen = chosenAxes(g.Entries)
	folded := fold(g.Entries, t.Heads)
	for _, entries := range folded {
		t.Rows = append(t.Rows, t.row(entries, metric))
	}
	t.markFew(folded, axes)
	for i := range t.Columns {
		t.finishColumn(i)
	}
	if n := failures(g.Entries); n > 0 {
		t.Remarks = append(t.Remarks, fmt.Sprintf("%d of %d results are missing: their stages, or what those take, failed", n, len(g.Entries)))
	}
	return t
}

func failures(entries []Entry) int {
	n := 0
	for _, e := range entries {
		if e.Failed {
			n++
		}
	}
	return n
}

// Tells tells whether t says all that o does: the same rows, and every column of o with the same texts.
func (t Table) Tells(o Table) bool {
	same := slices.EqualFunc(t.Rows, o.Rows, func(a, b Row) bool {
		return slices.Equal(a.Heads, b.Heads) && slices.Equal(a.Chosen, b.Chosen)
	})
	if !same || !slices.Equal(t.Chosen, o.Chosen) {
		return false
	}
	for j := range o.Columns {
		if !slices.ContainsFunc(t.texts(), func(column []string) bool { return slices.Equal(column, o.texts()[j]) }) {
			return false
		}
	}
	return len(o.Rows) > 0
}

// texts are the cells of each column.
func (t Table) texts() [][]string {
	out := make([][]string, len(t.Columns))
	for j := range t.Columns {
		for _, r := range t.Rows {
			out[j] = append(out[j], r.Cells[j].Text)
		}
	}
	return out
}

// headsOf lists what tells rows apart: labels and axes with more than one value, replicates apart.
func headsOf(entries []Entry, axes []Axis) []string {
	var heads []string
	for _, name := range append([]string{labelHead}, axisNames(entries, axes)...) {
		seen := map[string]bool{}
		for _, e := range entries {
			seen[head(e, name)] = true
		}
		if len(seen) > 1 {
			heads = append(heads, name)
		}
	}
	return heads
}

// axisNames lists the axes of entries that are no replicates: declared ones in their order, then others by name.
func axisNames(entries []Entry, axes []Axis) []string {
	var names, folded, more []string
	for _, a := range axes {
		if a.Replicates {
			folded = append(folded, a.Name)
		} else {
			names = append(names, a.Name)
		}
	}
	for _, e := range entries {
		for name := range e.Point {
			if !slices.Contains(names, name) && !slices.Contains(folded, name) && !slices.Contains(more, name) {
				more = append(more, name)
			}
		}
	}
	slices.Sort(more)
	return append(names, more...)
}

func head(e Entry, name string) string {
	if name == labelHead {
		return e.Label
	}
	return e.Point[name]
}

// fold groups entries by their heads. Rows are ordered by each head in turn: numbers by size, others by their first
// appearance.
func fold(entries []Entry, heads []string) [][]Entry {
	groups := map[string][]Entry{}
	for _, e := range entries {
		var key strings.Builder
		for _, h := range heads {
			key.WriteString(strconv.Quote(head(e, h)))
		}
		groups[key.String()] = append(groups[key.String()], e)
	}
	rows := slices.Collect(maps.Values(groups))
	compare := make([]func(a, b string) int, len(heads))
	for i, h := range heads {
		compare[i] = orderOf(entries, h)
	}
	slices.SortFunc(rows, func(a, b []Entry) int {
		for i, h := range heads {
			if d := compare[i](head(a[0], h), head(b[0], h)); d != 0 {
				return d
			}
		}
		return 0
	})
	return rows
}

// orderOf is how the values of one head are ordered.
func orderOf(entries []Entry, h string) func(a, b string) int {
	first, size, numeric := map[string]int{}, map[string]float64{}, h != labelHead
	for i, e := range entries {
		v := head(e, h)
		if _, seen := first[v]; !seen {
			first[v] = i
			x, err := strconv.ParseFloat(v, 64)
			size[v], numeric = x, numeric && (err == nil || v == "")
		}
	}
	return func(a, b string) int {
		if numeric && a != "" && b != "" {
			return cmp.Compare(size[a], size[b])
		}
		return first[a] - first[b]
	}
}

func (t Table) row(entries []Entry, metric string) Row {
	var r Row
	for _, h := range t.Heads {
		r.Heads = append(r.Heads, head(entries[0], h))
	}
	distinct := distinctResults(entries)
	for i, c := range t.Columns {
		cell := newCell(distinct, func(e Entry) (float64, bool) {
			if c.Average {
				return average(e, t.Columns[:i])
			}
			return value(e, c.Name, metric)
		})
		if len(cell.Values) == 0 && i == 0 && slices.ContainsFunc(entries, func(e Entry) bool { return e.Failed }) {
			cell.Words = []string{"failed"}
		}
		r.Cells = append(r.Cells, cell)
	}
	for _, axis := range t.Chosen {
		r.Chosen = append(r.Chosen, choices(entries, axis))
	}
	r.Oracle = slices.ContainsFunc(entries, func(e Entry) bool { return e.Oracle })
	return r
}

// distinctResults drops entries that share the result of one before.
func distinctResults(entries []Entry) []Entry {
	var out []Entry
	seen := map[string]bool{}
	for _, e := range entries {
		if e.ID == "" || !seen[e.ID] {
			out = append(out, e)
		}
		seen[e.ID] = true
	}
	return out
}

func newCell(entries []Entry, value func(Entry) (float64, bool)) Cell {
	var c Cell
	for _, e := range entries {
		if x, ok := value(e); ok {
			c.Values = append(c.Values, x)
		}
	}
	c.summarise()
	return c
}

// average is the mean of e over columns; there is none where e lacks one of them.
func average(e Entry, columns []Column) (float64, bool) {
	total := 0.0
	for _, c := range columns {
		x, ok := value(e, c.Name, c.Metric)
		if !ok {
			return 0, false
		}
		total += x
	}
	return total / float64(len(columns)), true
}

func chosenAxes(entries []Entry) []string {
	found := map[string]bool{}
	for _, e := range entries {
		for axis := range e.Chosen {
			found[axis] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// choices lists what entries chose on axis, once where all agree.
func choices(entries []Entry, axis string) string {
	var all []string
	for _, e := range entries {
		if c, ok := e.Chosen[axis]; ok {
			all = append(all, c)
		}
	}
	if len(slices.Compact(slices.Clone(all))) == 1 {
		all = all[:1]
	}
	return strings.Join(all, ", ")
}

// markFew marks cells that rest on fewer values than others do. A row without replicates, and one whose replicates all
// share one result, rest on one value by their nature.
func (t Table) markFew(folded [][]Entry, axes []Axis) {
	most, mostEntries := 0, 0
	for i, r := range t.Rows {
		mostEntries = max(mostEntries, len(folded[i]))
		for _, c := range r.Cells {
			most = max(most, len(c.Values))
		}
	}
	for i, r := range t.Rows {
		whole := len(folded[i]) == mostEntries && failures(folded[i]) == 0
		for j, c := range r.Cells {
			n := len(c.Values)
			shared := n == 1 && whole
			r.Cells[j].Few = n > 0 && n < most && !shared && replicated(folded[i][0], axes)
		}
	}
}

func replicated(e Entry, axes []Axis) bool {
	return slices.ContainsFunc(axes, func(a Axis) bool { return a.Replicates && e.Point[a.Name] != "" })
}

func (t Table) finishColumn(i int) {
	col, best := t.Columns[i], math.NaN()
	var all []float64
	contenders := 0
	for _, r := range t.Rows {
		c := r.Cells[i]
		all = append(all, c.Values...)
		all = append(all, c.Mean, c.Deviation)
		if c.Interval != nil {
			all = append(all, c.Interval[:]...)
		}
		if r.Oracle || c.Oracle || len(c.Values) == 0 || math.IsNaN(c.Mean) {
			continue
		}
		contenders++
		if math.IsNaN(best) || (c.Mean > best) != col.Lower && c.Mean != best {
			best = c.Mean
		}
	}
	digits := col.digits(all)
	for _, r := range t.Rows {
		c := &r.Cells[i]
		c.Best = contenders > 1 && !col.Plain && !r.Oracle && !c.Oracle && len(c.Values) > 0 && c.Mean == best
		c.Text = c.text(col, digits)
	}
}

func (c Cell) text(col Column, digits int) string {
	s := strings.Join(c.Words, ", ")
	switch {
	case c.Refused:
		return "refused"
	case len(c.Values) > 0:
		s = col.format(c.Mean, digits)
	case s == "":
		return "–"
	}
	switch {
	case c.Interval != nil:
		s += fmt.Sprintf(" [%s, %s]", col.format(c.Interval[0], digits), col.format(c.Interval[1], digits))
	case len(c.Values) > 1 && !col.Difference:
		s += " ± " + col.format(c.Deviation, digits)
	}
	if c.Few {
		s += fmt.Sprintf(" (n=%d)", len(c.Values))
	}
	if c.Oracle {
		s += " " + oracleMark
	}
	return s
}

// Notes explain the marks that t uses.
func (t Table) Notes() []string {
	var notes []string
	add := func(used bool, note string) {
		if used {
			notes = append(notes, note)
		}
	}
	add(t.anyCell(func(c Cell, col Column) bool { return len(c.Values) > 1 && !col.Difference }), "mean ± sample deviation over replicates")
	add(t.anyCell(func(c Cell, col Column) bool { return c.Interval != nil }), "mean difference of pairs, with Student's 95 % confidence interval")
	add(t.anyCell(func(c Cell, col Column) bool { return c.Few }), "n: the results in a cell that has fewer than others")
	add(t.marked(), oracleNote)
	return append(notes, t.Remarks...)
}

const oracleNote = oracleMark + " oracle: chosen on the very data that it reports; never the best"

// marked says that something in t has the mark of an oracle.
func (t Table) marked() bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Oracle }) || t.anyCell(func(c Cell, _ Column) bool { return c.Oracle })
}

func (t Table) anyCell(f func(Cell, Column) bool) bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool {
		for i, c := range r.Cells {
			if f(c, t.Columns[i]) {
				return true
			}
		}
		return false
	})
}

const oracleMark = "†"

// grid is t as texts: a heading line, then the rows.
func (t Table) grid() (heading []string, rows [][]string) {
	heading = slices.Clone(t.Heads)
	for _, c := range t.Columns {
		heading = append(heading, c.Heading())
	}
	for _, axis := range t.Chosen {
		heading = append(heading, axis+" chosen")
	}
	for _, r := range t.Rows {
		line := slices.Clone(r.Heads)
		for _, c := range r.Cells {
			line = append(line, c.Text)
		}
		line = append(line, r.Chosen...)
		if r.Oracle && len(line) > 0 {
			line[0] = strings.TrimSpace(line[0] + " " + oracleMark)
		}
		rows = append(rows, line)
	}
	return heading, rows
}
