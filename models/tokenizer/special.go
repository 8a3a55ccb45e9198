package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// special holds the special tokens of a checkpoint.
type special struct {
	BOS            token   `json:"bos_token"`
	EOS            token   `json:"eos_token"`
	Pad            token   `json:"pad_token"`
	ModelMaxLength float64 `json:"model_max_length"` // transformers writes 1e30 for none
}

// token is written as its text, or as an object that holds it in content.
type token string

// UnmarshalJSON accepts both ways; null keeps the value.
func (t *token) UnmarshalJSON(text []byte) error {
	var added struct {
		Content *string `json:"content"`
	}
	if json.Unmarshal(text, &added) == nil {
		if added.Content != nil {
			*t = token(*added.Content)
		}
		return nil
	}
	return json.Unmarshal(text, (*string)(t))
}

// readSpecial begins with transformers' defaults for CLIP. special_tokens_map.json has the last word: Stable Diffusion 2
// pads with "!" there, against its tokenizer_config.json.
func readSpecial(files fs.FS) (special, error) {
	s := special{BOS: "<|startoftext|>", EOS: "<|endoftext|>", Pad: "<|endoftext|>"}
	for _, file := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
		text, err := fs.ReadFile(files, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return special{}, fmt.Errorf("reading %s: %w", file, err)
		}
		if err := json.Unmarshal(text, &s); err != nil {
			return special{}, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	return s, nil
}

// length is the file's where it is one that a text tower can have.
func (s special) length() int {
	const most = 1 << 16
	if s.ModelMaxLength < 2 || s.ModelMaxLength > most {
		return defaultLength
	}
	return int(s.ModelMaxLength)
}

func (t *Tokenizer) setSpecial(ids vocabulary, s special) error {
	for _, set := range []struct {
		id   *int32
		text token
	}{{&t.BOS, s.BOS}, {&t.EOS, s.EOS}, {&t.Pad, s.Pad}} {
		id, err := ids.id(string(set.text))
		if err != nil {
			return err
		}
		*set.id = id
	}
	return nil
}
