package source

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	goccy "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"gopkg.in/yaml.v3"
)

// The limits of a spec's text, in bytes: YAML takes some hundred times its size in memory.
const (
	maxFile  = 2 << 20
	maxGoccy = 256 << 10 // of what is parsed once more for the place of a syntax error
)

// A File is a text that nodes come from: a spec file, or a value set on the command line.
type File struct {
	Name  string // as people would type it
	Path  string // absolute; "" for the command line
	lines []string
	shift int // characters of the first line that are not YAML: PATH= of a value set
}

// lineBreaks are the characters that end a line of YAML, lineEnds make them all the same.
const lineBreaks = "\n\r\u0085\u2028\u2029"

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

func newFile(name, path string, text []byte) *File {
	shown := lineEnds.Replace(strings.ToValidUTF8(strings.TrimPrefix(string(text), "\ufeff"), "\ufffd"))
	return &File{Name: name, Path: path, lines: strings.Split(shown, "\n")}
}

// Line is the text of line n, from 1.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return f.lines[n-1]
}

// errorAt is an error that spans length characters.
func (f *File) errorAt(line, column, length int, format string, args ...any) Diagnostic {
	return Diagnostic{Severity: Error, File: f.Name, Summary: fmt.Sprintf(format, args...), Source: f.Line(line),
		Start: Position{line, column}, End: Position{line, column + max(length, 1)}}
}

// parse reads YAML. Its only document's root comes back, nil where the text is empty.
func (f *File) parse(text []byte) (*yaml.Node, Diagnostics) {
	if len(text) > maxFile {
		return nil, Diagnostics{f.errorAt(1, 1, 1, "a spec of %d bytes is longer than %d", len(text), maxFile)}
	}
	if !utf8.Valid(text) {
		line, column := invalidUTF8(text)
		return nil, Diagnostics{f.errorAt(line, column, 1, "this is not UTF-8 text")}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if doc.Kind == 0 && strings.Contains(err.Error(), "EOF") {
			return nil, nil
		}
		return nil, f.syntaxError(text, err)
	}
	if err := decoder.Decode(&second); err == nil && len(second.Content) > 0 {
		d := f.errorAt(second.Content[0].Line, second.Content[0].Column, 1, "a second YAML document")
		d.Note = "a spec is one document; a line of --- starts another"
		return nil, Diagnostics{d}
	} else if err != nil && err.Error() != "EOF" {
		return nil, f.syntaxError(text, err)
	}
	return doc.Content[0], nil
}

func invalidUTF8(text []byte) (line, column int) {
	line, column = 1, 1
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			return line, column
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		text = text[n:]
	}
	return line, column
}

// syntaxError finds where a text is no YAML: at a known trap, else where goccy's parser says, whose places are right
// where those of yaml.v3 are not.
func (f *File) syntaxError(text []byte, err error) Diagnostics {
	s := scanned(f)
	if deep := s.tooDeep(); deep != nil {
		return deep
	}
	if control := f.control(); control != nil {
		return control
	}
	line, column, message := yamlLine(err)
	if name, unknown := strings.CutPrefix(message, "unknown anchor '"); unknown {
		return Diagnostics{f.unknownAnchor(strings.TrimSuffix(name, "' referenced"))}
	}
	if traps := s.traps(f); traps != nil {
		return traps
	}
	var syntax goccy.Error
	if _, second := parseGoccy(text[:min(len(text), maxGoccy)]); second != nil && errors.As(second, &syntax) && syntax.GetToken() != nil {
		at := syntax.GetToken().Position
		line, column, message = at.Line, at.Column, syntax.GetMessage()
	}
	if line == 1 {
		column += f.shift
	}
	return Diagnostics{f.errorAt(line, column, 1, noYAML+"%s", message)}
}

const noAnchor = "there is no anchor &%s above"

// unknownAnchor is the mistake of an alias of a name that no anchor above it has.
func (f *File) unknownAnchor(name string) Diagnostic {
	alias := regexp.MustCompile(`(^|[\s,\[{])\*` + regexp.QuoteMeta(name) + `($|[\s,\]}])`)
	line, column := 1, 1
	for i, text := range f.lines {
		if at := alias.FindStringSubmatchIndex(text); at != nil {
			line, column = i+1, utf8.RuneCountInString(text[:at[3]])+1
			break
		}
	}
	d := f.errorAt(line, column, utf8.RuneCountInString(name)+1, noAnchor, name)
	d.Note = "an unquoted * starts an alias in YAML: quote the text if that is not what you mean"
	return d
}

// noYAML is how diagnostics begin that name no trap.
const noYAML = "this is no YAML: "

// parseGoccy parses with goccy's parser, which panics on some texts.
func parseGoccy(text []byte) (ok bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
		}
	}()
	_, err = parser.ParseBytes(text, 0)
	return err == nil, err
}

var yamlMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func yamlLine(err error) (line, column int, message string) {
	line, column, message = 1, 1, err.Error()
	if m := yamlMessage.FindStringSubmatch(message); m != nil {
		message = m[2]
		if n, e := strconv.Atoi(m[1]); e == nil {
			line = n
		}
	}
	return line, column, message
}
