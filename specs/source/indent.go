package source

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The ends of what is said of lines that are indented like nothing above them.
const (
	hasValue     = "which has its value already"
	whereNothing = "where nothing above begins"
)

// An outline follows the lines of a text that stand outside brackets, quotes and block scalars, to find those whose
// indentation fits nothing above them.
type outline struct {
	file   *File
	levels []level
	out    Diagnostics
}

// A level is a list, or a mapping, of entries that begin at one column.
type level struct {
	column int // from 0
	also   int // … of one that begins elsewhere, which was reported
	list   bool
	open   bool // its last entry has no value yet
	text   bool // … or an unquoted text, which may go on in the next line
	alone  bool // … that stands in a line of its own
	at     Position
	name   string // of its last entry
}

// line reads one line. It reports whether the line is wrong as a whole.
func (o *outline) line(n int, text string) bool {
	indent, empty := indentOf(text)
	if empty {
		return false
	}
	if strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") {
		o.levels = nil
		return false
	}
	found := len(o.out)
	if o.continues(indent, text[indent:]) {
		return false
	}
	column, rest := indent, text[indent:]
	for rest == "-" || strings.HasPrefix(rest, "- ") {
		o.entry(n, column, true, "-")
		next := strings.TrimLeft(rest[1:], " ")
		column += len(rest) - len(next)
		rest = next
	}
	if name, value, ok := splitKey(rest); ok {
		o.entry(n, column, false, name)
		o.value(value)
	} else if rest != "" && rest[0] != '#' {
		o.loose(n, column, rest, column == indent)
	}
	return len(o.out) > found
}

// continues reports whether a line belongs to the text that the line above it ends with.
func (o *outline) continues(indent int, rest string) bool {
	if len(o.levels) == 0 {
		return false
	}
	last := o.levels[len(o.levels)-1]
	_, _, key := splitKey(rest)
	return last.text && indent > last.column && !key && !strings.HasPrefix(rest, "- ")
}

// entry is where an entry begins: a - of a list, or a key.
func (o *outline) entry(n, column int, list bool, name string) {
	above := slices.Clone(o.levels)
	for len(o.levels) > 0 && o.top().column > column && o.top().also != column {
		o.levels = o.levels[:len(o.levels)-1]
	}
	also := -1
	if top := o.top(); top != nil && (top.column == column || top.also == column) {
		column, also = top.column, top.also
	}
	if k := len(o.levels); k > 1 && !list && o.top().list && o.top().column == column && o.levels[k-2].column == column {
		o.levels = o.levels[:k-1] // a list may stand right under its key, which another key follows
	}
	closed := len(o.levels) < len(above)
	switch top := o.top(); {
	case top == nil && len(above) == 0:
	case top == nil:
		o.astray(n, column, list, name, above)
		return
	case top.column == column && top.list == list:
		o.levels = o.levels[:len(o.levels)-1]
	case top.column == column && list && top.open:
		top.open = false
	case top.column == column && list:
		o.fail(n, column, name, "a list beside keys")
		o.last().Note = fmt.Sprintf("%s has its value already: the list belongs under a key of its own", top.place())
	case top.column == column:
		o.fail(n, column, name, "a key beside the elements of a list")
		o.last().Note = "the list begins in line " + fmt.Sprint(top.at.Line) + ": what is a key beside it begins further left"
	case closed:
		o.astray(n, column, list, name, above)
		return
	case top.open:
		top.open = false
	case top.alone:
		o.noKey(top.at, top.name)
		o.levels = append(o.levels, level{column: top.at.Column - 1, also: -1, at: top.at, name: top.name})
	default:
		o.fail(n, column, name, "%s is indented further than %s, "+hasValue, shown(name), top.place())
		o.last().Expected = "column " + fmt.Sprint(top.column+1)
		if top.text && !list {
			o.last().Note = "quote the text of line " + fmt.Sprint(top.at.Line) + " if this belongs to it"
		}
		if top.list == list {
			o.instead(top.column, column, list, n, name)
			return
		}
	}
	o.levels = append(o.levels, level{column: column, also: also, list: list, open: true, at: Position{n, column + 1}, name: name})
}

