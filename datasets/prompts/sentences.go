package prompts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/agnivade/levenshtein"

	"regft/datasets"
)

// Sentences are a GPT prompt file: sentences about every class, by its spoken name.
type Sentences struct {
	path  string
	texts map[string][]string
}

// ReadSentences reads a GPT prompt file: an object from class names to lists of sentences. Repeated sentences are kept: they weigh in
// the mean of the embeddings, as in the published code.
func ReadSentences(path string) (*Sentences, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Sentences{path: path, texts: map[string][]string{}}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := s.read(decoder); err != nil {
		return nil, at(path, data, decoder.InputOffset(), err)
	}
	return s, nil
}

// read reads entry by entry, so that names that repeat are seen.
func (s *Sentences) read(decoder *json.Decoder) error {
	open, err := decoder.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("want an object from class names to lists of sentences")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		name := Spoken(key.(string)) // an object's keys are strings, or More and Token had failed
		if _, twice := s.texts[name]; twice {
			return fmt.Errorf("%q is there twice (_ reads as a space)", key)
		}
		var texts []string
		if err := decoder.Decode(&texts); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		if len(texts) == 0 || slices.Contains(texts, "") {
			return fmt.Errorf("%q has no sentences, or an empty one", key)
		}
		s.texts[name] = texts
	}
	if _, err := decoder.Token(); err != nil {
		return err
	}
	if decoder.More() {
		return fmt.Errorf("there is more after the object")
	}
	return nil
}

// For returns the sentences of every class, [class][sentence]. The error names every class that has none.
func (s *Sentences) For(classes []datasets.Class) ([][]string, error) {
	out := make([][]string, len(classes))
	var missing []string
	for i, c := range classes {
		if out[i] = s.texts[Spoken(c.Name)]; out[i] == nil {
			missing = append(missing, c.Name)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("%s has no sentences for %d of %d classes: %s", s.path, len(missing), len(classes), datasets.Names(missing))
	}
	return out, nil
}

// at wraps an error of reading JSON with file:line:column: its own place if it has one, else that of the offset given.
func at(path string, data []byte, offset int64, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	before := data[:min(int(offset), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return fmt.Errorf("reading %s:%d:%d: %w", path, line, max(column, 1), err)
}

// nearest returns the known name that a mistyped one most likely means.
func nearest(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	return slices.MinFunc(known, func(a, b string) int {
		return levenshtein.ComputeDistance(a, name) - levenshtein.ComputeDistance(b, name)
	})
}
