package report

import (
	"fmt"
	"strings"
)

// The marks around a table, by which Check finds it in a paper.
const (
	markTable = "regft:table "
	markEnd   = "regft:end"
)

// LaTeX draws t as a tabular of the booktabs package between comments by which Check finds it again.
func (t Table) LaTeX() string {
	heading, rows := t.grid()
	var b strings.Builder
	b.WriteString("% " + markTable + oneLine(t.Title) + "\n")
	b.WriteString("\\begin{tabular}{" + strings.Repeat("l", len(t.Heads)) + strings.Repeat("r", len(heading)-len(t.Heads)) + "}\n\\toprule\n")
	latexLine(&b, heading)
	b.WriteString("\\midrule\n")
	for y, line := range rows {
		for x := range line {
			line[x] = escapeLaTeX(line[x])
			if t.best(x, y) {
				line[x] = "\\textbf{" + line[x] + "}"
			}
		}
		b.WriteString(strings.Join(line, " & ") + " \\\\\n")
	}
	b.WriteString("\\bottomrule\n")
	if t.marked() { // other notes are comments, for the author to put where they belong
		fmt.Fprintf(&b, "\\multicolumn{%d}{l}{\\footnotesize %s} \\\\\n", len(heading), escapeLaTeX(oracleNote))
	}
	b.WriteString("\\end{tabular}\n")
	for _, note := range t.Notes() {
		b.WriteString("% " + oneLine(note) + "\n")
	}
	return b.String() + "% " + markEnd + "\n"
}

func latexLine(b *strings.Builder, cells []string) {
	for x, cell := range cells {
		cells[x] = escapeLaTeX(cell)
	}
	b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
}

var latexSpecial = strings.NewReplacer(
	`\`, `\textbackslash{}`, "&", `\&`, "%", `\%`, "$", `\$`, "#", `\#`, "_", `\_`, "{", `\{`, "}", `\}`, "~", `\textasciitilde{}`, "^", `\textasciicircum{}`,
	"±", `$\pm$`, "–", "--", "−", "$-$", "∞", `$\infty$`, oracleMark, `$^\dagger$`, "[", "{[}", "]", "{]}", "<", "$<$", ">", "$>$",
)

// escapeLaTeX is s as LaTeX text. Brackets are in braces: after \\ they would be an option of it.
func escapeLaTeX(s string) string { return latexSpecial.Replace(oneLine(s)) }

// MarkedMarkdown draws t as Markdown between comments by which Check finds it again.
func (t Table) MarkedMarkdown() string {
	return "<!-- " + markTable + strings.ReplaceAll(oneLine(t.Title), "--", "- -") + " -->\n" + t.Markdown() + "<!-- " + markEnd + " -->\n"
}

// HTML draws t as a table element, with the action keys of a cell as its title.
func (t Table) HTML() (string, error) {
	var b strings.Builder
	if err := pageTemplate().ExecuteTemplate(&b, "table", t); err != nil {
		return "", err
	}
	return b.String(), nil
}
