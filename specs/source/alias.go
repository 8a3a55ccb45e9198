package source

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The limits of a spec. Far below them nothing is slow; far above, a few hundred bytes of aliases fill the memory.
const (
	maxNodes = 500_000
	maxDepth = 100
)

// expander replaces aliases by what they stand for and merge keys by what they bring, and checks every mapping.
type expander struct {
	*loader
	file  *File
	done  map[*yaml.Node]*yaml.Node
	busy  map[*yaml.Node]bool
	sizes map[*yaml.Node]int // nodes below, aliases counted in full
	full  bool               // the limit was reported
}

// plain is n without aliases; nil goes with diagnostics.
func (l *loader) plain(f *File, n *yaml.Node) *yaml.Node {
	x := &expander{loader: l, file: f, done: map[*yaml.Node]*yaml.Node{}, busy: map[*yaml.Node]bool{}, sizes: map[*yaml.Node]int{}}
	return x.node(n, 0)
}

func (x *expander) node(n *yaml.Node, depth int) *yaml.Node {
	x.tree.files[n] = x.file
	if n.Kind == yaml.AliasNode {
		return x.alias(n, depth)
	}
	if done, ok := x.done[n]; ok {
		return done
	}
	if depth > maxDepth {
		x.limit(n, "nested deeper than %d levels", maxDepth)
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		x.scalar(n)
		if n.Anchor != "" {
			plain := *n
			plain.Anchor = ""
			x.tree.files[&plain] = x.file
			x.done[n] = &plain
			n = &plain
		}
		x.sizes[n] = 1
		return n
	}
	x.busy[n] = true
	out := x.collection(n, depth)
	delete(x.busy, n)
	x.done[n] = out
	return out
}

func (x *expander) alias(n *yaml.Node, depth int) *yaml.Node {
	if n.Alias == nil || x.busy[n.Alias] {
		x.out = append(x.out, x.tree.At(n, "*%s stands inside what it stands for", n.Value))
		return nil
	}
	return x.node(n.Alias, depth)
}

// limit reports that the spec is too large, once.
func (x *expander) limit(n *yaml.Node, format string, args ...any) {
	if !x.full {
		x.full = true
		x.out = append(x.out, x.tree.At(n, format, args...))
	}
}

func (x *expander) collection(n *yaml.Node, depth int) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		x.keys(n)
	}
	out := *n
	out.Anchor, out.Content = "", make([]*yaml.Node, 0, len(n.Content))
	size := 1
	for i := 0; i < len(n.Content); i++ {
		if n.Kind == yaml.MappingNode && i%2 == 0 && n.Content[i].Tag == "!!merge" {
			x.tree.files[n.Content[i]] = x.file
			size += x.mergeKey(&out, n, n.Content[i+1], depth)
			i++
			continue
		}
		c := x.node(n.Content[i], depth+1)
		if c == nil {
			return nil
		}
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			x.odd(c)
		}
		size += x.sizes[c]
		if size > maxNodes {
			x.limit(n.Content[i], "with its aliases written out, the spec has more than %d values", maxNodes)
			return nil
		}
		out.Content = append(out.Content, c)
	}
	x.tree.files[&out] = x.file
	x.sizes[&out] = size
	return &out
}

// mergeKey adds to out what <<: brings, less what n says itself.
func (x *expander) mergeKey(out, n, value *yaml.Node, depth int) (size int) {
	sources := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		x.tree.files[value] = x.file
		sources = value.Content
	}
	for _, s := range sources {
		from := x.node(s, depth+1)
		if from == nil {
			continue
		}
		if from.Kind != yaml.MappingNode {
			d := x.tree.At(s, "<<: takes a mapping, or a list of them")
			d.Note = "<<: *NAME puts in the keys of the mapping that &NAME stands at"
			x.out = append(x.out, d)
			x.tree.Part = true
			continue
		}
		for i := 0; i+1 < len(from.Content); i += 2 {
			if key := from.Content[i]; find(n, key.Value) < 0 && find(out, key.Value) < 0 {
				out.Content = append(out.Content, key, from.Content[i+1])
				size += 1 + x.sizes[from.Content[i+1]]
			}
		}
	}
	return size
}

