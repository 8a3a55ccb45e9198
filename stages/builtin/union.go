package builtin

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// strict decodes mapping n, whose keys must be among names, for parameters of several forms.
func strict(n *yaml.Node, into any, names ...string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("want a mapping with %s", strings.Join(names, ", "))
	}
	for i := 0; i < len(n.Content); i += 2 {
		if !slices.Contains(names, n.Content[i].Value) {
			return fmt.Errorf("unknown key %q: want %s", n.Content[i].Value, strings.Join(names, ", "))
		}
	}
	return n.Decode(into)
}

// texts reads a list of texts, or one alone.
func texts(n *yaml.Node) ([]string, error) {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}, nil
	}
	var list []string
	if err := n.Decode(&list); err != nil {
		return nil, fmt.Errorf("want a list of texts")
	}
	return list, nil
}
