package source

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A scanner walks YAML text lexically, to find what cannot be parsed as its author meant it. It reads on after a mistake,
// as if that was mended.
type scanner struct {
	file     *File
	outline  outline
	depth    int      // of flow collections
	quote    rune     // around here
	quotedAt Position // where it begins
	started  bool     // a plain scalar has begun
	ended    rune     // what closed the value that ended here, 0 where none did
	touching bool     // nothing stands between that and here
	value    bool     // … or may begin, after a key on this line
	empty    bool     // a comma here would have nothing before it
	question int      // column of a " ? " in this scalar, 0 for none
	deepest  Position // of the first collection that stands too deep
	open     []bracket
	indent   int  // of the line in which the outermost began
	comma    bool // the last line ended with a comma, or with what opens a collection
	lost     bool // a line with a trap was not read to its end
	again    int  // the line after which to go on, where a quote took in too much; 0 for none
	restarts int
	outside  []bool // of each line, whether it begins outside brackets, quotes and block scalars
	out      Diagnostics
}

// A bracket begins a list or a mapping.
type bracket struct {
	Position
	char  rune
	value bool // the entry at hand has its key
}

var (
	blockHeader = regexp.MustCompile(`^[|>][+-]?\d?[+-]?\s*( #.*)?$`)
	anchorName  = regexp.MustCompile(`^[A-Za-z0-9_-]+`)
	nextEntry   = regexp.MustCompile(`^ *(- |[^\s#\[\]{}][^\[\]{}]*:( |$))`)
)

// scanned is a scanner that went through the YAML of f.
func scanned(f *File) *scanner {
	text := *f
	if f.shift > 0 {
		text.lines = slices.Clone(f.lines)
		text.lines[0] = string([]rune(f.lines[0])[f.shift:])
	}
	s := &scanner{file: &text, outline: outline{file: &text}}
	s.scan()
	return s
}

// traps are the mistakes that YAML's own rules make easy.
func (s *scanner) traps(f *File) Diagnostics {
	out := append(s.out, s.outline.out...).Sorted()
	for i := range out {
		if d := &out[i]; d.Start.Line == 1 {
			d.Start.Column, d.End.Column, d.Source = d.Start.Column+f.shift, d.End.Column+f.shift, f.Line(1)
		}
	}
	return out
}

// closer is the counterpart of b.
func (b bracket) closer() rune {
	if b.char == '[' {
		return ']'
	}
	return '}'
}

// pairs are the two brackets, for people.
func (b bracket) pairs() string { return fmt.Sprintf("%c %c", b.char, b.closer()) }

func (s *scanner) fail(line, column, length int, format string, args ...any) *Diagnostic {
	s.out = append(s.out, s.file.errorAt(line, column, length, format, args...))
	return &s.out[len(s.out)-1]
}

// scan goes through the whole file.
func (s *scanner) scan() {
	parent, content := -1, -1 // columns of a block scalar's key, and of its text, -1 while not known
	s.outside = make([]bool, len(s.file.lines))
	for i := 0; i < len(s.file.lines); i++ {
		line := s.file.lines[i]
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if parent >= 0 {
			if strings.TrimSpace(line) == "" || content >= 0 && indent >= content {
				continue
			}
			if content < 0 && indent > parent {
				content = indent
				continue
			}
		}
		parent, content = -1, -1
		s.begin(i+1, line, indent)
		if s.depth == 0 && s.quote == 0 {
			s.outside[i] = true
			s.indent = indent
			if s.tab(i+1, line) || s.oddSpace(i+1, line) || s.outline.continues(indent, line[indent:]) || s.outline.line(i+1, line) {
				continue
			}
		}
		if s.line(i+1, []rune(line)) {
			parent = indent
			if top := s.outline.top(); top != nil {
				parent = top.column
			}
		}
		if len(s.out)+len(s.outline.out) >= maxTraps {
			return
		}
		if s.quote != 0 && i+1 == len(s.file.lines) {
			s.fail(s.quotedAt.Line, s.quotedAt.Column, 1, "this %c has no other that ends its text", s.quote)
			s.again = s.quotedAt.Line
		}
		if s.again > 0 {
			i, parent, content = s.again-1, -1, -1
			s.again, s.quote, s.ended, s.depth, s.open, s.lost = 0, 0, 0, 0, nil, false
			if s.restarts++; s.restarts > maxRestarts {
				return
			}
		}
	}
	if s.depth > 0 && !s.lost {
		s.unclosed("")
	}
}

