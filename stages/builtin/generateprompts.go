package builtin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"regft/datasets/prompts"
)

// Attributes are lists of texts that templates take by name.
type Attributes map[string][]string

// texts are the prompts of each class, drawn from in turn: [class][prompt].
func (g *Generate) texts(v vocabulary) ([][]string, error) {
	if g.Sentences != "" {
		file, err := prompts.ReadSentences(string(g.Sentences))
		if err != nil {
			return nil, err
		}
		return file.For(v.Classes)
	}
	templates := []string{v.Template}
	switch {
	case g.Prompt != "":
		templates = []string{g.Prompt}
	case g.Templates != nil:
		var err error
		if templates, err = g.Templates.texts(); err != nil {
			return nil, err
		}
	}
	templates, err := g.Attributes.fill(templates)
	if err != nil {
		return nil, err
	}
	return prompts.FillAll(templates, v.Classes), nil
}

// fill makes of each template one for every combination of the attributes that it names, the last name changing fastest. An
// attribute that no template names is an error.
func (a Attributes) fill(templates []string) ([]string, error) {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		slot := "{" + name + "}"
		var filled []string
		used := false
		for _, template := range templates {
			if !strings.Contains(template, slot) {
				filled = append(filled, template)
				continue
			}
			used = true
			for _, text := range a[name] {
				filled = append(filled, strings.ReplaceAll(template, slot, text))
			}
		}
		if !used {
			return nil, fmt.Errorf("attributes: no template has %s", slot)
		}
		templates = filled
	}
	if len(templates) == 0 {
		return nil, fmt.Errorf("attributes: an empty list leaves no templates")
	}
	return templates, nil
}
