package source

import (
	"fmt"
	"regexp"
	"strings"
)

// A scanner walks YAML text lexically, to find what cannot be parsed as its author meant it.
type scanner struct {
	file     *File
	depth    int      // of flow collections
	quote    rune     // around here
	started  bool     // a plain scalar has begun
	value    bool     // … or may begin, after a key on this line
	question int      // column of a " ? " in this scalar, 0 for none
	deepest  Position // of the first collection that stands too deep
	open     []bracket
	crossed  *bracket // the first that another's counterpart closes
	indent   int      // of the line in which the outermost began
	lost     bool     // a line with a trap was not read to its end
	out      Diagnostics
}

// A bracket begins a list or a mapping.
type bracket struct {
	Position
	char  rune
	value bool // the entry at hand has its key
}

var blockScalar = regexp.MustCompile(`(^|[:\-] )\s*[|>][+-]?\d?\s*(#.*)?$`)

// anchorName is a character that an anchor's name may have.
var anchorName = regexp.MustCompile(`[A-Za-z0-9_-]`)

// traps finds the mistakes that YAML's own rules make easy: an unquoted ${ in a flow mapping, the ": " of a ?: or of a
// text, and a text that starts with a character that YAML reserves.
func (f *File) traps() Diagnostics {
	s := &scanner{file: f}
	s.scan()
	return s.out
}

// unclosed finds a bracket that stays open to the end of the text, or to the counterpart of another.
func (f *File) unclosed() Diagnostics {
	s := &scanner{file: f}
	s.scan()
	at := s.crossed
	switch {
	case at != nil:
	case len(s.open) > 0 && s.quote == 0:
		at = &s.open[len(s.open)-1]
	default:
		return nil
	}
	return Diagnostics{f.errorAt(at.Line, at.Column, 1, "this %c has no %c", at.char, at.closer())}
}

// closer is the counterpart of b.
func (b bracket) closer() rune {
	if b.char == '[' {
		return ']'
	}
	return '}'
}

// scan goes through the whole file.
func (s *scanner) scan() {
	block := -1 // indentation of the block scalar's parent
	for i, line := range s.file.lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if block >= 0 && (strings.TrimSpace(line) == "" || indent > block) {
			continue
		}
		block = -1
		if s.lost && strings.TrimSpace(line) != "" && indent <= s.indent {
			s.depth, s.open, s.lost = 0, nil, false
		}
		if s.depth == 0 {
			s.indent = indent
		}
		s.line(i+1, []rune(line))
		if s.depth == 0 && s.quote == 0 && blockScalar.MatchString(line) {
			block = indent
		}
	}
}

func (s *scanner) line(n int, text []rune) {
	if s.depth == 0 {
		s.started, s.value, s.question = false, false, 0
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.quote != 0:
			i += s.quoted(text, i)
		case (c == '"' || c == '\'') && !s.started:
			s.quote = c
		case c == '#' && (i == 0 || text[i-1] == ' '):
			return
		case (c == '&' || c == '!') && !s.started: // of an anchor or a tag, which what follows has
			for i+1 < len(text) && text[i+1] != ' ' {
				i++
			}
		case s.plain(n, text, i):
			s.lost = true
			return
		}
	}
}

// quoted handles a character inside quotes, and says how many more to skip.
func (s *scanner) quoted(text []rune, i int) int {
	switch {
	case s.quote == '"' && text[i] == '\\':
		return 1
	case text[i] == s.quote && s.quote == '\'' && i+1 < len(text) && text[i+1] == '\'':
		return 1
	case text[i] == s.quote:
		s.quote = 0
	}
	return 0
}

// plain handles a character outside quotes; it reports whether the rest of the line makes no sense any more.
func (s *scanner) plain(n int, text []rune, i int) bool {
	c := text[i]
	next := ' '
	if i+1 < len(text) {
		next = text[i+1]
	}
	switch {
	case c == '$' && next == '{' && s.depth > 0:
		d := s.file.errorAt(n, i+1, 2, "${ must be quoted inside { } or [ ]")
		d.Expected = `"${…}"`
		d.Note = "YAML reads the { of an unquoted ${ as the start of a mapping"
		s.out = append(s.out, d)
		return true
	case c == '$' && next == '{':
		s.started = true
	case strings.ContainsRune("@`%", c) && !s.started && (i > 0 || s.depth > 0):
		d := s.file.errorAt(n, i+1, 1, "a text that starts with %c must be quoted", c)
		d.Expected = fmt.Sprintf(`"%c…"`, c)
		s.out = append(s.out, d)
		return true
	case c == '*' && !s.started && (i > 0 || s.depth > 0) && !anchorName.MatchString(string(next)):
		d := s.file.errorAt(n, i+1, 1, "a text that starts with * must be quoted")
		d.Expected = `"*…"`
		d.Note = "YAML reads an unquoted * as the start of an alias"
		s.out = append(s.out, d)
		s.started = true
	case c == '?' && next == ' ' && s.started:
		s.question = i + 1
	case c == ':' && next == ' ' && s.question > 0:
		s.out = append(s.out, s.ternary(n, i+1))
		return true
	case c == ':' && next == ' ' && s.value && s.started && s.depth == 0:
		d := s.file.errorAt(n, i+1, 1, `a text with ": " in it must be quoted`)
		d.Note = "YAML reads the \": \" of an unquoted text as the end of a key"
		s.out = append(s.out, d)
		return true
	case c == ':' && next == ' ' && s.started && s.depth > 0 && s.open[s.depth-1].value:
		d := s.file.errorAt(n, i+1, 1, `a second ": " in one entry of a mapping`)
		d.Note = "a comma is missing before it, or the text must be quoted"
		s.out = append(s.out, d)
		return true
	case strings.ContainsRune("[{", c) && s.started && s.depth > 0:
		d := s.file.errorAt(n, i+1, 1, "a text with %c in it must be quoted inside { } or [ ]", c)
		d.Note = "YAML reads the " + string(c) + " as the start of a list or mapping"
		s.out = append(s.out, d)
		return true
	case strings.ContainsRune("[{", c) && !s.started:
		s.open = append(s.open, bracket{Position{n, i + 1}, c, false})
		if s.depth++; s.depth == maxDepth+1 && s.deepest == (Position{}) {
			s.deepest = Position{n, i + 1}
		}
		s.started, s.question = false, 0
	case strings.ContainsRune("]}", c) && s.depth > 0:
		s.depth--
		if last := s.open[s.depth]; last.closer() != c && s.crossed == nil {
			s.crossed = &last
		}
		s.open = s.open[:s.depth]
		s.started, s.question = false, 0
	case c == ',' && s.depth > 0, c == ':' && next == ' ', c == '-' && next == ' ' && !s.started:
		if s.depth > 0 && c != '-' {
			s.open[s.depth-1].value = c == ':'
		}
		s.started, s.question = false, 0
		s.value = s.value || c == ':' && s.depth == 0
	case c != ' ':
		s.started = true
	}
	return false
}

func (s *scanner) ternary(line, column int) Diagnostic {
	d := s.file.errorAt(line, column, 1, `": " inside an expression must be quoted`)
	d.Expected = `'condition ? value : other'`
	d.Note = "YAML reads the \": \" of an unquoted ?: as the end of a key"
	return d
}
