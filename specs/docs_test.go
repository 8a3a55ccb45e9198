package specs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regft/specs"
)

var (
	block  = regexp.MustCompile("(?s)(<!-- file: (\\S+) -->\n)?```yaml\n(.*?)```")
	expect = regexp.MustCompile(`(?m)^# expect: (.*)$`)
)

// TestDocs loads and expands every block of the reference, and checks what it says of them.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "spec.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := 0
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		name := m[2]
		if name == "" {
			name = "spec.yaml"
			blocks++
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(m[3]), 0o666); err != nil {
			t.Fatal(err)
		}
		if m[2] != "" {
			continue
		}
		e := mustExpand(t, path)
		claims := expect.FindAllStringSubmatch(m[3], -1)
		if len(claims) == 0 {
			t.Errorf("a block says nothing to check:\n%s", m[3])
		}
		for _, c := range claims {
			if problem := check(e, c[1]); problem != "" {
				t.Errorf("%s: %s, in\n%s", c[1], problem, m[3])
			}
		}
	}
	if blocks < 15 {
		t.Errorf("only %d blocks", blocks)
	}
}

// check says how an expansion differs from a claim.
func check(e *specs.Expansion, claim string) string {
	words := strings.Fields(claim)
	n, err := strconv.Atoi(words[0])
	switch {
	case err == nil && words[1] == "points":
		return differ(n, len(e.Points))
	case err == nil && words[1] == "cells":
		return differ(n, len(e.Cells[words[3]]))
	case err == nil && words[1] == "instances":
		return differ(n, len(instances(e, words[3])))
	case words[1] == "over":
		return checkOver(e, words)
	}
	of := instances(e, words[0])
	if len(of) == 0 {
		return "there is no such instance"
	}
	rest := strings.Join(words[2:], " ")
	switch words[1] {
	case "has":
		name, value, _ := strings.Cut(rest, " ")
		return differ(value, fmt.Sprint(of[0].Stage.Type.Params(of[0].Runner)[name]))
	case "takes":
		var from []string
		for _, r := range of[0].Refs {
			from = append(from, r.Instance.Address())
		}
		if !strings.HasSuffix(strings.Join(from, ", "), rest) && !slices.Contains(from, rest) {
			return "it takes " + strings.Join(from, ", ")
		}
		return ""
	case "is":
		return differ(true, of[0].Oracle)
	}
	return "a claim that is not understood"
}

func checkOver(e *specs.Expansion, words []string) string {
	want := strings.Split(strings.TrimSuffix(strings.Join(words[2:], " "), " in any order"), ", ")
	got := slices.Clone(instances(e, words[0])[0].Stage.Over)
	if words[len(words)-1] == "order" {
		slices.Sort(want)
		slices.Sort(got)
	}
	return differ(strings.Join(want, " "), strings.Join(got, " "))
}

func differ(want, got any) string {
	if want == got {
		return ""
	}
	return fmt.Sprintf("got %v", got)
}

// instances finds those at an address, or all of a stage.
func instances(e *specs.Expansion, address string) []*specs.Instance {
	var out []*specs.Instance
	for _, i := range e.Instances {
		if i.Address() == address || i.Stage.Name == address {
			out = append(out, i)
		}
	}
	return out
}
