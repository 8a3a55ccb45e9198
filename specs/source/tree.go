package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Tree is a spec with all that it includes and all that was set, as one mapping without aliases. Parts of it may be
// shared; nothing in it may be changed.
type Tree struct {
	Root  *yaml.Node
	Name  string   // of the file on the command line
	Dir   string   // absolute: its folder
	Files []string // absolute: what was read, or would have been had it been there
	Part  bool     // something that belongs to it could not be read: what it lacks, or calls by name, may be there
	set   [][]string
	files map[*yaml.Node]*File
	main  *File
}

// Load reads the spec at path and all that it includes, and applies sets (PATH=YAML each). The tree is nil where the
// file itself cannot be read.
func Load(path string, sets []string) (*Tree, Diagnostics) {
	t := &Tree{Name: path, files: map[*yaml.Node]*File{}}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, Diagnostics{{Severity: Error, File: path, Summary: err.Error()}}
	}
	t.Dir = filepath.Dir(abs)
	l := &loader{tree: t, done: map[string]*yaml.Node{}}
	root, err := l.file(path, abs)
	if err != nil {
		return nil, Diagnostics{{Severity: Error, File: path, Summary: readError(err)}}
	}
	if root == nil {
		if l.out == nil {
			l.out = Diagnostics{{Severity: Error, File: path, Start: Position{1, 1}, End: Position{1, 2}, Summary: "the spec is empty", Expected: "at least stages:"}}
		}
		return nil, l.out.Sorted()
	}
	t.Root = root
	for _, s := range sets {
		l.set(s)
	}
	return t, l.out.Sorted()
}

// readError is why a file could not be read, without its name.
func readError(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return "cannot be read: " + p.Err.Error()
	}
	return err.Error()
}

// loader reads files into a tree.
type loader struct {
	tree  *Tree
	out   Diagnostics
	stack []string              // absolute paths of the files being read
	done  map[string]*yaml.Node // files that have been read and merged
}

// file reads, expands and merges one file. A nil node goes with diagnostics in l.out, or with an empty file.
func (l *loader) file(name, abs string) (*yaml.Node, error) {
	if n, done := l.done[abs]; done {
		return n, nil
	}
	l.tree.Files = append(l.tree.Files, abs)
	text, err := l.read(abs)
	if err != nil {
		return nil, err
	}
	f := newFile(name, abs, text)
	if l.tree.main == nil {
		l.tree.main = f
	}
	l.stack = append(l.stack, abs)
	defer func() { l.stack = l.stack[:len(l.stack)-1] }()
	n := l.mapping(f, text)
	if n != nil {
		n = l.include(f, n)
	}
	l.done[abs] = n
	return n, nil
}

// maxText is how many bytes a spec, or what it includes, may have.
const maxText = 32 << 20

// read reads a spec. What it includes must be a file: a device or pipe may never end, or never begin.
func (l *loader) read(path string) ([]byte, error) {
	f, err := l.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if len(text) > maxText {
		return nil, fmt.Errorf("has more than %d bytes", maxText)
	}
	return text, err
}

func (l *loader) open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && len(l.stack) > 0 && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, errors.New("is no file, but a device or a pipe")
	}
	return os.Open(path)
}

// mapping is the root of file f, checked and without aliases.
func (l *loader) mapping(f *File, text []byte) *yaml.Node {
	n, problems := f.parse(text)
	if n == nil && problems != nil {
		var more Diagnostics
		n, more = f.rest(text, problems)
		problems = append(problems, more...)
		l.tree.Part = true
	}
	l.out = append(l.out, problems...)
	if n == nil {
		return nil
	}
	n = l.plain(f, n)
	if n != nil && n.Kind != yaml.MappingNode {
		l.out = append(l.out, l.tree.At(n, "a spec is a mapping: version, vars, sweep, stages, …"))
		return nil
	}
	return n
}

// include merges what file f includes under its own content n.
func (l *loader) include(f *File, n *yaml.Node) *yaml.Node {
	i := slices.IndexFunc(n.Content, func(k *yaml.Node) bool { return k.Value == "include" })
	if i < 0 || i%2 != 0 {
		return n
	}
	list := []*yaml.Node{n.Content[i+1]}
	if list[0].Kind == yaml.SequenceNode {
		list = list[0].Content
	}
	own := *n
	own.Content = slices.Concat(n.Content[:i], n.Content[i+2:])
	l.tree.files[&own] = f
	var base *yaml.Node
	for _, item := range list {
		if included := l.included(f, item); included != nil {
			base = l.merge(base, included)
		}
	}
	return l.merge(base, &own)
}