// The limits of what is found in one text: mistakes, and quotes without another.
const (
	maxTraps    = 100
	maxRestarts = 20
)

// begin is where a line begins: it may show that brackets above have no counterpart.
func (s *scanner) begin(n int, line string, indent int) {
	switch {
	case s.depth == 0 || s.quote != 0 || strings.TrimSpace(line) == "" || indent > s.indent:
	case s.lost:
		s.depth, s.open, s.lost = 0, nil, false
	case !s.comma && nextEntry.MatchString(line):
		s.unclosed(fmt.Sprintf("line %d begins another entry", n))
		s.depth, s.open = 0, nil
	}
}

// unclosed is the mistake of the bracket that is open.
func (s *scanner) unclosed(note string) {
	b := s.open[len(s.open)-1]
	s.fail(b.Line, b.Column, 1, "this %c has no %c", b.char, b.closer()).Note = note
}

// tab finds a tab in the indentation of a line.
func (s *scanner) tab(n int, line string) bool {
	before := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	at := strings.IndexByte(before, '\t')
	rest := line[len(before):]
	_, _, key := splitKey(rest)
	if top := s.outline.top(); at < 0 || strings.TrimSpace(rest) == "" || top != nil && top.text && !key && !strings.HasPrefix(rest, "- ") {
		return false
	}
	s.fail(n, at+1, 1, "a tab indents this line").Note = "YAML indents with spaces, never with tabs"
	return true
}

// looksBlank are what an editor shows as a space, or as nothing, and YAML takes for a letter.
const looksBlank = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000\ufeff"

var blankStart = regexp.MustCompile(`^(?: *(?:- +)*(?:[A-Za-z_][\w-]*:)?)[` + looksBlank + `]`)

// oddSpace finds what looks like a space where one is meant.
func (s *scanner) oddSpace(n int, line string) bool {
	at := blankStart.FindString(line)
	if at == "" {
		return false
	}
	column := utf8.RuneCountInString(at)
	odd, _ := utf8.DecodeLastRuneInString(at)
	s.fail(n, column, 1, "U+%04X is no space", odd).Note = noSpace
	return true
}

const noSpace = "it looks like one, or like nothing, and YAML reads it as a letter"

// line reads a line. It reports whether the text of the next lines is a block scalar.
func (s *scanner) line(n int, text []rune) (block bool) {
	if s.depth == 0 {
		s.started, s.value, s.question, s.ended = false, false, 0, 0
	}
	s.comma = s.comma && s.quote == 0 && strings.TrimSpace(string(text)) == ""
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.quote != 0:
			i += s.quoted(n, text, i)
		case c == '#' && (i == 0 || text[i-1] == ' '):
			return false
		case s.ended != 0 && c != ' ' && c != '\t' && s.after(n, text, i):
			s.lost = s.depth > 0
			return false
		case (c == '"' || c == '\'') && !s.started:
			s.quote, s.quotedAt = c, Position{n, i + 1}
		case strings.ContainsRune("&*", c) && !s.started:
			if i = s.named(n, text, i); i < 0 {
				s.lost = s.depth > 0
				return false
			}
		case c == '!' && !s.started: // a tag, which what follows has
			for i+1 < len(text) && text[i+1] != ' ' {
				i++
			}
		case strings.ContainsRune("|>", c) && !s.started && s.depth == 0 && (s.value || strings.TrimLeft(string(text[:i]), " -") == ""):
			if blockHeader.MatchString(string(text[i:])) {
				return true
			}
			d := s.fail(n, i+1, 1, "a text of several lines does not begin in the line of its %c", c)
			d.Expected = quoteWhole(string(text[i:]))
			return false
		case s.plain(n, text, i):
			s.lost = s.depth > 0
			return false
		}
		if c != ' ' && c != '\t' {
			s.comma = s.quote == 0 && strings.ContainsRune(",[{", c) && !s.started
			s.touching = true
		} else {
			s.touching = false
		}
	}
	s.touching = false
	return false
}