// instead puts an entry that begins at another column in the place of the last level's entry.
func (o *outline) instead(column, also int, list bool, n int, name string) {
	o.levels[len(o.levels)-1] = level{column: column, also: also, list: list, open: true, at: Position{n, also + 1}, name: name}
}

func (o *outline) top() *level {
	if len(o.levels) == 0 {
		return nil
	}
	return &o.levels[len(o.levels)-1]
}

func (o *outline) last() *Diagnostic { return &o.out[len(o.out)-1] }

func (o *outline) fail(n, column int, name, format string, args ...any) {
	at := utf8.RuneCountInString(o.file.Line(n)[:column])
	o.out = append(o.out, o.file.errorAt(n, at+1, utf8.RuneCountInString(name), format, args...))
}

// astray is the mistake of an entry that begins between the columns of those above.
func (o *outline) astray(n, column int, list bool, name string, above []level) {
	o.fail(n, column, name, "%s begins at column %d, "+whereNothing, shown(name), column+1)
	var columns []string
	for i := len(above) - 1; i >= 0; i-- {
		if i+1 < len(above) && above[i].column == above[i+1].column {
			continue
		}
		columns = append(columns, fmt.Sprintf("%d, as %s", above[i].column+1, above[i].place()))
		if above[i].column < column {
			break
		}
	}
	o.last().Expected = "column " + strings.Join(columns, ", or ")
	nearest := len(above) - 1 // of those of its kind, where it probably belongs
	for i, l := range above {
		if l.list == list && (above[nearest].list != list || distance(l.column, column) <= distance(above[nearest].column, column)) {
			nearest = i
		}
	}
	o.levels = above[:nearest+1]
	o.instead(above[nearest].column, column, list, n, name)
}

func distance(a, b int) int { return max(a-b, b-a) }

// deeper reports whether what follows the line at a place is indented further.
func (o *outline) deeper(at Position) bool {
	for n := at.Line + 1; n <= len(o.file.lines); n++ {
		if indent, empty := indentOf(o.file.Line(n)); !empty {
			return indent >= at.Column
		}
	}
	return false
}

// place is l's last entry, for people.
func (l level) place() string {
	if l.list {
		return fmt.Sprintf("the - in line %d", l.at.Line)
	}
	return fmt.Sprintf("%s in line %d", l.name, l.at.Line)
}

func shown(name string) string {
	if name == "-" {
		return "this -"
	}
	return name
}

// value notes what stands after a key in its line.
func (o *outline) value(text string) {
	top := o.top()
	top.open, top.text = text == "" || text[0] == '#', isText(text)
}

// loose is what begins a line, or stands after a -, and is no key.
func (o *outline) loose(n, column int, rest string, begins bool) {
	if !begins {
		o.value(rest)
		return
	}
	for len(o.levels) > 1 && o.top().column > column {
		o.levels = o.levels[:len(o.levels)-1]
	}
	top := o.top()
	at := Position{n, utf8.RuneCountInString(o.file.Line(n)[:column]) + 1}
	text, _, _ := strings.Cut(rest, " #")
	text = strings.TrimRight(text, " ")
	switch {
	case top != nil && top.open && column > top.column:
		top.open, top.text = false, isText(rest)
		if top.alone = isText(text); top.alone {
			top.at, top.name = at, text
		}
	case !isText(text):
	case top != nil && top.list && column == top.column:
		d := o.file.errorAt(at.Line, at.Column, utf8.RuneCountInString(text), "a - is missing before %s", text)
		d.Expected = "- " + text
		o.out = append(o.out, d)
	default:
		o.keyHere(n, column, text, o.noKey(at, text))
	}
}

