package report

import (
	"regexp"
	"strings"
	"sync"
)

// A markedTable is the rows of a table in a text.
type markedTable struct {
	name    string
	line    int
	closed  bool
	heading []string // cells of the last row above the first rule; nil where there is none
	rows    []paperRow
}

// A paperRow is one row of cells in a text.
type paperRow struct {
	line  int
	cells []string
}

func markedTables(text string) []*markedTable {
	var out []*markedTable
	var open *markedTable
	var body []string
	for n, line := range strings.Split(text, "\n") {
		_, name, begins := strings.Cut(line, markTable)
		switch {
		case begins:
			name = strings.ReplaceAll(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(name), "-->")), "- -", "--")
			open, body = &markedTable{name: name, line: n + 1}, nil
			out = append(out, open)
		case open != nil && strings.Contains(line, markEnd):
			open.read(body, open.line+1)
			open = nil
		case open != nil:
			body = append(body, line)
		}
	}
	return out
}

var (
	latexRule    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\(midrule|hline|toprule|bottomrule)\b`) })
	latexPartial = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\(cmidrule(\([^)]*\))?|cline)\{[^}]*\}`) })
	latexComment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|[^\\])%.*$`) })
	markdownRule = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\|(\s*:?-+:?\s*\|)+$`) })
)

// A rowReader gathers the rows below the heading of a table in a text.
type rowReader struct {
	heading []string
	rows    []paperRow
	headed  bool
	pending string // of a LaTeX row, which may go over several lines …
	start   int    // … from this one
}

// read reads the lines between the marks, of which the first has a number.
func (m *markedTable) read(lines []string, first int) {
	var r rowReader
	for k, line := range lines {
		line = strings.TrimSpace(line)
		switch {
		case markdownRule().MatchString(line):
			r.rule()
		case strings.HasPrefix(line, "|"):
			r.rows = append(r.rows, paperRow{first + k, markdownCells(line)})
		default:
			r.latex(latexPartial().ReplaceAllString(latexComment().ReplaceAllString(line, "$1"), ""), first+k)
		}
	}
	if strings.Contains(r.pending, "&") {
		r.flush()
	}
	if !r.headed && len(r.rows) > 0 {
		r.heading, r.rows = r.rows[0].cells, r.rows[1:]
	}
	m.closed, m.heading, m.rows = true, r.heading, r.rows
}

// rule ends the heading, if there was one yet. Rules below some of its columns are none.
func (r *rowReader) rule() {
	if !r.headed && len(r.rows) > 0 {
		r.heading, r.rows, r.headed = r.rows[len(r.rows)-1].cells, nil, true
	}
}

// latex reads a line: rules, and rows that end with \\.
func (r *rowReader) latex(line string, n int) {
	for {
		at := latexRule().FindStringIndex(line)
		text := line
		if at != nil {
			text = line[:at[0]]
		}
		if strings.TrimSpace(r.pending) == "" {
			r.start = n
		}
		r.pending += text + " "
		if strings.Contains(text, `\\`) {
			r.flush()
		}
		if at == nil {
			return
		}
		r.rule()
		line = line[at[1]:]
	}
}

func (r *rowReader) flush() {
	r.rows = append(r.rows, latexRows(r.pending, r.start)...)
	r.pending = ""
}

var unescapedBar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|[^\\])\|`) })

// markdownCells are the cells of a row that begins with |.
func markdownCells(line string) []string {
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	var cells []string
	for {
		at := unescapedBar().FindStringIndex(line)
		if at == nil {
			return append(cells, line)
		}
		cells, line = append(cells, line[:at[1]-1]), line[at[1]:]
	}
}

var unescapedAnd = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|[^\\])&`) })

// latexRows are the rows of a text that ends with \\.
func latexRows(text string, line int) []paperRow {
	var out []paperRow
	for row := range strings.SplitSeq(text, `\\`) {
		if strings.TrimSpace(row) == "" {
			continue
		}
		var cells []string
		for at := unescapedAnd().FindStringIndex(row); at != nil; at = unescapedAnd().FindStringIndex(row) {
			cells, row = append(cells, row[:at[1]-1]), row[at[1]:]
		}
		out = append(out, paperRow{line, append(cells, row)})
	}
	return out
}
