package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneMistake leaves out each bracket, quote, colon and comma of a whole spec in turn, and moves each line by a column.
// Where the rest is no YAML, or no spec, there is one error, which names a trap, at the line; of a line that is moved, at
// it or at the next of its entries, with the line in what was expected.
func TestOneMistake(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "testdata", "ablation.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	path := filepath.Join(t.TempDir(), "spec.yaml")
	broken := 0
	try := func(line int, moved bool, changed string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		_, problems := Load(path, nil)
		if !problems.HasErrors() {
			return // YAML all the same: what it says is for others to judge
		}
		broken++
		d := problems[0]
		named := d.Start.Line == line || moved && d.Start.Line > line && strings.Contains(d.Summary+d.Expected, fmt.Sprintf("in line %d", line))
		if len(problems) > 1 || !named || strings.HasPrefix(d.Summary, noYAML) {
			t.Errorf("line %d, now %q:\n%s", line, strings.Split(changed, "\n")[line-1], problems)
		}
	}
	at := 0
	for i, line := range strings.Split(text, "\n") {
		code, _, _ := strings.Cut(line, " #")
		if strings.TrimSpace(code) == "" || code[0] == '#' {
			code = ""
		}
		for j, c := range code {
			if strings.ContainsRune(`{}[]"':,`, c) {
				try(i+1, false, text[:at+j]+text[at+j+1:])
			}
		}
		if code != "" {
			try(i+1, true, text[:at]+" "+text[at:])
		}
		if strings.HasPrefix(code, " ") {
			try(i+1, true, text[:at]+text[at+1:])
		}
		at += len(line) + 1
	}
	if broken < 200 {
		t.Errorf("only %d of the texts are broken", broken)
	}
}