// included reads the file that item of an include list names.
func (l *loader) included(f *File, item *yaml.Node) *yaml.Node {
	at, optional := item, false
	if item.Kind == yaml.MappingNode && len(item.Content) == 2 && item.Content[0].Value == "optional" {
		at, optional = item.Content[1], true
	}
	if at.Kind != yaml.ScalarNode || at.Value == "" || at.Tag == "!!null" {
		d := l.tree.At(item, "include takes paths")
		d.Expected = "FILE or {optional: FILE}"
		l.out = append(l.out, d)
		return nil
	}
	if strings.Contains(at.Value, "${") {
		d := l.tree.At(at, "an included path holds no ${…}")
		d.Note = "files are merged before anything is evaluated"
		l.out = append(l.out, d)
		return nil
	}
	name, abs := filepath.Join(filepath.Dir(f.Name), at.Value), filepath.Join(filepath.Dir(f.Path), at.Value)
	if filepath.IsAbs(at.Value) {
		name, abs = at.Value, filepath.Clean(at.Value)
	}
	if k := slices.Index(l.stack, abs); k >= 0 {
		l.out = append(l.out, l.tree.At(at, "files include each other: %s", l.cycle(k, abs)))
		return nil
	}
	problems := len(l.out)
	n, err := l.file(name, abs)
	missing := optional && errors.Is(err, fs.ErrNotExist)
	l.tree.Part = l.tree.Part || n == nil && !missing && (err != nil || len(l.out) > problems)
	if err != nil && !missing {
		d := l.tree.At(at, "included file %s %s", name, readError(err))
		if errors.Is(err, fs.ErrNotExist) {
			d.Summary = fmt.Sprintf("included file %s does not exist", name)
			d.Note = "write {optional: " + at.Value + "} where it may be missing"
		}
		l.out = append(l.out, d)
	}
	return n
}

func (l *loader) cycle(from int, abs string) string {
	var names []string
	for _, p := range append(slices.Clone(l.stack[from:]), abs) {
		names = append(names, filepath.Base(p))
	}
	return strings.Join(names, " → ")
}

// merge puts over onto base: mappings merge, everything else replaces, null removes. It changes neither.
func (l *loader) merge(base, over *yaml.Node) *yaml.Node {
	if base == nil || base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	out := *over
	out.Content = slices.Clone(base.Content)
	l.tree.files[&out] = l.tree.files[over]
	for i := 0; i+1 < len(over.Content); i += 2 {
		key, value := over.Content[i], over.Content[i+1]
		j := find(&out, key.Value)
		switch {
		case j < 0:
			out.Content = append(out.Content, key, value)
		case value.Tag == "!!null":
			out.Content = slices.Delete(out.Content, j, j+2)
		default:
			out.Content[j], out.Content[j+1] = key, l.merge(out.Content[j+1], value)
		}
	}
	return &out
}

// find is the index of key in mapping n, -1 where it has none.
func find(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// At is an error at node n.
func (t *Tree) At(n *yaml.Node, format string, args ...any) Diagnostic {
	f, start, end := t.span(n)
	return Diagnostic{Severity: Error, File: f.Name, Start: start, End: end, Summary: fmt.Sprintf(format, args...), Source: f.Line(start.Line)}
}

// Within is an error at characters [start, end) of scalar n's value.
func (t *Tree) Within(n *yaml.Node, start, end int, format string, args ...any) Diagnostic {
	f := t.file(n)
	from, to := f.span(n, start, end)
	if to.Line != from.Line {
		to = Position{from.Line, max(from.Column+1, len([]rune(f.Line(from.Line)))+1)}
	}
	return Diagnostic{Severity: Error, File: f.Name, Start: from, End: to, Summary: fmt.Sprintf(format, args...), Source: f.Line(from.Line)}
}

// Place is where n starts.
func (t *Tree) Place(n *yaml.Node) Place {
	f, start, _ := t.span(n)
	return Place{File: f.Name, Line: start.Line, Column: start.Column}
}

func (t *Tree) file(n *yaml.Node) *File {
	if f := t.files[n]; f != nil {
		return f
	}
	return t.main
}

func (t *Tree) span(n *yaml.Node) (*File, Position, Position) {
	f := t.file(n)
	start := f.start(n)
	end := Position{start.Line, start.Column + 1}
	if n.Kind == yaml.AliasNode {
		end.Column += len([]rune(n.Value))
	}
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Value != "" {
		if _, to := f.span(n, 0, len([]rune(n.Value))); to.Line == start.Line {
			end = to
			if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
				end.Column++
			}
		}
	}
	return f, start, end
}
