package builtin

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

// strict decodes mapping n into a struct, whose keys must be among names, for parameters of several forms. Its error joins all
// that is wrong, each a Problem with its place.
func strict(n *yaml.Node, into any, names ...string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("want a mapping with %s", strings.Join(names, ", "))
	}
	var wrong []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !slices.Contains(names, key.Value) {
			wrong = append(wrong, stages.Problem{Node: key, Text: fmt.Sprintf("unknown key %q", key.Value), Want: "one of " + strings.Join(names, ", "), Got: key.Value, Names: names})
			continue
		}
		one := *n
		one.Content = n.Content[i : i+2]
		err := one.Decode(into)
		if _, foreign := errors.AsType[*yaml.TypeError](err); foreign { // its text names Go types
			got := strconv.Quote(value.Value)
			if value.Kind != yaml.ScalarNode {
				got = "a list or a mapping"
			}
			err = stages.Problem{Node: value, Text: fmt.Sprintf("%s: want %s, got %s", key.Value, fieldWord(into, key.Value), got)}
		}
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// entry is the value of a key of mapping n, n itself where there is none.
func entry(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return n
}

// fieldWord is what the field of a struct that key is decoded into takes, in words.
func fieldWord(into any, key string) string {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(into).Elem()) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != key {
			continue
		}
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		return map[reflect.Kind]string{reflect.Int: "an integer", reflect.Float64: "a number", reflect.String: "a text"}[t.Kind()]
	}
	return "something else"
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
