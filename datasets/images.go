package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Files of an images artifact, beside the pictures.
const (
	MetadataFile = "metadata.jsonl"
	ClassesFile  = "classes.txt"
)

// Unlabelled is the label of a picture that has no class: of prompts that are a list.
const Unlabelled = -1

// Row is a line of metadata.jsonl: one picture of an images artifact. (file_name is what Hugging Face's ImageFolder calls it.)
type Row struct {
	FileName string `json:"file_name"` // below the artifact's folder, with slashes
	Label    int    `json:"label"`     // position in classes.txt, or Unlabelled
	Class    string `json:"class"`
	*Generation
	Origin string `json:"origin"` // the type of the stage that made the picture
}

// Generation is what a generated picture was made from.
type Generation struct {
	Prompt   string `json:"prompt"`
	PromptID int    `json:"prompt_id"` // position among the prompts of its class, or in the list of prompts
	Seed     uint64 `json:"seed"`      // of the picture's own generator
}

// WriteRows writes metadata.jsonl. The same rows give the same bytes.
func WriteRows(w io.Writer, rows []Row) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for i, row := range rows {
		if err := row.check(); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
		if err := encoder.Encode(row); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// ReadRows reads metadata.jsonl. Errors name the line.
func ReadRows(r io.Reader) ([]Row, error) {
	var rows []Row
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			row, err := parseRow(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			rows = append(rows, row)
		}
		if err != nil {
			return rows, nil
		}
	}
}

func parseRow(line []byte) (Row, error) {
	row := Row{Label: Unlabelled}
	if err := json.Unmarshal(line, &row); err != nil {
		return Row{}, err
	}
	return row, row.check()
}

func (r Row) check() error {
	switch {
	case !fs.ValidPath(r.FileName) || r.FileName == ".":
		return fmt.Errorf("file_name %q: want a path below the artifact's folder, with slashes", r.FileName)
	case r.Label < Unlabelled:
		return fmt.Errorf("label %d of %s", r.Label, r.FileName)
	}
	return nil
}

// CheckLabels reports the first row whose label is no class of the artifact's classes.txt.
func CheckLabels(rows []Row, classes []Class) error {
	for i, row := range rows {
		if row.Label >= len(classes) {
			return fmt.Errorf("row %d: %s has label %d, and there are %d classes", i+1, row.FileName, row.Label, len(classes))
		}
	}
	return nil
}