// named reads the name of an anchor or alias at text[i]. It gives where that ends, -1 where it is none.
func (s *scanner) named(n int, text []rune, i int) int {
	c := text[i]
	name := anchorName.FindString(string(text[i+1:]))
	next := i + 1 + len(name)
	if name != "" && (next == len(text) || strings.ContainsRune(" ,]}:", text[next])) {
		s.started = c == '*'
		return next - 1
	}
	d := s.fail(n, i+1, 1, "a text that starts with %c must be quoted", c)
	d.Expected = fmt.Sprintf(`"%c…"`, c)
	d.Note = fmt.Sprintf("YAML reads an unquoted %c as the start of %s, whose name is letters, digits, _ and -", c, map[rune]string{'&': "an anchor", '*': "an alias"}[c])
	return -1
}

// quoted handles a character inside quotes, and says how many more to skip.
func (s *scanner) quoted(n int, text []rune, i int) int {
	switch {
	case s.quote == '"' && text[i] == '\\':
		if i+1 < len(text) && !strings.ContainsRune("0abt\tnvfre \"/\\N_LPxuU", text[i+1]) {
			d := s.fail(n, i+1, 2, `\%c means nothing within "…"`, text[i+1])
			d.Expected = fmt.Sprintf(`\\%c, or the text within '…'`, text[i+1])
		}
		return 1
	case text[i] == s.quote && s.quote == '\'' && i+1 < len(text) && text[i+1] == '\'':
		return 1
	case text[i] == s.quote:
		s.ended, s.quote, s.started = s.quote, 0, true
		s.empty = false
	}
	return 0
}

// after handles a character after a value that has ended. It reports whether the rest of the line makes no sense.
func (s *scanner) after(n int, text []rune, i int) bool {
	c, ended := text[i], s.ended
	s.ended = 0
	if c == ':' || s.depth > 0 && strings.ContainsRune(",]}", c) {
		return false
	}
	quoted := ended == '"' || ended == '\''
	switch {
	case quoted && s.quotedAt.Line < n:
		d := s.fail(s.quotedAt.Line, s.quotedAt.Column, 1, "this %c has no other in its line", ended)
		d.Note = fmt.Sprintf("the text goes on to the next %c, in line %d", ended, n)
		s.again = s.quotedAt.Line
	case !quoted && s.depth == 0 && strings.ContainsRune("]}", c):
		s.fail(n, i+1, 1, "this %c closes nothing", c)
	case c == ',':
		s.fail(n, i+1, 1, "no comma ends an entry that stands in lines of its own")
	case s.depth > 0 && !s.touching:
		s.fail(n, i+1, 1, "a comma is missing before this")
	case !quoted:
		s.fail(n, i+1, len(text)-i, "nothing follows a %c that ends a value", ended)
	default:
		d := s.fail(n, i+1, 1, "the text ended at the %c before this", ended)
		whole := strings.TrimSpace(string(text[max(0, s.quotedAt.Column-1):]))
		if s.depth == 0 && !strings.Contains(whole, " #") && (!strings.Contains(whole, `"`) || !strings.Contains(whole, "'")) && !s.touching {
			d.Expected = quoteWhole(whole)
		}
		d.Note = map[rune]string{'\'': `within '…' a ' is written ''`, '"': `within "…" a " is written \"; within '…' it needs nothing`}[ended]
	}
	return true
}

