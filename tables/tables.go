// Package tables builds the tables and studies of a spec from results that are there: it computes nothing again.
//
// specs says which instances stand in which cell, engine what they measured, and report folds and draws. Every cell
// carries the action keys of what it rests on.
package tables

import (
	"regexp"
	"slices"
	"strings"

	"regft/engine"
	"regft/report"
	"regft/specs"
	"regft/stages"
)

// A Source gives what is known of an instance's results.
type Source func(*specs.Instance) engine.Measure

// Build makes the tables of e, then its studies, in the order of the spec. What has no value is left out of its cell,
// and a remark of the table says why.
func Build(e *specs.Expansion, measure Source) []report.Table {
	var out []report.Table
	for _, t := range e.Spec.Tables {
		out = append(out, buildTable(e, t, measure))
	}
	for _, s := range e.Spec.Studies {
		out = append(out, buildStudy(e, s, measure))
	}
	return out
}

// A builder makes one table.
type builder struct {
	measure Source
	table   report.Table
	columns []specs.Cell // one cell of each column that has a point somewhere
	notes   tally
	chosen  []map[string][]string // in each row, what the nearest selecting stages chose on an axis
}

func buildTable(e *specs.Expansion, t *specs.Table, measure Source) report.Table {
	b := &builder{measure: measure, table: report.Table{Title: t.Name, Heads: t.Rows}}
	cells := e.Cells[t.Name]
	columns := e.Lines(cells, func(c specs.Cell) []stages.Coord { return c.Column })
	for _, h := range t.Values {
		for _, column := range columns {
			b.table.Columns = append(b.table.Columns, newColumn(columnName(column, h.Name), t.Bold, h))
		}
		for _, average := range t.Average {
			c := newColumn(joined(average.Name, h.Name), t.Bold, h)
			c.Average = true
			b.table.Columns = append(b.table.Columns, c)
		}
	}
	at := map[string]specs.Cell{}
	b.columns = make([]specs.Cell, len(columns))
	for _, c := range cells {
		at[place(c.Row, c.Column)] = c
		k := slices.IndexFunc(columns, func(column []stages.Coord) bool { return place(nil, column) == place(nil, c.Column) })
		b.columns[k] = c
	}
	for _, row := range e.Lines(cells, func(c specs.Cell) []stages.Coord { return c.Row }) {
		line := make([]specs.Cell, len(columns))
		for k, column := range columns {
			line[k] = at[place(row, column)]
		}
		b.addRow(t, row, line)
	}
	b.addChosen()
	b.dropConstantHeads()
	b.finish()
	return b.table
}

func place(row, column []stages.Coord) string {
	return specs.Address("", row) + specs.Address("", column)
}

// addRow folds one row: for each value its columns, then their averages.
func (b *builder) addRow(t *specs.Table, row []stages.Coord, line []specs.Cell) {
	r := report.Row{}
	for _, c := range row {
		r.Heads = append(r.Heads, c.Key)
	}
	measured := b.measureAll(line)
	for _, h := range t.Values {
		folds := make([]fold, len(line))
		for k, cell := range line {
			folds[k] = b.foldCell(cell, measured[k], headingOf(h))
			r.Cells = append(r.Cells, folds[k].cell())
		}
		for _, a := range t.Average {
			r.Cells = append(r.Cells, b.average(a, line, folds).cell())
		}
	}
	b.table.Rows = append(b.table.Rows, r)
	b.chosen = append(b.chosen, b.choices(line))
}

// measureAll looks up what the instances of cells measured, and counts what is wrong with that.
func (b *builder) measureAll(line []specs.Cell) [][]engine.Measure {
	out := make([][]engine.Measure, len(line))
	for k, cell := range line {
		for _, i := range cell.Instances {
			m := b.measure(i)
			b.notes.add(i, m)
			out[k] = append(out[k], m)
		}
	}
	return out
}

func (b *builder) finish() {
	b.table.Remarks, b.table.Unrun = append(b.table.Remarks, b.notes.remarks()...), b.notes.unrun
	b.table.Finish()
}

// newColumn is a column of h's values. Its values are fractions where all that h reads is, and h only adds,
// subtracts and takes means.
func newColumn(name, bold string, h specs.Heading) report.Column {
	metrics := h.Metrics()
	fraction := len(metrics) > 0 && !strings.ContainsAny(meanOfSome.ReplaceAllString(h.Text, ")"), "*/") && !slices.ContainsFunc(metrics, func(m string) bool { return !report.IsFraction(m) })
	return report.Column{Name: name, Metric: h.Text, Percent: fraction, Lower: bold == "min", Plain: bold == ""}
}

// meanOfSome is the end of a sum that is divided by a number of terms.
var meanOfSome = regexp.MustCompile(`\)\s*/\s*[1-9][0-9]*(\.0)?\b`)

func columnName(column []stages.Coord, heading string) string {
	var keys []string
	for _, c := range column {
		keys = append(keys, c.Key)
	}
	name := joined(strings.Join(keys, ", "), heading)
	if name == "" {
		return "value"
	}
	return name
}

// joined is a and b where both are there.
func joined(a, b string) string { return strings.TrimSpace(a + " " + b) }
