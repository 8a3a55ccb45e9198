package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// rest is what can be read of a text that is no YAML for problems: without the entries that these stand in, from the
// smallest on, or without all that follows; nil where nothing can. Lines keep their numbers. What else is no YAML, once
// these entries are gone, are more problems.
func (f *File) rest(text []byte, problems Diagnostics) (n *yaml.Node, more Diagnostics) {
	if len(text) > maxGoccy || !utf8.Valid(text) {
		return nil, nil
	}
	scan := scanned(f)
	if scan.tooDeep() != nil {
		return nil, nil
	}
	if n := firstDocument(text); n != nil {
		return n, nil
	}
	all := f.lines
	var starts []int // of the entries that are left out
	leave := func(problems Diagnostics) {
		for _, d := range problems {
			start := min(max(d.Start.Line, 1), len(all)) - 1
			for start > 0 && !scan.outside[start] {
				start--
			}
			starts = append(starts, start)
		}
	}
	leave(problems)
	const mostTries = 20
	for range mostTries {
		left := without(all, starts)
		n, found := (&File{Name: f.Name, Path: f.Path, lines: left}).parse([]byte(strings.Join(left, "\n")))
		if n != nil && n.Kind == yaml.MappingNode {
			return n, more
		}
		news := slices.DeleteFunc(found, func(d Diagnostic) bool {
			return d.Start.Line > len(left) || left[d.Start.Line-1] == "" || slices.Contains(starts, d.Start.Line-1) ||
				strings.HasPrefix(d.Summary, noYAML) || strings.HasSuffix(d.Summary, hasValue) || strings.HasSuffix(d.Summary, whereNothing)
		})
		if len(news) == 0 {
			break
		}
		leave(news)
		more = append(more, slices.DeleteFunc(news, f.hasAnchor)...)
	}
	for {
		if n := firstDocument([]byte(strings.Join(without(all, starts), "\n"))); n != nil {
			return n, more
		}
		wider := false
		for k, start := range starts {
			starts[k] = entryAround(all, start)
			wider = wider || starts[k] != start
		}
		if !wider {
			break
		}
	}
	for start, tries := len(all)-1, 0; start > 0 && tries < mostTries; start-- {
		if indent, empty := indentOf(all[start]); empty || indent > 0 {
			continue
		}
		tries++
		if n := firstDocument([]byte(strings.Join(all[:start], "\n"))); n != nil {
			return n, more
		}
	}
	return nil, more
}

// hasAnchor reports whether d misses an anchor that f has: in what was left out.
func (f *File) hasAnchor(d Diagnostic) bool {
	var name string
	if n, _ := fmt.Sscanf(d.Summary, noAnchor, &name); n == 0 {
		return false
	}
	return slices.ContainsFunc(f.lines, func(line string) bool { return strings.Contains(line, "&"+name) })
}

// without is lines less the entries that begin at starts.
func without(lines []string, starts []int) []string {
	left := slices.Clone(lines)
	for _, start := range starts {
		blank(left, start, entryEnd(lines, start))
	}
	return left
}

// firstDocument is the root of the first document of text, where that is a mapping.
func firstDocument(text []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	return doc.Content[0]
}

// indentOf is how far a line is indented, and whether it says nothing.
func indentOf(line string) (indent int, empty bool) {
	text := strings.TrimLeft(line, " ")
	return len(line) - len(text), strings.TrimSpace(text) == "" || text[0] == '#'
}

// entryEnd is the line after what belongs to the line at start: those that are indented further.
func entryEnd(lines []string, start int) int {
	indent, _ := indentOf(lines[start])
	for i := start + 1; i < len(lines); i++ {
		if in, empty := indentOf(lines[i]); !empty && in <= indent {
			return i
		}
	}
	return len(lines)
}

// entryAround is where the entry begins that holds the one at start; start where there is none.
func entryAround(lines []string, start int) int {
	indent, empty := indentOf(lines[start])
	for i := start - 1; i >= 0; i-- {
		if in, nothing := indentOf(lines[i]); !nothing && (in < indent || empty) {
			return i
		}
	}
	return start
}

func blank(lines []string, from, to int) {
	for i := from; i < to; i++ {
		lines[i] = ""
	}
}
