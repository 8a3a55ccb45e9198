package builtin

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"regft/datasets"
	"regft/datasets/prompts"
	"regft/stages"
)

// readClasses reads a list of classes, inline or in a file.
func readClasses(l stages.ListOrFile) ([]datasets.Class, error) {
	if l.File != "" {
		return datasets.ReadClasses(string(l.File))
	}
	classes, err := datasets.ParseClasses(l.List)
	if err != nil {
		return nil, fmt.Errorf("classes: %w", err)
	}
	return classes, nil
}

// checkClasses checks a list that stands in the spec; what is in a file is checked when the file is read.
func checkClasses(l stages.ListOrFile) error {
	if l.File != "" || l.List == nil {
		return nil
	}
	classes, err := readClasses(l)
	return errors.Join(err, checkFolders(classes))
}

// checkFolders refuses names that no folder of pictures can have, here or where they are taken to. A / is written as %2F.
func checkFolders(classes []datasets.Class) error {
	for _, c := range classes {
		switch {
		case c.Folder == "." || c.Folder == "..":
			return fmt.Errorf("classes: %q names another folder, and each class has one of its name", c.Folder)
		case strings.ContainsFunc(c.Folder, unicode.IsControl), strings.Contains(c.Folder, `\`):
			return fmt.Errorf("classes: %q has a character that names of folders lack on some systems, and each class has one of its name", c.Folder)
		}
	}
	return nil
}

// classPairs are classes as they enter a key.
func classPairs(classes []datasets.Class) [][]string {
	pairs := make([][]string, len(classes))
	for i, c := range classes {
		pairs[i] = []string{c.Folder, c.Name}
	}
	return pairs
}

// A vocabulary is the classes of a stage and the template that describes them.
type vocabulary struct {
	Classes  []datasets.Class
	Template string
}

// readVocabulary reads classes, or an entry of a prompt_styles.json with its template.
func readVocabulary(classes stages.ListOrFile, styles stages.Path, entry string) (vocabulary, error) {
	if styles == "" {
		list, err := readClasses(classes)
		return vocabulary{Classes: list}, cmp.Or(err, checkFolders(list))
	}
	s, err := prompts.ReadStyle(string(styles), entry)
	return vocabulary{s.Classes, s.Template}, cmp.Or(err, checkFolders(s.Classes))
}

// source is what of v enters a key: the template only where it is used.
func (v vocabulary) source(template bool) stages.Source {
	value := map[string]any{"classes": classPairs(v.Classes)}
	if template {
		value["template"] = v.Template
	}
	return stages.Source{Param: "classes", Value: value}
}

// writeClasses adds classes.txt to the output.
func writeClasses(env *stages.Env, classes []datasets.Class) error {
	text, err := classLines(classes)
	if err != nil {
		return err
	}
	return env.WriteFile(datasets.ClassesFile, text)
}

// classLines is the text of classes.txt.
func classLines(classes []datasets.Class) ([]byte, error) {
	var b bytes.Buffer
	if err := datasets.WriteClasses(&b, classes); err != nil {
		return nil, fmt.Errorf("writing %s: %w", datasets.ClassesFile, err)
	}
	return b.Bytes(), nil
}
