package builtin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/stages"
)

// TestNamesOfClasses refuses names in a file that no folder can have, and takes those that can be written as one.
func TestNamesOfClasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classes.txt")
	for line, want := range map[string]string{"a/b": "", "...": "", "crème brûlée": "", "..": "another folder", ".": "another folder", `a\b`: "character", "a\x00": "character", "..\tname": "another folder"} {
		if err := os.WriteFile(path, []byte("fox\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readVocabulary(stages.ListOrFile{File: stages.Path(path)}, "", "")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", line, err, want)
		}
	}
}
