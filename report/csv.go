package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// CSV writes t for other programs: a heading line, numbers in full and as recorded (fractions stay fractions), and for
// each column its mean, the sample deviation and the number of results.
func (t Table) CSV() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	heading := make([]string, 0, len(t.Heads)+3*len(t.Columns))
	for _, h := range t.Heads {
		if h == labelHead {
			h = "label"
		}
		heading = append(heading, h)
	}
	for _, c := range t.Columns {
		heading = append(heading, c.Name, c.Name+" deviation", c.Name+" n")
	}
	for _, axis := range t.Chosen {
		heading = append(heading, axis+" chosen")
	}
	_ = w.Write(append(heading, "oracle")) // a strings.Builder takes everything
	for _, r := range t.Rows {
		line := append([]string{}, r.Heads...)
		for _, c := range r.Cells {
			line = append(line, c.csv()...)
		}
		line = append(line, r.Chosen...)
		_ = w.Write(append(line, strconv.FormatBool(r.Oracle)))
	}
	w.Flush()
	return b.String()
}

func (c Cell) csv() []string {
	mean, deviation := "", ""
	if len(c.Values) > 0 {
		mean = strconv.FormatFloat(round12(c.Mean), 'g', -1, 64)
	}
	if len(c.Values) > 1 {
		deviation = strconv.FormatFloat(round12(c.Deviation), 'g', -1, 64)
	}
	return []string{mean, deviation, strconv.Itoa(len(c.Values))}
}

// WriteCSV writes tables for other programs, a line a cell: which table, row and column, its mean, sample deviation,
// number of results and confidence interval in full and as recorded, what it holds that is no number, whether it is an
// oracle, and the action keys of what it rests on.
func WriteCSV(w io.Writer, tables []Table) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvHead) // Error says it below
	for _, t := range tables {
		_ = out.WriteAll(t.csvLines())
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("writing tables: %w", err)
	}
	return nil
}

// csvHead are the columns of WriteCSV.
var csvHead = []string{"table", "row", "column", "mean", "deviation", "n", "low", "high", "text", "oracle", "actions"}

// csvLines are the lines of t's cells.
func (t Table) csvLines() [][]string {
	var lines [][]string
	for _, r := range t.Rows {
		for i, c := range r.Cells {
			line := append([]string{t.Title, t.rowName(r), t.Columns[i].Name}, c.csv()...)
			lines = append(lines, append(append(line, c.interval()...), strings.Join(c.Words, ", "), strconv.FormatBool(c.Oracle), strings.Join(c.Actions, " ")))
		}
	}
	return lines
}

// rowName names a row by its heads: method=both, steps=10.
func (t Table) rowName(r Row) string {
	var parts []string
	for i, h := range r.Heads {
		parts = append(parts, t.Heads[i]+"="+h)
	}
	return strings.Join(parts, ", ")
}

func (c Cell) interval() []string {
	if c.Interval == nil {
		return []string{"", ""}
	}
	return []string{strconv.FormatFloat(round12(c.Interval[0]), 'g', -1, 64), strconv.FormatFloat(round12(c.Interval[1]), 'g', -1, 64)}
}
