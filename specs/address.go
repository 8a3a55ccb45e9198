package specs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"regft/stages"
)

// Address names an instance: STAGE alone, or STAGE[axis=key,…]. A key that holds a character with a meaning there is
// quoted.
func Address(stage string, coords []stages.Coord) string {
	if len(coords) == 0 {
		return stage
	}
	var b strings.Builder
	b.WriteString(stage)
	for i, c := range coords {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(c.Axis + "=" + quoteKey(c.Key))
	}
	b.WriteByte(']')
	return b.String()
}

func quoteKey(key string) string {
	if key == "" || strings.ContainsAny(key, ",=]\"\n\t") || strings.TrimSpace(key) != key {
		return strconv.Quote(key)
	}
	return key
}

// A Selector is what an address names: the instances of a stage that have these coordinates, and of them one part, or
// all. A part is what is evaluated on one set of data, or one of several outputs.
type Selector struct {
	Stage  string
	Coords []stages.Coord
	Part   string // "": all
}

// Covers reports whether s names the instance of a stage with all these coordinates.
func (s Selector) Covers(stage string, coords []stages.Coord) bool {
	return s.Stage == stage && !slices.ContainsFunc(s.Coords, func(want stages.Coord) bool {
		return !slices.ContainsFunc(coords, func(c stages.Coord) bool { return c.Axis == want.Axis && c.Key == want.Key })
	})
}

// ParseAddress reads STAGE[axis=key,…].PART: what Address writes, and a part of it. Coordinates may be fewer than the
// stage has, and in any order; brackets and part may be left out.
func ParseAddress(text string) (Selector, error) {
	end := strings.IndexAny(text, "[.")
	if end < 0 {
		end = len(text)
	}
	s := Selector{Stage: text[:end]}
	if !isName(s.Stage) {
		return Selector{}, fmt.Errorf("address %q: want STAGE, STAGE[axis=key,…] or STAGE[axis=key,…].PART", text)
	}
	rest := text[end:]
	var err error
	if strings.HasPrefix(rest, "[") {
		if s.Coords, rest, err = parseCoords(rest[1:]); err != nil {
			return Selector{}, fmt.Errorf("address %q: %w", text, err)
		}
	}
	if rest == "" {
		return s, nil
	}
	part, dotted := strings.CutPrefix(rest, ".")
	if !dotted || part == "" {
		return Selector{}, fmt.Errorf("address %q: want nothing, or .PART, after the brackets", text)
	}
	s.Part = part
	return s, nil
}

// parseCoords reads axis=key,…] from the start of s.
func parseCoords(s string) (coords []stages.Coord, rest string, err error) {
	for rest = s; ; rest = rest[1:] {
		c, after, err := parseCoord(rest)
		if err != nil {
			return nil, "", err
		}
		coords = append(coords, c)
		if after, ended := strings.CutPrefix(after, "]"); ended {
			return coords, after, nil
		}
		if !strings.HasPrefix(after, ",") {
			return nil, "", fmt.Errorf("want , or ] after %s=%s", c.Axis, c.Key)
		}
		rest = after
	}
}

// parseCoord reads axis=key from the start of s.
func parseCoord(s string) (c stages.Coord, rest string, err error) {
	axis, value, ok := strings.Cut(s, "=")
	axis = strings.TrimSpace(axis)
	if !ok || !isName(axis) {
		return c, "", fmt.Errorf("want axis=key in the brackets")
	}
	if strings.HasPrefix(value, `"`) {
		quoted, err := strconv.QuotedPrefix(value)
		if err != nil {
			return c, "", fmt.Errorf("the quoted key of %s does not end", axis)
		}
		key, _ := strconv.Unquote(quoted)
		return stages.Coord{Axis: axis, Key: key}, value[len(quoted):], nil
	}
	end := strings.IndexAny(value, ",]")
	if end < 0 {
		return c, "", fmt.Errorf("want ] at the end")
	}
	return stages.Coord{Axis: axis, Key: strings.TrimSpace(value[:end])}, value[end:], nil
}

// isName reports whether s may name a stage, an axis or a variable: [A-Za-z_][A-Za-z0-9_-]*.
func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}
