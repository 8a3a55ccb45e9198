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
// row. They are matched by their leading cells where those are the table's, and columns by their headings; the rest by
// their order. A leading cell without text is that of the row above. In each cell, numbers must be the table's mean,
// deviation or interval, and n, rounded to as many digits as the text gives; it may leave out all but the mean. A column
// of what was chosen is compared where the text has one of that name. An oracle must have its mark, in the cell, its row's
// name or its column's; in a column where the text has something bold, that must be what the table has as the best. Results
// that were not run yet are a difference too.
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
	out = append(out, t.unrun(m.line)...)
	order, at := m.matchRows(t), m.matchColumns(t)
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
			if text := row.cell(at[i]); !c.agrees(t.Columns[i], text) {
				out = append(out, Difference{row.line, where + ", " + t.Columns[i].Name, shown(text), c.Text})
			}
		}
		for i, chosen := range of.Chosen {
			if k := at[len(t.Columns)+i]; k >= 0 && !sameChoice(row.cell(k), chosen) {
				out = append(out, Difference{row.line, where + ", " + t.Chosen[i] + " chosen", shown(row.cell(k)), shown(chosen)})
			}
		}
	}
	return append(out, m.compareMarks(t, order, at)...)
}

// unrun is the difference that results make which a text cannot have yet.
func (t Table) unrun(line int) []Difference {
	if t.Unrun == 0 {
		return nil
	}
	return []Difference{{line, "table " + oneLine(t.Title), "what was measured so far", fmt.Sprintf("that %d more were asked for and not run yet", t.Unrun)}}
}

// compareMarks finds oracles without their mark, and what is bold and not the best or the other way round.
func (m *markedTable) compareMarks(t Table, order, at []int) []Difference {
	var out []Difference
	for i, col := range t.Columns {
		best, bold := "", false // the best as the text has it
		for k, row := range m.rows {
			text := row.cell(at[i])
			bold = bold || isBold(text)
			if t.Rows[order[k]].Cells[i].Best {
				best = anyNumber().FindString(plain(text))
			}
		}
		heading := ""
		if at[i] >= 0 && at[i] < len(m.heading) {
			heading = m.heading[at[i]]
		}
		for k, row := range m.rows {
			c, text := t.Rows[order[k]].Cells[i], row.cell(at[i])
			where := "table " + m.name
			for _, name := range []string{t.rowName(t.Rows[order[k]]), col.Name} {
				if name != "" {
					where += ", " + name
				}
			}
			named := strings.Join(row.cells[:min(len(t.Heads), len(row.cells))], " ") + heading
			if c.Oracle && !strings.Contains(plain(text+named), oracleMark) {
				out = append(out, Difference{row.line, where, shown(text) + " without " + oracleMark, "that it was chosen on the very data that it reports"})
			}
			switch {
			case best == "" || !bold:
			case c.Best && !isBold(text):
				out = append(out, Difference{row.line, where, shown(text) + ", not bold", "that it is the best"})
			case isBold(text) && !c.Best && anyNumber().FindString(plain(text)) != best:
				out = append(out, Difference{row.line, where, shown(text) + " in bold", "that " + best + " is the best"})
			}
		}
	}
	return out
}

func isBold(cell string) bool { return boldText().MatchString(cell) }

// cell is the text of one cell, "" where the row has no such.
func (r paperRow) cell(k int) string {
	if k >= len(r.cells) {
		return ""
	}
	return r.cells[k]
}

// sameChoice tells whether a cell says what was chosen; a number may be written otherwise.
func sameChoice(cell, chosen string) bool {
	cell = strings.TrimSpace(plain(cell))
	x, err := strconv.ParseFloat(cell, 64)
	y, errChosen := strconv.ParseFloat(chosen, 64)
	return cell == strings.TrimSpace(plain(chosen)) || err == nil && errChosen == nil && x == y
}

func shown(cell string) string {
	if cell = strings.Join(strings.Fields(plain(cell)), " "); cell != "" {
		return cell
	}
	return "nothing"
}

