package source

import (
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// span is where characters [start, end) of scalar n's value stand in its file.
func (f *File) span(n *yaml.Node, start, end int) (Position, Position) {
	at := f.align(n)
	if len(at) == 0 {
		p := f.start(n)
		return p, Position{p.Line, p.Column + 1}
	}
	start = min(max(start, 0), len(at)-1)
	last := min(max(end, start+1), len(at)) - 1
	to := at[last]
	if end > len(at) { // past the end of the text
		to.Column++
	}
	return at[start], Position{to.Line, to.Column + 1}
}

func (f *File) start(n *yaml.Node) Position {
	p := Position{max(n.Line, 1), max(n.Column, 1)}
	if p.Line == 1 {
		p.Column += f.shift
	}
	return p
}

// align gives the position of every character of n's value, by walking value and file side by side: they differ only in
// white space, quotes and escapes.
func (f *File) align(n *yaml.Node) []Position {
	r := &reader{file: f, at: f.start(n)}
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		r.at = Position{r.at.Line + 1, 1}
	case yaml.DoubleQuotedStyle:
		r.escapes = true
		r.at.Column++
	case yaml.SingleQuotedStyle:
		r.doubled = true
		r.at.Column++
	}
	value := []rune(n.Value)
	out := make([]Position, len(value))
	for i, c := range value {
		if unicode.IsSpace(c) {
			out[i] = r.at
			r.space()
			continue
		}
		r.skip()
		out[i] = r.at
		r.take()
	}
	return out
}

// A reader walks a file from a position.
type reader struct {
	file             *File
	at               Position
	escapes, doubled bool
	line             []rune // the text of line …
	number           int    // … number
}

func (r *reader) rest() []rune {
	if r.number != r.at.Line {
		r.line, r.number = []rune(r.file.Line(r.at.Line)), r.at.Line
	}
	return r.line[min(r.at.Column-1, len(r.line)):]
}

// skip passes white space, line ends, and escapes that stand for white space.
func (r *reader) skip() {
	for r.at.Line <= len(r.file.lines) {
		rest := r.rest()
		switch {
		case len(rest) == 0:
			r.at = Position{r.at.Line + 1, 1}
		case unicode.IsSpace(rest[0]):
			r.at.Column++
		case r.escapes && len(rest) > 1 && rest[0] == '\\' && strings.ContainsRune(" nrt\t", rest[1]):
			r.at.Column += 2
		case r.escapes && len(rest) == 1 && rest[0] == '\\':
			r.at = Position{r.at.Line + 1, 1}
		default:
			return
		}
	}
}

// space passes one character of white space within a line.
func (r *reader) space() {
	if rest := r.rest(); len(rest) > 0 && unicode.IsSpace(rest[0]) {
		r.at.Column++
	}
}

// take passes one character of the value.
func (r *reader) take() {
	rest := r.rest()
	width := 1
	if len(rest) > 1 && r.escapes && rest[0] == '\\' {
		switch rest[1] {
		case 'x':
			width = 4
		case 'u':
			width = 6
		case 'U':
			width = 10
		default:
			width = 2
		}
	}
	if len(rest) > 1 && r.doubled && rest[0] == '\'' {
		width = 2
	}
	r.at.Column += width
}
