package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Load reads a checkpoint's tokenizer: vocab.json and merges.txt, or tokenizer.json where they are missing, and the special
// tokens of special_tokens_map.json and tokenizer_config.json, both optional. Errors name the file.
func Load(files fs.FS) (*Tokenizer, error) {
	ids, merges, err := readVocabulary(files)
	if err != nil {
		return nil, err
	}
	special, err := readSpecial(files)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{Length: special.length(), merges: make(map[pair]merge, len(merges))}
	if err := t.setSpecial(ids, special); err != nil {
		return nil, err
	}
	if err := t.setBytes(ids); err != nil {
		return nil, err
	}
	return t, t.setMerges(ids, merges)
}

// vocabulary gives each token its id.
type vocabulary struct {
	file string
	ids  map[string]int32
}

func (v vocabulary) id(token string) (int32, error) {
	id, ok := v.ids[token]
	if !ok {
		return 0, fmt.Errorf("%s has no token %q", v.file, token)
	}
	if id < 0 {
		return 0, fmt.Errorf("%s: token %q has the id %d", v.file, token, id)
	}
	return id, nil
}

func readVocabulary(files fs.FS) (vocabulary, [][2]string, error) {
	const vocabFile, mergesFile = "vocab.json", "merges.txt"
	text, err := fs.ReadFile(files, vocabFile)
	if errors.Is(err, fs.ErrNotExist) {
		return readFast(files)
	}
	if err != nil {
		return vocabulary{}, nil, fmt.Errorf("reading %s: %w", vocabFile, err)
	}
	v := vocabulary{file: vocabFile}
	if err := json.Unmarshal(text, &v.ids); err != nil {
		return vocabulary{}, nil, fmt.Errorf("reading %s: want an object of tokens and their ids: %w", vocabFile, err)
	}
	text, err = fs.ReadFile(files, mergesFile)
	if err != nil {
		return vocabulary{}, nil, fmt.Errorf("reading %s: %w", mergesFile, err)
	}
	merges, err := parseMerges(string(text))
	if err != nil {
		return vocabulary{}, nil, fmt.Errorf("reading %s: %w", mergesFile, err)
	}
	return v, merges, nil
}

func parseMerges(text string) ([][2]string, error) {
	var merges [][2]string
	number := 0
	for line := range strings.Lines(text) {
		number++
		if number == 1 && strings.HasPrefix(line, "#version") || strings.TrimSpace(line) == "" {
			continue
		}
		left, right, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("line %d: want two tokens with a space between, got %q", number, line)
		}
		merges = append(merges, [2]string{left, right})
	}
	return merges, nil
}

// readFast reads tokenizer.json of the tokenizers library.
func readFast(files fs.FS) (vocabulary, [][2]string, error) {
	const file = "tokenizer.json"
	text, err := fs.ReadFile(files, file)
	if errors.Is(err, fs.ErrNotExist) {
		return vocabulary{}, nil, fmt.Errorf("no tokenizer: want vocab.json and merges.txt, or %s, in the checkpoint's folder: %w", file, err)
	}
	if err != nil {
		return vocabulary{}, nil, fmt.Errorf("reading %s: %w", file, err)
	}
	var content struct {
		Model struct {
			Type   string           `json:"type"`
			Vocab  map[string]int32 `json:"vocab"`
			Merges []fastMerge      `json:"merges"`
		} `json:"model"`
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return vocabulary{}, nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if content.Model.Type != "BPE" {
		return vocabulary{}, nil, fmt.Errorf("reading %s: model.type is %q, want BPE", file, content.Model.Type)
	}
	merges := make([][2]string, len(content.Model.Merges))
	for i, m := range content.Model.Merges {
		merges[i] = m
	}
	return vocabulary{file, content.Model.Vocab}, merges, nil
}

// fastMerge is written as "a b" by older versions, as ["a", "b"] by newer ones.
type fastMerge [2]string

// UnmarshalJSON accepts both ways.
func (m *fastMerge) UnmarshalJSON(text []byte) error {
	var line string
	if json.Unmarshal(text, &line) == nil {
		left, right, ok := strings.Cut(line, " ")
		if !ok {
			return fmt.Errorf("merge %q: want two tokens with a space between", line)
		}
		*m = fastMerge{left, right}
		return nil
	}
	var parts []string
	if err := json.Unmarshal(text, &parts); err != nil || len(parts) != 2 {
		return fmt.Errorf("merge %s: want two tokens", text)
	}
	*m = fastMerge{parts[0], parts[1]}
	return nil
}

// setBytes looks up the tokens of single bytes.
func (t *Tokenizer) setBytes(ids vocabulary) error {
	for b, r := range byteAlphabet() {
		var err error
		if t.inner[b], err = ids.id(string(r)); err != nil {
			return err
		}
		if t.last[b], err = ids.id(string(r) + "</w>"); err != nil {
			return err
		}
	}
	return nil
}

// byteAlphabet is GPT-2's: each byte as a character that can be seen. Bytes that are none in Latin-1 get the characters from
// U+0100 on.
func byteAlphabet() [256]rune {
	var alphabet [256]rune
	next := rune(0x100)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= '¡' && b <= '¬' || b >= '®' {
			alphabet[b] = b
		} else {
			alphabet[b] = next
			next++
		}
	}
	return alphabet
}

func (t *Tokenizer) setMerges(ids vocabulary, merges [][2]string) error {
	for rank, m := range merges {
		left, err := ids.id(m[0])
		if err != nil {
			return fmt.Errorf("merge %d (%s %s): %w", rank+1, m[0], m[1], err)
		}
		right, err := ids.id(m[1])
		if err != nil {
			return fmt.Errorf("merge %d (%s %s): %w", rank+1, m[0], m[1], err)
		}
		token, err := ids.id(m[0] + m[1])
		if err != nil {
			return fmt.Errorf("merge %d (%s %s): %w", rank+1, m[0], m[1], err)
		}
		t.merges[pair{left, right}] = merge{int32(rank), token}
	}
	return nil
}