var (
	truthKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?i:on|off|yes|no)$`) })
	sixties  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[1-9][0-9]{0,5}(:[0-5]?[0-9]){1,2}$`) })
	octal    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-+]?0[0-9]+$`) })
)

// keys checks the keys of a mapping.
func (x *expander) keys(n *yaml.Node) {
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		x.tree.files[key] = x.file
		switch {
		case key.Tag == "!!merge":
		case key.Kind != yaml.ScalarNode && key.Kind != yaml.AliasNode:
			d := x.tree.At(key, "a key is a text")
			if key.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 {
				d = x.tree.At(n, "a key is a text")
				d.Note = "YAML reads {{ as a mapping in a mapping; an expression is written \"${…}\", in quotes"
			}
			x.out = append(x.out, d)
		case key.Style == 0 && (truthKey().MatchString(key.Value) || key.Tag == "!!bool" || key.Tag == "!!null"):
			d := x.tree.At(key, "the key %s must be quoted", key.Value)
			d.Expected = `"` + key.Value + `"`
			d.Note = "YAML reads an unquoted " + key.Value + " as " + truth(key)
			x.out = append(x.out, d)
		case x.gluedKey(n, i):
		case seen[key.Value] != nil:
			d := x.tree.At(key, "the key %q is here twice", key.Value)
			d.Note = "the first is at " + x.tree.Place(seen[key.Value]).String()
			x.out = append(x.out, d)
		default:
			seen[key.Value] = key
		}
	}
}

// gluedKey finds a key of a flow mapping that is key:value, without the space that would part them, and parts them.
func (x *expander) gluedKey(n *yaml.Node, i int) bool {
	key, value := n.Content[i], n.Content[i+1]
	name, rest, ok := strings.Cut(key.Value, ":")
	if !ok || rest == "" || name == "" || key.Style != 0 || key.Kind != yaml.ScalarNode || value.Tag != "!!null" || value.Value != "" || strings.HasPrefix(rest, "/") {
		return false
	}
	d := x.tree.At(key, "a space is missing after the :")
	d.Expected = name + ": " + rest
	x.out = append(x.out, d)
	var doc yaml.Node
	if yaml.Unmarshal([]byte(rest), &doc) != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.ScalarNode {
		return true
	}
	parted, meant := *key, *doc.Content[0]
	parted.Value, meant.Line, meant.Column = name, key.Line, key.Column+len([]rune(name))+1
	n.Content[i], n.Content[i+1] = &parted, &meant
	x.tree.files[&parted] = x.file
	return true
}

func truth(key *yaml.Node) string {
	switch {
	case key.Tag == "!!null":
		return "null"
	case slices.Contains([]string{"on", "On", "ON", "yes", "Yes", "YES", "true", "True", "TRUE"}, key.Value):
		return "true"
	}
	return "false"
}

// scalar checks a single value.
func (x *expander) scalar(n *yaml.Node) {
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		d := x.tree.At(n, "YAML tags like %s have no meaning in a spec", n.Tag)
		if d.Start.Line == d.End.Line && strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
			d.Expected = quoteWhole(strings.TrimRight(n.Tag+" "+n.Value, " "))
			d.Note = "YAML reads an unquoted ! as the start of a tag: quote the text if that is not what you mean"
		}
		x.out = append(x.out, d)
	case n.Tag == "!!int" && octal().MatchString(n.Value):
		d := x.tree.At(n, "%s starts with a zero", n.Value)
		d.Note = "YAML reads such a number in base eight: leave the zero out, or quote a text"
		x.out = append(x.out, d)
	case n.Tag == "!!int" || n.Tag == "!!float":
		x.number(n)
	case n.Style == 0 && strings.Trim(n.Value, looksBlank) != n.Value:
		at := 0
		runes := []rune(n.Value)
		if !strings.ContainsRune(looksBlank, runes[0]) {
			at = len(runes) - 1
		}
		d := x.tree.Within(n, at, at+1, "U+%04X is no space", runes[at])
		d.Note = noSpace
		x.out = append(x.out, d)
	case n.Style == 0 && strings.Contains(n.Value, " -"):
		x.dashes(n)
	}
}

// dashes refuses an unquoted text one of whose further lines begins with a -: a list was meant.
func (x *expander) dashes(n *yaml.Node) {
	f := x.tree.file(n)
	var before Position
	value := []rune(n.Value)
	for i, at := range f.align(n) {
		if value[i] == '-' && before.Line != 0 && at.start.Line > before.Line {
			d := f.errorAt(at.start.Line, at.start.Column, 1, "this - begins no element of a list")
			d.Note = fmt.Sprintf("YAML reads the line as more of the text in line %d: ", n.Line)
			if value[0] == '-' {
				d.Note += "a - that begins an element has a space after it"
			} else {
				d.Note += "elements of a list begin at one column, below a key without a value; a text like this is quoted"
			}
			x.out = append(x.out, d)
			return
		}
		if !unicode.IsSpace(value[i]) {
			before = at.start
		}
	}
}

// number refuses numbers that YAML reads otherwise than people, or other programs, may.
func (x *expander) number(n *yaml.Node) {
	how := ""
	switch digits := strings.ToLower(strings.TrimLeft(n.Value, "+-")); {
	case strings.HasPrefix(digits, "0o"):
		how = "in base eight"
	case strings.HasPrefix(digits, "0x"):
		how = "in base sixteen"
	case strings.HasPrefix(digits, "0b"):
		how = "in base two"
	case strings.Contains(digits, "_"):
		how = "with an underscore"
	default:
		return
	}
	d := x.tree.At(n, "%s is a number %s", n.Value, how)
	plain := strings.ReplaceAll(n.Value, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		plain = strconv.FormatInt(i, 10)
	}
	d.Expected = fmt.Sprintf("%s, or %q for a text", plain, n.Value)
	d.Note = "YAML reads an unquoted " + n.Value + " as " + plain
	x.out = append(x.out, d)
}

// foreignForm is how other programs write an expression.
var foreignForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{\{ *(vars|sweep|stages)[.\[][^{}]*\}\}|\$\( *(vars|sweep|stages)\.[^()]*\)|\$(vars|sweep|stages)\.[\w.-]+`)
})

