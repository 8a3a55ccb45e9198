package source

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// implied are the values of a spec that exist although nobody wrote them.
var implied = []string{"name", "seed"}

// A step of a path: a key, or an index.
type step struct {
	name       string
	start, end int // characters of the argument
}

// set puts YAML at a path of the tree: PATH=YAML, where PATH is names with dots between, names in quotes, ["name"] and [n].
func (l *loader) set(arg string) {
	arg = strings.TrimPrefix(arg, "\ufeff")
	f := newFile("--set "+arg, "", []byte(arg))
	steps, value, problem := parseSet(arg)
	if !utf8.ValidString(arg) {
		problem = "this is not UTF-8 text"
	}
	if problem == "" && strings.ContainsAny(strings.TrimSuffix(arg, value), lineBreaks) {
		problem = "this is no path: a line ends in it"
	}
	if problem != "" {
		d := f.errorAt(1, 1, len([]rune(arg)), "%s", problem)
		d.Expected = "PATH=YAML, as in vars.clip=/models/clip"
		l.out = append(l.out, d)
		return
	}
	f.shift = len([]rune(arg)) - len([]rune(value))
	text := newFile(f.Name, "", []byte(value))
	text.shift, text.lines = f.shift, f.lines
	n, problems := text.parse([]byte(value))
	l.out = append(l.out, problems...)
	if problems != nil {
		return
	}
	if n == nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}
	}
	if n = l.plain(text, n); n == nil {
		return
	}
	if root, ok := l.replace(f, l.tree.Root, steps, 0, n); ok {
		l.tree.Root = root
		var names []string
		for _, s := range steps {
			names = append(names, s.name)
		}
		l.tree.set = append(l.tree.set, names)
	}
}

// Argument is a text of the command line as a scalar, whose places are those in the text.
func (t *Tree) Argument(flag, text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: 1, Column: 1}
	t.files[n] = newFile(flag+" "+text, "", []byte(text))
	return n
}

// replace is n with value at steps[i:], as a copy along the path.
func (l *loader) replace(f *File, n *yaml.Node, steps []step, i int, value *yaml.Node) (*yaml.Node, bool) {
	if i == len(steps) {
		return value, true
	}
	s := steps[i]
	out := *n
	out.Content = slices.Clone(n.Content)
	l.tree.files[&out] = l.tree.files[n]
	j := child(n, s.name)
	if j < 0 {
		if i == 0 && len(steps) == 1 && slices.Contains(implied, s.name) {
			key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.name, Line: 1, Column: 1}
			l.tree.files[key] = &File{Name: f.Name, lines: f.lines}
			out.Content = append(out.Content, key, value)
			return &out, true
		}
		if l.tree.Part {
			return nil, false
		}
		d := f.errorAt(1, s.start+1, s.end-s.start, "the spec has no %s to set", pathText(steps[:i+1]))
		if near := expr.Nearest(s.name, keysOf(n)); near != "" {
			d.Nearest = stepText(near)
		}
		d.Expected = alternatives(n)
		d.Note = "--set changes what the spec says, and adds nothing"
		if strings.Contains(d.Expected, `"`) {
			d.Note += `; a name with a dot, a bracket, = or a quote in it stands in quotes: '--set PATH."a.b"=YAML' in a shell`
		}
		l.out = append(l.out, d)
		return nil, false
	}
	changed, ok := l.replace(f, n.Content[j], steps, i+1, value)
	if !ok {
		return nil, false
	}
	out.Content[j] = changed
	return &out, true
}

// child is the index in n.Content of what name leads to, -1 for nothing.
func child(n *yaml.Node, name string) int {
	switch n.Kind {
	case yaml.MappingNode:
		if j := find(n, name); j >= 0 {
			return j + 1
		}
	case yaml.SequenceNode:
		if j, err := strconv.Atoi(name); err == nil && j >= 0 && j < len(n.Content) {
			return j
		}
	}
	return -1
}

