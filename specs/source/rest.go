package source

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// rest is what can be read of a text that is no YAML at lines: without the entries that these stand in, from the
// smallest on, or without all that follows; nil where nothing can. Lines keep their numbers.
func (f *File) rest(text []byte, lines []int) *yaml.Node {
	if len(text) > maxGoccy || !utf8.Valid(text) || f.tooDeep() != nil {
		return nil
	}
	if n := firstDocument(text); n != nil {
		return n
	}
	all := strings.Split(string(text), "\n")
	starts := make([]int, len(lines)) // of the entries that are left out
	for k, line := range lines {
		starts[k] = min(max(line, 1), len(all)) - 1
	}
	for {
		left := slices.Clone(all)
		for _, start := range starts {
			blank(left, start, entryEnd(all, start))
		}
		if n := firstDocument([]byte(strings.Join(left, "\n"))); n != nil {
			return n
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
	const mostTries = 20
	for start, tries := len(all)-1, 0; start > 0 && tries < mostTries; start-- {
		if indent, empty := indentOf(all[start]); empty || indent > 0 {
			continue
		}
		tries++
		if n := firstDocument([]byte(strings.Join(all[:start], "\n"))); n != nil {
			return n
		}
	}
	return nil
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
