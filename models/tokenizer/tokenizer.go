// Package tokenizer turns text into the tokens of CLIP: byte-pair encoding of cleaned, lower-case words, as open_clip's
// SimpleTokenizer does it, on the vocabulary of a checkpoint.
//
// Special tokens written in a text are text: only Encode itself puts them around it.
package tokenizer

import "math"

// defaultLength is the number of positions of every published CLIP.
const defaultLength = 77

// Tokenizer holds the vocabulary of one checkpoint. It is safe for concurrent use.
type Tokenizer struct {
	Length        int   // tokens that Encode returns
	BOS, EOS, Pad int32 // ids of the tokens before, after and beyond the text

	inner, last [256]int32 // ids of a byte within a word, and of one that ends it
	merges      map[pair]merge
}

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge is the token that a pair becomes; merges of lower rank come first.
type merge struct{ rank, token int32 }

// Encode returns the ids of text, of length Length: BOS, the text, EOS, and Pad for the rest. A text that is too long loses
// its end.
func (t *Tokenizer) Encode(text string) []int32 {
	ids := make([]int32, 1, t.Length)
	ids[0] = t.BOS
	for word := range words(clean(text)) {
		ids = append(ids, t.encodeWord(word)...)
		if len(ids) >= t.Length {
			ids = ids[:t.Length-1]
			break
		}
	}
	ids = append(ids, t.EOS)
	for len(ids) < t.Length {
		ids = append(ids, t.Pad)
	}
	return ids
}

// encodeWord merges the bytes of a word, which is not empty, as often as a pair of neighbours is in the list of merges.
func (t *Tokenizer) encodeWord(word string) []int32 {
	tokens := make([]int32, len(word))
	for i := range len(word) - 1 {
		tokens[i] = t.inner[word[i]]
	}
	tokens[len(word)-1] = t.last[word[len(word)-1]]
	for {
		best, found := t.bestPair(tokens)
		if !found {
			return tokens
		}
		tokens = replace(tokens, best, t.merges[best].token)
	}
}

// bestPair returns the pair of neighbours of the lowest rank.
func (t *Tokenizer) bestPair(tokens []int32) (best pair, found bool) {
	rank := int32(math.MaxInt32)
	for i := 1; i < len(tokens); i++ {
		p := pair{tokens[i-1], tokens[i]}
		if m, ok := t.merges[p]; ok && m.rank < rank {
			best, rank, found = p, m.rank, true
		}
	}
	return best, found
}

// replace puts token for every p in tokens, from left to right, in place.
func replace(tokens []int32, p pair, token int32) []int32 {
	out := tokens[:0]
	for i := 0; i < len(tokens); i++ {
		if i+1 < len(tokens) && tokens[i] == p.left && tokens[i+1] == p.right {
			out = append(out, token)
			i++
		} else {
			out = append(out, tokens[i])
		}
	}
	return out
}