// matchRows says which row of t each row of the text is.
func (m *markedTable) matchRows(t Table) []int {
	filled := make([][]string, len(m.rows)) // leading cells; of several rows together, each has them
	for k, row := range m.rows {
		for i := range t.Heads {
			text := row.cell(i)
			if k > 0 && strings.TrimSpace(plain(text)) == "" {
				text = filled[k-1][i]
			}
			filled[k] = append(filled[k], text)
		}
	}
	if len(t.Heads) == 0 {
		return assign(len(m.rows), len(t.Rows))
	}
	return assign(len(m.rows), len(t.Rows),
		func(k, j int) bool { return sameTexts(m.rows[k].cells, t.Rows[j].Heads, isText) },
		func(k, j int) bool { return sameTexts(filled[k], t.Rows[j].Heads, isText) },
		func(k, j int) bool { return sameTexts(filled[k], t.Rows[j].Heads, isTextFolded) })
}

// matchColumns says in which cell of a row of the text each column of t stands, and after them what was chosen: -1 where
// the text leaves that out.
func (m *markedTable) matchColumns(t Table) []int {
	leading := len(t.Heads)
	if len(m.heading) < leading+len(t.Columns) {
		m.heading = make([]string, leading+len(t.Columns)) // one that spans columns, or none
	}
	headings := m.heading[leading:]
	is := func(same func(cell, text string) bool) func(i, j int) bool {
		return func(i, j int) bool {
			return same(headings[j], t.Columns[i].Name) || same(headings[j], t.Columns[i].Heading())
		}
	}
	at := assign(len(t.Columns), len(headings), is(isText), is(isTextFolded))
	for _, axis := range t.Chosen {
		at = append(at, slices.IndexFunc(headings, func(h string) bool {
			return isText(h, axis+" chosen") || isText(h, axis) || strings.Trim(h, ` ${}\`) == axis // as in $\alpha$
		}))
	}
	for i := range at {
		if at[i] >= 0 {
			at[i] += leading
		}
	}
	return at
}

// assign gives each of n things one of most others that nothing else has: the first that is the same by the first
// measure, then by the next; then what is left, in order.
func assign(n, most int, same ...func(i, j int) bool) []int {
	out := slices.Repeat([]int{-1}, n)
	taken := make([]bool, most)
	for _, is := range append(same, func(int, int) bool { return true }) {
		for i := range out {
			for j := 0; j < most && out[i] < 0; j++ {
				if !taken[j] && is(i, j) {
					out[i], taken[j] = j, true
				}
			}
		}
	}
	return out
}

func sameTexts(cells, texts []string, same func(cell, text string) bool) bool {
	for i, text := range texts {
		if i >= len(cells) || !same(cells[i], text) {
			return false
		}
	}
	return true
}

// isText tells whether a cell, its markup apart, is a text.
func isText(cell, text string) bool {
	cell = strings.TrimSpace(plain(cell))
	return cell == strings.TrimSpace(plain(escapeLaTeX(text))) || cell == strings.TrimSpace(plain(escapeMarkdown(text)))
}

// isTextFolded is isText in whatever case.
func isTextFolded(cell, text string) bool {
	return isText(strings.ToLower(cell), strings.ToLower(text))
}

var (
	colours = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\(cell|row|text)?color(\[[^\]]*\])?\{[^}]*\}`) })
	spans   = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\\multi(row|column)(\[[^\]]*\])?\{[^}]*\}(\[[^\]]*\])?\{[^}]*\}`)
	})
	boldText = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\\(textbf|bfseries|mathbf|boldsymbol|bm)\b|\*\*|__|<b>|<strong>`)
	})
	commands   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\[A-Za-z]+`) })
	marks      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[{}$^_*\\~` + "`" + `]`) })
	entities   = strings.NewReplacer("&lt;", "<", "&amp;", "&", `\pm`, " ± ", `\infty`, "∞", `\dagger`, oracleMark, `\,`, " ", `\;`, " ", `\%`, "%", "--", "–", "−", "-", `{,}`, "")
	anyNumber  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[-+]?((\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?|∞|NaN)`) })
	countInRow = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(\s*n\s*=\s*(\d+)\s*\)`) })
)

// plain is a cell without its markup.
func plain(cell string) string {
	cell = entities.Replace(spans().ReplaceAllString(colours().ReplaceAllString(cell, ""), ""))
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
