package builtin

import (
	"fmt"
	"io/fs"
	"os"

	"regft/models/tokenizer"
)

// A textTokenizer gives as many tokens as a model has positions.
type textTokenizer struct{ *tokenizer.Tokenizer }

// openTokenizer reads the tokenizer among the files of a checkpoint's folder.
func openTokenizer(files *artifactFiles) (textTokenizer, error) {
	t, err := tokenizer.Load(files)
	if err != nil {
		return textTokenizer{}, fmt.Errorf("%s: %w", files.folder(), err)
	}
	return textTokenizer{t}, nil
}

// Encode gives length tokens of text.
func (t textTokenizer) Encode(text string, length int) []int32 {
	sized := *t.Tokenizer
	sized.Length = length
	return sized.Encode(text)
}

// Open makes the files an fs.FS, which is what tokenizers are read from.
func (f *artifactFiles) Open(name string) (fs.File, error) {
	path, err := f.Path(name)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// ended is how many of a row's tokens count: up to the first of those that fill it up.
func ended(row []int32) int {
	n := len(row)
	for n > 1 && row[n-1] == row[n-2] {
		n--
	}
	return n
}
