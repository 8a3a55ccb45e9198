package tokenizer

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/language"
)

var reference = regexp.MustCompile(`&#[0-9]+;?|&#[xX][0-9a-fA-F]+;?|&[0-9A-Za-z]+;?`)

// unescapeHTML is Python's html.unescape.
func unescapeHTML(text string) string {
	return reference.ReplaceAllStringFunc(text, unescapeReference)
}

func unescapeReference(ref string) string {
	if !strings.HasPrefix(ref, "&#") {
		return html.UnescapeString(ref) // has the same table, and takes the longest name too
	}
	digits, base := strings.TrimSuffix(ref[2:], ";"), 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		code = unicode.MaxRune + 1 // out of range
	}
	return character(rune(min(code, unicode.MaxRune+1)))
}

// character returns what a numeric reference stands for: HTML has no control characters nor noncharacters.
func character(code rune) string {
	switch {
	case code == 0, code > unicode.MaxRune, code >= 0xd800 && code <= 0xdfff:
		return "\ufffd"
	case code >= 0x80 && code <= 0x9f:
		if decoded := charmap.Windows1252.DecodeByte(byte(code)); decoded != unicode.ReplacementChar {
			return string(decoded)
		}
		return string(code)
	case code < 0x20 && !strings.ContainsRune("\t\n\f\r", code), code == 0x7f,
		code >= 0xfdd0 && code <= 0xfdef, code&0xfffe == 0xfffe:
		return ""
	}
	return string(code)
}

var completeReference = regexp.MustCompile(`&#?[0-9A-Za-z]{1,24};`)

// unescapeLenient is ftfy's: only complete references, and names that someone wrote in upper case.
func unescapeLenient(line string) string {
	return completeReference.ReplaceAllStringFunc(line, func(ref string) string {
		value := unescapeHTML(ref)
		if strings.HasPrefix(ref, "&#") {
			if strings.Contains(value, ";") {
				return ref
			}
			return value
		}
		if value == ref && ref == strings.ToUpper(ref) {
			lower := strings.ToLower(ref)
			if value := unescapeHTML(lower); isWhole(lower, value) {
				return cases.Upper(language.Und).String(value)
			}
		}
		if isWhole(ref, value) {
			return value
		}
		return ref
	})
}

// isWhole tells whether value stands for all of a named reference, its semicolon too.
func isWhole(ref, value string) bool {
	return value != ref && (value == ";" || !strings.HasSuffix(value, ";"))
}