// noKey is the mistake of a line that should be a key, with or without a value. It reports whether it has none.
func (o *outline) noKey(at Position, text string) (bare bool) {
	var d Diagnostic
	switch m := assigned.FindStringSubmatchIndex(text); {
	case glued.MatchString(text):
		d = o.file.errorAt(at.Line, at.Column+len(glued.FindStringSubmatch(text)[1]), 1, "a space is missing after the :")
		d.Expected = glued.ReplaceAllString(text, "$1: $2")
	case strings.HasPrefix(text, "//"):
		d = o.file.errorAt(at.Line, at.Column, 2, "// begins no comment")
		d.Expected = "#" + text[2:]
	case m != nil:
		d = o.file.errorAt(at.Line, at.Column+m[5], 1, "= gives no key its value")
		d.Expected = assigned.ReplaceAllString(text, "$1: $3")
	case spaced.MatchString(text) && !o.deeper(at):
		name := spaced.FindStringSubmatch(text)[1]
		d = o.file.errorAt(at.Line, at.Column, utf8.RuneCountInString(name), "a : is missing after %s", name)
		d.Expected = spaced.ReplaceAllString(text, "$1: $2")
	default:
		d = o.file.errorAt(at.Line, at.Column, utf8.RuneCountInString(text), "a : is missing after %s", text)
		d.Expected, bare = text+":", true
	}
	o.out = append(o.out, d)
	return bare
}

// keyHere takes a line for a key, so that what belongs to it is not wrong too.
func (o *outline) keyHere(n, column int, name string, open bool) {
	for len(o.levels) > 0 && o.top().column >= column {
		o.levels = o.levels[:len(o.levels)-1]
	}
	o.levels = append(o.levels, level{column: column, also: -1, open: open, at: Position{n, column + 1}, name: name})
}

var (
	spaced   = regexp.MustCompile(`^([A-Za-z_][\w-]*) +([^ ].*)$`)
	glued    = regexp.MustCompile(`^([A-Za-z_][\w-]*):(\S.*)$`)
	assigned = regexp.MustCompile(`^([A-Za-z_][\w-]*)( *)= *(.*)$`)
	properly = regexp.MustCompile(`^([&!]\S*\s*)+`) // anchors and tags
)

// isText reports whether a value is an unquoted text, which may go on in the next line.
func isText(value string) bool {
	value = properly.ReplaceAllString(value, "")
	return value != "" && !strings.ContainsRune("\"'[]{},|>*#@`%", rune(value[0])) && !strings.Contains(value, " #")
}

// splitKey splits a line at the : that ends its key; value has no anchor or tag in front.
func splitKey(text string) (name, value string, ok bool) {
	before := properly.FindString(text)
	name = text[len(before):]
	end := -1
	switch {
	case name == "" || strings.ContainsRune("[{|>*#@`%", rune(name[0])):
		return "", "", false
	case name[0] == '"' || name[0] == '\'':
		end = quotedEnd(name)
	default:
		for i := range name {
			if strings.HasPrefix(name[i:], " #") {
				break
			}
			if name[i] == ':' && (i+1 == len(name) || name[i+1] == ' ' || name[i+1] == '\t') {
				end = i
				break
			}
		}
	}
	if end < 0 {
		return "", "", false
	}
	value = strings.TrimLeft(name[end:], " ")
	if value == "" || value[0] != ':' || len(value) > 1 && value[1] != ' ' && value[1] != '\t' {
		return "", "", false
	}
	value = strings.TrimLeft(value[1:], " \t")
	return before + name[:end], properly.ReplaceAllString(value, ""), true
}

// quotedEnd is the byte after the quoted text that begins text, -1 where it does not end.
func quotedEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[0] == '"' && text[i] == '\\':
			i++
		case text[i] == text[0] && text[0] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == text[0]:
			return i + 1
		}
	}
	return -1
}
