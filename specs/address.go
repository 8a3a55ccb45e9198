package specs

import (
	"fmt"
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

// ParseAddress reads what Address writes. Coordinates may be fewer than the stage has, and in any order.
func ParseAddress(text string) (stage string, coords []stages.Coord, err error) {
	stage, rest, bracket := strings.Cut(text, "[")
	if !isName(stage) {
		return "", nil, fmt.Errorf("address %q: want STAGE or STAGE[axis=key,…]", text)
	}
	for bracket {
		c, after, err := parseCoord(rest)
		if err != nil {
			return "", nil, fmt.Errorf("address %q: %w", text, err)
		}
		coords = append(coords, c)
		if after == "]" {
			return stage, coords, nil
		}
		if !strings.HasPrefix(after, ",") {
			return "", nil, fmt.Errorf("address %q: want , or ] after %s=%s", text, c.Axis, c.Key)
		}
		rest = after[1:]
	}
	return stage, nil, nil
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
