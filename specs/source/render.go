package source

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The colours of a terminal.
const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	blue   = "\x1b[34m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// Render writes ds for people: each with its place, its line, a caret under the place, and what would be right.
func (ds Diagnostics) Render(w io.Writer, colour bool) error {
	paint := func(code, text string) string {
		if !colour {
			return text
		}
		return code + text + plain
	}
	for i, d := range ds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		severity := paint(red, string(d.Severity))
		if d.Severity == Warning {
			severity = paint(yellow, string(d.Severity))
		}
		fmt.Fprintf(w, "%s: %s: %s\n", paint(bold, d.Place().String()), severity, d.Summary)
		if strings.TrimSpace(d.Source) != "" {
			before, under, length := excerpt(d)
			fmt.Fprintf(w, "  %s\n  %s%s\n", before, under, paint(red, strings.Repeat("^", length)))
		}
		for _, more := range [][2]string{{"expected", d.Expected}, {"nearest", d.Nearest}, {"note", d.Note}} {
			if more[1] != "" {
				fmt.Fprintf(w, "  %s %s\n", paint(blue, more[0]+":"), more[1])
			}
		}
	}
	_, err := io.WriteString(w, "")
	return err
}

// width is how much of a line is shown.
const width = 100

// excerpt is the part of the line around the place, the indentation under it, and the length of the mark.
func excerpt(d Diagnostic) (line, under string, length int) {
	text := []rune(strings.ReplaceAll(d.Source, "\t", " "))
	start := min(max(d.Start.Column-1, 0), len(text))
	length = 1
	if d.End.Line == d.Start.Line {
		length = max(1, min(d.End.Column-1, len(text))-start)
	}
	from := 0
	if start+length > width {
		from = max(0, start-width/2)
	}
	to := min(len(text), from+width)
	length = min(length, max(1, to-start))
	line = string(text[from:to])
	if from > 0 {
		line, start = "…"+line, start+1
	}
	if to < len(text) {
		line += "…"
	}
	return line, strings.Repeat(" ", start-from), length
}

// maxSource is how much of a line Source has in JSON.
const maxSource = 400

// around is the part of a line, where it is long, around the place.
func (d Diagnostic) around() string {
	text := []rune(d.Source)
	if len(text) <= maxSource {
		return d.Source
	}
	from := min(max(0, d.Start.Column-1-maxSource/2), len(text)-maxSource)
	out := string(text[from : from+maxSource])
	if from > 0 {
		out = "…" + out
	}
	if from+maxSource < len(text) {
		out += "…"
	}
	return out
}

// JSON writes ds for editors: an array of objects. Of a long line, source is what stands around the place.
func (ds Diagnostics) JSON(w io.Writer) error {
	ds = append(Diagnostics{}, ds...)
	for i := range ds {
		ds[i].Source = ds[i].around()
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(ds)
}

var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// GitHub writes ds as workflow commands, which GitHub shows beside the lines of a pull request.
func (ds Diagnostics) GitHub(w io.Writer) error {
	for _, d := range ds {
		text := d.Summary
		for _, more := range [][2]string{{"expected: ", d.Expected}, {"nearest: ", d.Nearest}, {"", d.Note}} {
			if more[1] != "" {
				text += "\n" + more[0] + more[1]
			}
		}
		_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,endLine=%d,endColumn=%d::%s\n", d.Severity, githubProperty.Replace(d.File),
			d.Start.Line, d.Start.Column, d.End.Line, d.End.Column, githubData.Replace(text))
		if err != nil {
			return err
		}
	}
	return nil
}
