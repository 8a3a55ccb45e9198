package report

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// Text draws t with aligned columns for a terminal. The best of each column is bold with bold, else marked *.
func (t Table) Text(bold bool) string {
	heading, rows := t.grid()
	if len(rows) == 0 {
		return ""
	}
	lines := append([][]string{heading}, rows...)
	width := make([]int, len(heading))
	for y, line := range lines {
		for x, cell := range line {
			line[x] = oneLine(cell)
			if !bold && t.anyBest(x) {
				line[x] += map[bool]string{true: " *", false: "  "}[y > 0 && t.best(x, y-1)]
			}
			width[x] = max(width[x], runewidth.StringWidth(line[x]))
		}
	}
	var b strings.Builder
	for y, line := range lines {
		t.textLine(&b, line, width, func(x int) bool { return bold && (y == 0 || t.best(x, y-1)) })
		if y == 0 {
			b.WriteString(strings.Repeat("─", sum(width)+2*(len(width)-1)) + "\n")
		}
	}
	for _, note := range t.textNotes(bold) {
		b.WriteString(note + "\n")
	}
	return b.String()
}

func (t Table) textNotes(bold bool) []string {
	notes := t.Notes()
	for x := range len(t.Heads) + len(t.Columns) {
		if !bold && t.anyBest(x) {
			return append(notes, "* the best of its column")
		}
	}
	return notes
}

// textLine writes one line: heads to the left, values to the right.
func (t Table) textLine(b *strings.Builder, line []string, width []int, bold func(x int) bool) {
	var out strings.Builder
	for x, cell := range line {
		pad := strings.Repeat(" ", width[x]-runewidth.StringWidth(cell))
		if bold(x) && cell != "" {
			cell = "\x1b[1m" + cell + "\x1b[0m"
		}
		if x > 0 {
			out.WriteString("  ")
		}
		if x < len(t.Heads) {
			out.WriteString(cell + pad)
		} else {
			out.WriteString(pad + cell)
		}
	}
	b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
}

// best tells whether column x of the grid is the best one in row y.
func (t Table) best(x, y int) bool {
	x -= len(t.Heads)
	return x >= 0 && x < len(t.Columns) && t.Rows[y].Cells[x].Best
}

func (t Table) anyBest(x int) bool {
	for y := range t.Rows {
		if t.best(x, y) {
			return true
		}
	}
	return false
}

func sum(xs []int) int {
	total := 0
	for _, x := range xs {
		total += x
	}
	return total
}

// oneLine takes what would break a line or drive a terminal out of a text.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// Markdown draws t as a GitHub table, with its notes below.
func (t Table) Markdown() string {
	heading, rows := t.grid()
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	for x, name := range heading {
		heading[x] = escapeMarkdown(name)
	}
	markdownLine(&b, heading)
	for x := range heading {
		b.WriteString(map[bool]string{true: "|---", false: "|--:"}[x < len(t.Heads)])
	}
	b.WriteString("|\n")
	for y, line := range rows {
		for x := range line {
			line[x] = escapeMarkdown(line[x])
			if t.best(x, y) {
				line[x] = "**" + line[x] + "**"
			}
		}
		markdownLine(&b, line)
	}
	for _, note := range t.Notes() {
		b.WriteString("\n" + note + "\n")
	}
	return b.String()
}

func markdownLine(b *strings.Builder, cells []string) {
	for _, cell := range cells {
		b.WriteString("| " + cell + " ")
	}
	b.WriteString("|\n")
}

var markdownSpecial = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "&", "&amp;", "[", `\[`)

func escapeMarkdown(s string) string { return markdownSpecial.Replace(oneLine(s)) }
