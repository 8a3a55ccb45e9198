package datasets

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// ReadClasses reads a classes.txt: one class a line, its label the line's number from zero; a line is NAME, or FOLDER<TAB>NAME.
func ReadClasses(path string) ([]Class, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	classes, err := ParseClasses(Lines(string(data)))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return classes, nil
}

// Lines returns the lines of a text without their ends (\n or \r\n), a byte order mark, and empty lines after the last.
func Lines(text string) []string {
	text = strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// ParseClasses reads the lines of a classes.txt, or an inline list. Names may repeat, folders that are written may not.
func ParseClasses(lines []string) ([]Class, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("no classes")
	}
	classes := make([]Class, len(lines))
	first := map[string]int{}
	for i, line := range lines {
		folder, name, both := strings.Cut(line, "\t")
		switch {
		case strings.TrimSpace(line) == "":
			return nil, fmt.Errorf("line %d is empty: one class a line", i+1)
		case both && (folder == "" || name == "" || strings.Contains(name, "\t")):
			return nil, fmt.Errorf("line %d, %q: want NAME, or FOLDER<TAB>NAME", i+1, line)
		case !both:
			name = folder
		}
		if other, twice := first[folder]; twice && both {
			return nil, fmt.Errorf("line %d: the folder %q is line %d already", i+1, folder, other+1)
		}
		if both {
			first[folder] = i
		}
		classes[i] = Class{Folder: folder, Name: name}
	}
	return classes, nil
}

// WriteClasses writes a classes.txt.
func WriteClasses(w io.Writer, classes []Class) error {
	var out bytes.Buffer
	for label, c := range classes {
		if c.Name == "" || strings.ContainsAny(c.Folder+c.Name, "\t\r\n") {
			return fmt.Errorf("class %d, %q: a name is not empty and has neither tabs nor line ends", label, c.Name)
		}
		if c.Folder != "" && c.Folder != c.Name {
			out.WriteString(c.Folder + "\t")
		}
		out.WriteString(c.Name + "\n")
	}
	_, err := w.Write(out.Bytes())
	return err
}
