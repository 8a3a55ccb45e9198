package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Difference is what a paper and a table disagree about.
type Difference struct {
	Line  int    // of the file, from 1
	Place string // table, row and column
	Paper string // what the file says
	Want  string // what the results say
}

// String is a Difference as a line for people.
func (d Difference) String() string {
	return fmt.Sprintf("line %d: %s: the file says %s, the results say %s", d.Line, d.Place, d.Paper, d.Want)
}

// Check compares the tables in a LaTeX or Markdown text with those of the same names, and gives the names that it
// found. A table stands between a line that holds "regft:table NAME" and one that holds "regft:end", both comments.
//
// Rows of numbers are those below the first rule (\midrule, \hline, |---|), or where there is none, below the first
// row. They are matched by their leading cells where those are the table's, else by their order. In each cell, numbers
// must be the table's mean, deviation or interval, and n, rounded to as many digits as the text gives; it may leave out
// all but the mean.
func Check(tables []Table, text string) (found []string, differences []Difference) {
	for _, m := range markedTables(text) {
		found = append(found, m.name)
		k := slices.IndexFunc(tables, func(t Table) bool { return oneLine(t.Title) == m.name })
		switch {
		case k < 0:
			differences = append(differences, Difference{m.line, "table " + m.name, "that it is here", "that the spec has no such table"})
		case !m.closed:
			differences = append(differences, Difference{m.line, "table " + m.name, "no " + markEnd, "where it ends"})
		default:
			differences = append(differences, m.compare(tables[k])...)
		}
	}
	return found, differences
}

// compare finds what differs between a table in a text and t.
func (m *markedTable) compare(t Table) []Difference {
	if wide := len(t.Heads)+len(t.Columns) > 1; wide { // a row of one cell is a heading among the rows
		m.rows = slices.DeleteFunc(m.rows, func(r paperRow) bool { return len(r.cells) == 1 })
	}
	if len(m.rows) != len(t.Rows) {
		return []Difference{{m.line, "table " + m.name, fmt.Sprintf("%d rows", len(m.rows)), fmt.Sprintf("%d rows", len(t.Rows))}}
	}
	var out []Difference
	order := m.match(t)
	for k, row := range m.rows {
		of := t.Rows[order[k]]
		where := "table " + m.name
		if name := t.rowName(of); name != "" {
			where += ", " + name
		}
		if len(row.cells) < len(t.Heads)+len(t.Columns) {
			out = append(out, Difference{row.line, where, fmt.Sprintf("%d cells", len(row.cells)), fmt.Sprintf("%d cells", len(t.Heads)+len(t.Columns))})
			continue
		}
		for i, c := range of.Cells {
			if text := row.cells[len(t.Heads)+i]; !c.agrees(t.Columns[i], text) {
				out = append(out, Difference{row.line, where + ", " + t.Columns[i].Name, shown(text), c.Text})
			}
		}
	}
	return out
}

func shown(cell string) string {
	if cell = strings.Join(strings.Fields(plain(cell)), " "); cell != "" {
		return cell
	}
	return "nothing"
}

// match says which row of t each row of the text is: by their heads where those agree, else by their order.
func (m *markedTable) match(t Table) []int {
	order := make([]int, len(m.rows))
	used := map[int]bool{}
	named := len(t.Heads) > 0
	for k, row := range m.rows {
		at := slices.IndexFunc(t.Rows, func(r Row) bool { return sameHeads(r, row.cells) })
		named = named && at >= 0 && !used[at]
		order[k], used[at] = at, true
	}
	if !named {
		for k := range order {
			order[k] = k
		}
	}
	return order
}

func sameHeads(r Row, cells []string) bool {
	for i, h := range r.Heads {
		if i >= len(cells) || strings.TrimSpace(plain(cells[i])) != strings.TrimSpace(plain(escapeLaTeX(h))) && strings.TrimSpace(plain(cells[i])) != strings.TrimSpace(plain(escapeMarkdown(h))) {
			return false
		}
	}
	return true
}

var (
	colours    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\(cell|row|text)?color(\[[^\]]*\])?\{[^}]*\}`) })
	commands   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\[A-Za-z]+`) })
	marks      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[{}$^_*\\~` + "`" + `]`) })
	entities   = strings.NewReplacer("&lt;", "<", "&amp;", "&", `\pm`, " ± ", `\infty`, "∞", `\dagger`, oracleMark, `\,`, " ", `\;`, " ", `\%`, "%", "--", "–", "−", "-", `{,}`, "")
	anyNumber  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[-+]?((\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?|∞|NaN)`) })
	countInRow = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(\s*n\s*=\s*(\d+)\s*\)`) })
)

// plain is a cell without its markup.
func plain(cell string) string {
	cell = entities.Replace(colours().ReplaceAllString(cell, ""))
	return marks().ReplaceAllString(commands().ReplaceAllString(cell, ""), "")
}

// agrees tells whether the numbers of a cell in a text are those of c.
func (c Cell) agrees(col Column, text string) bool {
	text = plain(text)
	n := countInRow().FindStringSubmatch(text)
	if n != nil && n[1] != strconv.Itoa(len(c.Values)) {
		return false
	}
	if len(c.Words) > 0 {
		return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), oracleMark)) == strings.TrimSpace(plain(strings.Join(c.Words, ", ")))
	}
	written := anyNumber().FindAllString(countInRow().ReplaceAllString(text, ""), -1)
	want := c.numbers(col)
	if len(want) == 0 || len(written) == 0 {
		return len(want) == 0 && len(written) == 0
	}
	if len(written) > len(want) {
		return false
	}
	for k, w := range written {
		if !rounds(want[k], w) {
			return false
		}
	}
	return true
}

// numbers are what c shows: its mean, then its deviation or the ends of its interval.
func (c Cell) numbers(col Column) []float64 {
	if len(c.Values) == 0 || c.Refused {
		return nil
	}
	out := []float64{c.Mean}
	switch {
	case c.Interval != nil:
		out = append(out, c.Interval[:]...)
	case len(c.Values) > 1 && !col.Difference:
		out = append(out, c.Deviation)
	}
	if col.Percent {
		for i := range out {
			out[i] *= 100
		}
	}
	return out
}

// rounds tells whether x, rounded to the digits of written, is that: ties may go either way.
func rounds(x float64, written string) bool {
	if strings.HasSuffix(written, "∞") {
		return math.IsInf(x, 1) && written[0] != '-' || math.IsInf(x, -1) && written[0] == '-'
	}
	y, err := strconv.ParseFloat(written, 64)
	if err != nil || math.IsNaN(x) || math.IsNaN(y) {
		return err == nil && math.IsNaN(x) && math.IsNaN(y)
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(written), "e")
	_, decimals, _ := strings.Cut(mantissa, ".")
	power, _ := strconv.Atoi(exponent) // none is 0
	half := 0.5 * math.Pow10(power-len(decimals))
	return math.Abs(x-y) <= half*(1+1e-9)+1e-12*math.Abs(x)
}
