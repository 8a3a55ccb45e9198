package tokenizer

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// clean returns text as open_clip cleans it: ftfy's fixes, HTML entities unescaped twice, white space collapsed, lower case.
func clean(text string) string {
	text = fixText(strings.ToValidUTF8(text, "\ufffd"))
	text = unescapeHTML(unescapeHTML(text))
	text = strings.Join(strings.FieldsFunc(text, isSpace), " ")
	return cases.Lower(language.Und).String(text)
}

// isSpace is Python's str.isspace.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// fixText is fix_text of ftfy 6.3 (Speer, 2019) without its repair of mojibake. A "<" says that a text has markup, whose
// entities are meant: from its line on none are unescaped here.
func fixText(text string) string {
	var fixed strings.Builder
	unescape := true
	for line := range strings.Lines(text) {
		unescape = unescape && !strings.Contains(line, "<")
		fixed.WriteString(fixLine(line, unescape))
	}
	return fixed.String()
}

// fixLine repeats all fixes until none changes the line.
func fixLine(line string, unescape bool) string {
	for {
		before := line
		if unescape {
			line = unescapeLenient(line)
		}
		line = strings.Map(fixC1Control, line)
		line = ligatures.Replace(line)
		line = fixWidths(line)
		line = strings.Map(uncurlQuote, line)
		line = lineBreaks.Replace(line)
		line = terminalEscape.ReplaceAllString(line, "")
		line = strings.Map(removeControl, line)
		line = norm.NFC.String(line)
		if line == before {
			return line
		}
	}
}

// fixC1Control takes a control character of Latin-1 for the character of Windows-1252 with the same byte.
func fixC1Control(r rune) rune {
	if r < 0x80 || r > 0x9f {
		return r
	}
	if decoded := charmap.Windows1252.DecodeByte(byte(r)); decoded != unicode.ReplacementChar {
		return decoded
	}
	return r
}

var ligatures = strings.NewReplacer("Ĳ", "IJ", "ĳ", "ij", "ŉ", "ʼn", "Ǳ", "DZ", "ǲ", "Dz", "ǳ", "dz", "Ǆ", "DŽ", "ǅ", "Dž", "ǆ", "dž",
	"Ǉ", "LJ", "ǈ", "Lj", "ǉ", "lj", "Ǌ", "NJ", "ǋ", "Nj", "ǌ", "nj", "ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "ſt", "ﬆ", "st")

// fixWidths replaces halfwidth and fullwidth forms.
func fixWidths(line string) string {
	if !strings.ContainsFunc(line, hasWidth) {
		return line
	}
	var fixed strings.Builder
	for _, r := range line {
		if hasWidth(r) {
			fixed.WriteString(norm.NFKC.String(string(r)))
		} else {
			fixed.WriteRune(r)
		}
	}
	return fixed.String()
}

func hasWidth(r rune) bool { return r == '\u3000' || r >= 0xff01 && r < 0xfff0 }

func uncurlQuote(r rune) rune {
	switch {
	case r == '\u02bc', r >= '\u2018' && r <= '\u201b':
		return '\''
	case r >= '\u201c' && r <= '\u201f':
		return '"'
	}
	return r
}

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n")

var terminalEscape = regexp.MustCompile("\x1b\\[[\\p{Nd};]*[a-zA-Z]")

// removeControl removes characters that have no place in text: control characters, and deprecated or misplaced marks.
func removeControl(r rune) rune {
	switch {
	case r < 0x20 && r != '\t' && r != '\n' && r != '\f' && r != '\r', r == 0x7f,
		r >= 0x206a && r < 0x2070, r == 0xfeff, r >= 0xfff9 && r < 0xfffd:
		return -1
	}
	return r
}
