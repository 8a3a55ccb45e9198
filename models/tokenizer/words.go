package tokenizer

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// whole are words whatever they are made of: the special tokens of open_clip, which it finds so, and endings of English.
var whole = []string{"<start_of_text>", "<end_of_text>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// class is a kind of character of which runs are words.
type class int

const (
	space class = iota
	letter
	number // each one a word
	other
)

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	// Without regard to case, a regular expression takes the combining iota for the letter, yet not for one in \p{L}:
	// open_clip's matches it neither among letters nor among the rest.
	case unicode.IsSpace(r), r == '\u0345':
		return space
	}
	return other
}

// words splits a cleaned text as open_clip's regular expression does, without regard to case:
//
//	<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			n, kind := wordLength(text)
			if kind != space && !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// wordLength returns the length in bytes of the word, or of the space, at the start of a text that is not empty.
func wordLength(text string) (int, class) {
	for _, w := range whole {
		if n := foldedPrefix(text, w); n > 0 {
			return n, other
		}
	}
	first, n := utf8.DecodeRuneInString(text)
	kind := classOf(first)
	if kind == number {
		return n, kind
	}
	end := strings.IndexFunc(text, func(r rune) bool { return classOf(r) != kind })
	if end < 0 {
		end = len(text)
	}
	return end, kind
}

// foldedPrefix returns the length of prefix at the start of text, 0 when it is not there. The long s is an s.
func foldedPrefix(text, prefix string) int {
	rest := text
	for _, want := range prefix {
		got, n := utf8.DecodeRuneInString(rest)
		if got != want && !(want == 's' && got == 'ſ') {
			return 0
		}
		rest = rest[n:]
	}
	return len(text) - len(rest)
}
