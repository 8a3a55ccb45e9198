package prompts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"regft/datasets"
)

// Style is one dataset's entry in a prompt_styles.json, as RegFT publishes it.
type Style struct {
	Template string           // with {} for the class's name
	Classes  []datasets.Class // folder: save_subdir where the entry has it (ImageNet's WordNet ids), else the name
}

// ReadStyle reads the entry of a dataset.
func ReadStyle(path, dataset string) (Style, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Style{}, err
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(data, &entries); err != nil {
		return Style{}, at(path, data, 0, err)
	}
	raw, ok := entries[dataset]
	if !ok {
		known := slices.Sorted(maps.Keys(entries))
		return Style{}, fmt.Errorf("reading %s: no dataset is called %q: did you mean %q? The file has %s", path, dataset, nearest(dataset, known), strings.Join(known, ", "))
	}
	style, err := parseStyle(raw)
	if err != nil {
		return Style{}, fmt.Errorf("reading %s: %q: %w", path, dataset, err)
	}
	return style, nil
}

func parseStyle(raw json.RawMessage) (Style, error) {
	var entry struct {
		Template   *string
		Classnames []string
		SaveSubdir []string `json:"save_subdir"`
	}
	if err := json.Unmarshal(raw, &entry); err != nil {
		return Style{}, err
	}
	switch {
	case entry.Template == nil:
		return Style{}, fmt.Errorf("no template")
	case len(entry.Classnames) == 0:
		return Style{}, fmt.Errorf("no classnames")
	case entry.SaveSubdir != nil && len(entry.SaveSubdir) != len(entry.Classnames):
		return Style{}, fmt.Errorf("%d classnames and %d save_subdir: want a folder for each name", len(entry.Classnames), len(entry.SaveSubdir))
	}
	style := Style{Template: *entry.Template}
	for i, name := range entry.Classnames {
		c := datasets.Class{Folder: name, Name: name}
		if entry.SaveSubdir != nil {
			c.Folder = entry.SaveSubdir[i]
		}
		if c.Name == "" || c.Folder == "" {
			return Style{}, fmt.Errorf("class %d has no name", i)
		}
		style.Classes = append(style.Classes, c)
	}
	return style, CheckTemplate(style.Template)
}