// alternatives are the steps that n has.
func alternatives(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		return fmt.Sprintf("[0] to [%d]", len(n.Content)-1)
	case n.Kind == yaml.MappingNode && len(n.Content) == 2:
		return stepText(n.Content[0].Value)
	case n.Kind == yaml.MappingNode && 0 < len(n.Content) && len(n.Content) <= 40:
		return "one of " + strings.Join(stepsOf(n), ", ")
	}
	return ""
}

func keysOf(n *yaml.Node) []string {
	var out []string
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			out = append(out, n.Content[i].Value)
		}
	}
	return out
}

// stepsOf are the keys of n as a path has them.
func stepsOf(n *yaml.Node) []string {
	out := keysOf(n)
	for i, name := range out {
		out[i] = stepText(name)
	}
	return out
}

func pathText(steps []step) string {
	var out []string
	for _, s := range steps {
		out = append(out, stepText(s.name))
	}
	return strings.Join(out, ".")
}

// parseSet splits PATH=YAML.
func parseSet(arg string) (steps []step, value, problem string) {
	text := []rune(arg)
	for i := 0; ; {
		s, next, bad := parseStep(text, i)
		if bad != "" {
			return nil, "", bad
		}
		steps = append(steps, s)
		for next < len(text) && text[next] == '[' {
			if s, next, bad = parseIndex(text, next); bad != "" {
				return nil, "", bad
			}
			steps = append(steps, s)
		}
		if next == len(text) {
			return nil, "", "--set lacks the = between path and value"
		}
		switch text[next] {
		case '=':
			return steps, string(text[next+1:]), ""
		case '.':
			i = next + 1
		default:
			return nil, "", "this is no path: want . or = after " + s.name
		}
	}
}

// parseStep reads a name, or a name in quotes, at text[i].
func parseStep(text []rune, i int) (s step, next int, problem string) {
	if i < len(text) && (text[i] == '"' || text[i] == '\'') {
		return parseQuoted(text, i)
	}
	next = i
	for next < len(text) && !strings.ContainsRune(".=[", text[next]) {
		next++
	}
	if next == i {
		return s, 0, "this is no path: a name is missing"
	}
	return step{string(text[i:next]), i, next}, next, ""
}

// parseQuoted reads a name in quotes at text[i], in which \ stands before a quote or another \.
func parseQuoted(text []rune, i int) (s step, next int, problem string) {
	var name []rune
	for next = i + 1; next < len(text); next++ {
		switch c := text[next]; {
		case c == text[i]:
			return step{string(name), i, next + 1}, next + 1, ""
		case c == '\\' && next+1 < len(text) && strings.ContainsRune(`"'\`, text[next+1]):
			next++
		}
		name = append(name, text[next])
	}
	return s, 0, "the quotes in the path do not end"
}

// parseIndex reads [n] or ["name"] at text[i].
func parseIndex(text []rune, i int) (s step, next int, problem string) {
	if i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\'') {
		s, next, problem = parseQuoted(text, i+1)
		if problem == "" && (next == len(text) || text[next] != ']') {
			problem = "the brackets in the path do not end"
		}
		return s, next + 1, problem
	}
	end := slices.Index(text[i:], ']')
	if end < 0 {
		return s, 0, "the brackets in the path do not end"
	}
	return step{string(text[i+1 : i+end]), i + 1, i + end}, i + end + 1, ""
}

// stepText is name as a path has it: in quotes where it would not be read as one name.
func stepText(name string) string {
	if name != "" && !strings.ContainsAny(name, " .=[]\"'") {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// Touched reports whether a value was set at path, above or below it.
func (t *Tree) Touched(path ...string) bool {
	for _, s := range t.set {
		n := min(len(s), len(path))
		if slices.Equal(s[:n], path[:n]) {
			return true
		}
	}
	return false
}
