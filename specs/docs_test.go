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

	"github.com/google/go-cmp/cmp"
)

var (
	block  = regexp.MustCompile("(?s)(<!-- file: (\\S+) -->\n)?```yaml\n(.*?)```")
	expect = regexp.MustCompile(`(?m)^# expect: (.*)$`)
)

var (
	heading = regexp.MustCompile(`(?m)^## (.*)$`)
	refused = regexp.MustCompile(`(?m)^(.*?)# refused: (.*?)\s*$`)
	setFlag = regexp.MustCompile(`(?m)^# set: (.*?)( +# refused:.*)?$`)
)

// noRules are the sections of the reference without rules that a spec could follow or break: it says there what is done
// with specs.
var noRules = []string{"Mistakes", "Keys", "Addresses", "Artifacts", "Exit codes"}

// TestDocs loads and expands every block of the reference, and checks what it says of them. Each section has an example
// of what is right, and one of what is refused.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "spec.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	sections := heading.FindAllStringSubmatchIndex(string(text), -1)
	for i, at := range sections {
		end := len(text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		name := string(text[at[2]:at[3]])
		right, wrong := docsSection(t, string(text[at[0]:end]))
		if rules := !slices.Contains(noRules, name); rules && (right == 0 || wrong == 0) {
			t.Errorf("section %s has %d examples and %d of what is refused: want some of both", name, right, wrong)
		}
	}
}

// docsSection checks the blocks of a section. It counts examples of what is right, and lines of what is refused.
func docsSection(t *testing.T, text string) (right, wrong int) {
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		spec := m[3]
		if m[2] != "" {
			writeFile(t, m[2], spec)
			continue
		}
		writeFile(t, "spec.yaml", spec)
		var sets []string
		for _, flag := range setFlag.FindAllStringSubmatch(spec, -1) {
			sets = append(sets, flag[1])
		}
		if lines := refused.FindAllStringSubmatch(spec, -1); lines != nil {
			wrong += len(lines)
			checkRefused(t, spec, sets)
			continue
		}
		right++
		e := mustExpand(t, "spec.yaml", sets...)
		claims := expect.FindAllStringSubmatch(spec, -1)
		if len(claims) == 0 {
			t.Errorf("a block says nothing to check:\n%s", spec)
		}
		for _, c := range claims {
			if problem := check(e, c[1]); problem != "" {
				t.Errorf("%s: %s, in\n%s", c[1], problem, spec)
			}
		}
	}
	return right, wrong
}

func writeFile(t *testing.T, name, text string) {
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// checkRefused wants the errors that the lines of spec announce, at those lines, and no others.
func checkRefused(t *testing.T, spec string, sets []string) {
	var want, got []string
	for i, line := range strings.Split(spec, "\n") {
		if m := refused.FindStringSubmatch(line); m != nil {
			place := fmt.Sprint(i + 1)
			if flag := setFlag.FindStringSubmatch(line); flag != nil {
				place = "--set " + flag[1]
			}
			want = append(want, place+": "+m[2])
		}
	}
	s, problems := specs.Load("spec.yaml", sets)
	if s != nil {
		_, problems = s.Expand(t.Context())
	}
	for _, p := range problems {
		place := fmt.Sprint(p.Start.Line)
		if p.File != "spec.yaml" {
			place = p.File
		}
		if p.Severity == specs.Error {
			got = append(got, place+": "+p.Summary)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is refused differs (-want +got):\n%s\nin\n%s", diff, spec)
	}
}

// check says how an expansion differs from a claim.
func check(e *specs.Expansion, claim string) string {
	words := strings.Fields(claim)
	n, err := strconv.Atoi(words[0])
	switch {
	case err == nil && words[1] == "points":
		return differ(n, len(e.Points))
	case err == nil && words[1] == "nodes": // counted where the reference is planned, with the real stage types
		return ""
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
