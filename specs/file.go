package specs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// The longest files that file() reads, in bytes.
const (
	maxData = 32 << 20
	maxYAML = 2 << 20
)

// readFile is what file() made of a file.
type readFile struct {
	path  string
	value any
	err   error
}

// file is the function file(): the content of a file, parsed as its name says.
func (p *program) file(name string) (any, error) {
	if f, done := p.files[name]; done {
		return f.value, f.err
	}
	f := &readFile{path: name}
	if !filepath.IsAbs(name) {
		f.path = filepath.Join(p.spec.Dir, name)
	}
	f.value, f.err = parseFile(f.path)
	if f.err != nil {
		f.err = fmt.Errorf("file %s: %w", name, f.err)
	}
	p.files[name] = f
	return f.value, f.err
}

func parseFile(path string) (any, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is no file, but a folder, a device or a pipe")
	case info.Size() > maxData:
		return nil, fmt.Errorf("%d bytes are more than %d", info.Size(), maxData)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".json":
		return parseJSON(text)
	case ".jsonl":
		return parseJSONLines(text)
	case ".yaml", ".yml":
		return parseYAML(text)
	case ".csv":
		return parseCSV(text)
	case ".txt":
		return textLines(text), nil
	default:
		return nil, fmt.Errorf("%q is no extension that file() knows: .json, .jsonl, .yaml, .csv, .txt", ext)
	}
}

func textLines(text []byte) []any {
	out := []any{}
	for line := range strings.Lines(string(text)) {
		out = append(out, strings.TrimRight(line, "\r\n"))
	}
	return out
}

// parseJSON keeps the order of objects.
func parseJSON(text []byte) (any, error) { return parseJSONAt(text, 1) }

// parseJSONAt parses text that begins in a file at that line.
func parseJSONAt(text []byte, line int) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%s: it ends too early", lineOf(text, d.InputOffset(), line))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", lineOf(text, d.InputOffset(), line), err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: more than one JSON value; a file of several, one a line, is .jsonl", lineOf(text, d.InputOffset(), line))
	}
	return v, nil
}

// lineOf is the place of a byte of text, for people.
func lineOf(text []byte, at int64, first int) string {
	before := text[:min(int(at), len(text))]
	line := bytes.Count(before, []byte("\n")) + first
	return fmt.Sprintf("line %d, column %d", line, len(before)-bytes.LastIndexByte(before, '\n'))
}

func parseJSONLines(text []byte) (any, error) {
	out := []any{}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		v, err := parseJSONAt(line, i+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// maxJSONDepth is how deep JSON may nest.
const maxJSONDepth = 100

func jsonValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxJSONDepth)
	}
	switch x := token.(type) {
	case json.Number:
		return number(x.String()), nil
	case json.Delim:
		if x == '[' {
			return jsonList(d, depth)
		}
		return jsonObject(d, depth)
	}
	return token, nil
}

func jsonList(d *json.Decoder, depth int) (any, error) {
	out := []any{}
	for d.More() {
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := d.Token()
	return out, err
}

func jsonObject(d *json.Decoder, depth int) (any, error) {
	out := expr.NewMap()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		out.Set(fmt.Sprint(key), v)
	}
	_, err := d.Token()
	return out, err
}

// number is the number that text writes, as a value of an expression; text itself where it writes none.
func number(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return expr.Number(x)
	}
	return text
}

func parseYAML(text []byte) (any, error) {
	if len(text) > maxYAML {
		return nil, fmt.Errorf("%d bytes of YAML are more than %d; JSON may be longer", len(text), maxYAML)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil { // refuses alias bombs
		return nil, err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil || len(n.Content) == 0 {
		return nil, err
	}
	return yamlValue(n.Content[0]), nil
}

// yamlValue keeps the order of mappings.
func yamlValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return yamlValue(n.Alias)
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, yamlValue(c))
		}
		return out
	case yaml.MappingNode:
		out := expr.NewMap()
		for i := 0; i+1 < len(n.Content); i += 2 {
			out.Set(n.Content[i].Value, yamlValue(n.Content[i+1]))
		}
		return out
	}
	return scalar(n)
}

// parseCSV gives one map for each row, by the names of the first; cells that write numbers are numbers.
func parseCSV(text []byte) (any, error) {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, row := range rows[min(1, len(rows)):] {
		m := expr.NewMap()
		for i, cell := range row {
			m.Set(rows[0][i], number(cell))
		}
		out = append(out, m)
	}
	return out, nil
}