// quoteWhole is text in such quotes as it needs.
func quoteWhole(text string) string {
	if strings.ContainsAny(text, `"\`) {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return `"` + text + `"`
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
		d := s.fail(n, i+1, 2, "${ must be quoted inside { } or [ ]")
		d.Expected = `"${…}"`
		d.Note = "YAML reads the { of an unquoted ${ as the start of a mapping"
		return true
	case c == '$' && next == '{':
		s.started = true
	case strings.ContainsRune("@`%", c) && !s.started && !strings.HasPrefix(string(text), "%YAML ") && !strings.HasPrefix(string(text), "%TAG "):
		s.fail(n, i+1, 1, "a text that starts with %c must be quoted", c).Expected = fmt.Sprintf(`"%c…"`, c)
		return true
	case c == '?' && next == ' ' && s.started:
		s.question = i + 1
	case c == ':' && next == ' ' && s.question > 0:
		s.ternary(n, i+1)
		return true
	case c == ':' && next == ' ' && s.value && s.started && s.depth == 0:
		d := s.fail(n, i+1, 1, `a text with ": " in it must be quoted`)
		d.Note = "YAML reads the \": \" of an unquoted text as the end of a key"
		return true
	case c == ':' && next == ' ' && s.started && s.depth > 0 && s.open[s.depth-1].value:
		d := s.fail(n, i+1, 1, `a second ": " in one entry of a mapping`)
		d.Note = "a comma is missing before it, or the text must be quoted"
		return true
	case c == '-' && next == ' ' && !s.started && s.depth > 0:
		s.fail(n, i+1, 1, "a - has no place within %s", s.open[s.depth-1].pairs()).Note = "elements are written with commas between them"
		return true
	case c == '-' && next == ' ' && !s.started && s.value:
		d := s.fail(n, i+1, 1, "a list does not begin in the line of its key")
		d.Expected = "[" + strings.TrimSpace(string(text[i+1:])) + "], or each - in a line of its own"
		return true
	case strings.ContainsRune("[{", c) && s.started && s.depth > 0:
		d := s.fail(n, i+1, 1, "a text with %c in it must be quoted inside { } or [ ]", c)
		d.Note = "YAML reads the " + string(c) + " as the start of a list or mapping"
		return true
	case strings.ContainsRune("[{", c) && !s.started:
		s.open = append(s.open, bracket{Position{n, i + 1}, c, false})
		if s.depth++; s.depth == maxDepth+1 && s.deepest == (Position{}) {
			s.deepest = Position{n, i + 1}
		}
		s.started, s.question, s.empty = false, 0, true
	case strings.ContainsRune("]}", c) && s.depth > 0:
		s.close(n, i, c)
	case strings.ContainsRune("]}", c) && !s.started:
		s.fail(n, i+1, 1, "this %c closes nothing", c)
		return true
	case c == ',' && s.depth > 0 && s.empty:
		s.fail(n, i+1, 1, "nothing stands before this comma")
	case c == ',' && s.depth > 0, c == ':' && next == ' ', c == '-' && next == ' ' && !s.started:
		if s.depth > 0 && c != '-' {
			s.open[s.depth-1].value = c == ':'
		}
		s.started, s.question = false, 0
		s.empty = c == ','
		s.value = s.value || c == ':' && s.depth == 0
	case !unicode.IsSpace(c):
		s.started, s.empty = true, false
	}
	return false
}

// close handles the bracket c at text[i]: the one that it closes is the last of its kind, those above it have none.
func (s *scanner) close(n, i int, c rune) {
	at := s.depth - 1
	for at >= 0 && s.open[at].closer() != c {
		at--
	}
	if at < 0 {
		s.fail(n, i+1, 1, "this %c closes nothing", c)
		return
	}
	for _, b := range s.open[at+1:] {
		s.fail(b.Line, b.Column, 1, "this %c has no %c", b.char, b.closer())
	}
	s.depth, s.open = at, s.open[:at]
	s.started, s.question, s.empty, s.ended = false, 0, false, c
}

func (s *scanner) ternary(line, column int) {
	d := s.fail(line, column, 1, `": " inside an expression must be quoted`)
	d.Expected = `'condition ? value : other'`
	d.Note = "YAML reads the \": \" of an unquoted ?: as the end of a key"
}

// control finds characters that no YAML text has.
func (f *File) control() Diagnostics {
	for i, line := range f.lines {
		for at, c := range line {
			if c != '\t' && c != '\x85' && (unicode.IsControl(c) || c == '\ufffe' || c == '\uffff') {
				d := f.errorAt(i+1, utf8.RuneCountInString(line[:at])+1, 1, "a control character, U+%04X, has no place in a text", c)
				d.Note = "most editors do not show it: delete it"
				return Diagnostics{d}
			}
		}
	}
	return nil
}