// odd warns of texts that older YAML, and other programs with it, read as something else.
func (x *expander) odd(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.ContainsAny(n.Value, "{$") {
		if at := foreignForm().FindStringIndex(n.Value); at != nil && !strings.HasSuffix(n.Value[:at[0]], "$") {
			start, text := len([]rune(n.Value[:at[0]])), n.Value[at[0]:at[1]]
			d := x.tree.Within(n, start, start+len([]rune(text)), "this is a text, no expression")
			d.Severity = Warning
			d.Expected = "${" + strings.Trim(text, "{}$() ") + "}"
			x.out = append(x.out, d)
		}
	}
	if r, size := utf8.DecodeRuneInString(n.Value); n.Style == 0 && size > 1 && strings.ContainsRune("“”„‟‘’‚«»", r) {
		d := x.tree.At(n, "%c is no quote of YAML: it belongs to the text", r)
		d.Severity = Warning
		d.Expected = quoteWhole(strings.Trim(n.Value, "“”„‟‘’‚«»"))
		x.out = append(x.out, d)
	}
	if meant, note := Misread(n); meant != "" && n.Style == 0 {
		d := x.tree.At(n, "%s is a text here", n.Value)
		d.Severity = Warning
		d.Expected = fmt.Sprintf("%q, or %s", n.Value, meant)
		d.Note = note
		x.out = append(x.out, d)
	}
}

// Misread says what older YAML reads in the place of the text of n, and that it does; "" where nothing but the text.
func Misread(n *yaml.Node) (meant, note string) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		return "", ""
	}
	switch {
	case truthKey().MatchString(n.Value):
		meant = truth(n)
	case sixties().MatchString(n.Value):
		meant = strconv.Itoa(seconds(n.Value))
	default:
		return "", ""
	}
	return meant, fmt.Sprintf("older YAML reads an unquoted %s as %s, this one as text", n.Value, meant)
}

// seconds is a number to the base of sixty, as older YAML reads it.
func seconds(text string) int {
	total := 0
	for part := range strings.SplitSeq(text, ":") {
		digits, _ := strconv.Atoi(part)
		total = 60*total + digits
	}
	return total
}
