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
	to := at[last].end
	if end > len(at) { // past the end of the text
		to.Column++
	}
	return at[start].start, to
}

// An extent is where one character of a value stands in its file, which may write it with several.
type extent struct{ start, end Position }

func (f *File) start(n *yaml.Node) Position {
	p := Position{max(n.Line, 1), max(n.Column, 1)}
	if p.Line == 1 {
		p.Column += f.shift
	}
	return f.behindAnchor(p)
}

// behindAnchor is where a value begins whose anchor is at a position, where it does in the same line.
func (f *File) behindAnchor(p Position) Position {
	text := []rune(f.Line(p.Line))
	at := p.Column - 1
	if at >= len(text) || text[at] != '&' {
		return p
	}
	for at < len(text) && text[at] != ' ' {
		at++
	}
	for at < len(text) && text[at] == ' ' {
		at++
	}
	if at == len(text) || text[at] == '#' {
		return p
	}
	return Position{p.Line, at + 1}
}

// align gives the extent of every character of n's value, by walking value and file side by side: they differ only in
// white space, quotes and escapes.
func (f *File) align(n *yaml.Node) []extent {
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
	out := make([]extent, len(value))
	for i, c := range value {
		if unicode.IsSpace(c) {
			out[i] = extent{r.at, Position{r.at.Line, r.at.Column + 1}}
			r.space()
			continue
		}
		r.skip()
		out[i].start = r.at
		r.take()
		out[i].end = r.at
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
