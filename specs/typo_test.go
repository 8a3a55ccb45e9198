package specs_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regft/specs"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"
)

// names finds where a spec calls something by its name, in expressions and elsewhere.
var names = regexp.MustCompile(`\b(?:sweep|vars|stages|metrics|chosen|image)\.([A-Za-z_][A-Za-z0-9_]*)(?:\.([A-Za-z_][A-Za-z0-9_]*))?(?:\.([A-Za-z_][A-Za-z0-9_]*))?(?:\.([A-Za-z_][A-Za-z0-9_]*))?` +
	`|\b(?:uses|of|compare): ([a-z_A-Z0-9]+)|\b(?:gather|rows|columns|paired_by|pool): \[([a-z_A-Z0-9]+)`)

// TestNoTypoGetsThrough misspells each name of the good specs, one at a time: of axes, fields, variables, stages, metrics,
// types and parameters. None of the specs plans any more.
func TestNoTypoGetsThrough(t *testing.T) {
	archives, err := filepath.Glob("testdata/good/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			if sets := unpack(t, archive); sets != nil { // they may replace what is misspelt
				return
			}
			text := part(archive, "spec.yaml")
			for _, at := range slices.Concat(namesIn(text), parametersIn(t, text)) {
				if strings.HasSuffix(text[:at[0]], "has(vars.vc.") { // an optional file may give it
					continue
				}
				tried++
				misspelt := text[:at[1]] + "q" + text[at[1]:]
				writeFile(t, "spec.yaml", misspelt)
				if problems := problemsOf(t); !problems.HasErrors() {
					t.Errorf("%s is not noticed: %s", text[at[0]:at[1]]+"q", lineAt(misspelt, at[0]))
				}
			}
		})
	}
	if tried < 300 {
		t.Errorf("only %d names", tried)
	}
}

func problemsOf(t *testing.T) specs.Diagnostics {
	s, problems := specs.Load("spec.yaml", nil)
	if s != nil {
		_, problems = s.Expand(t.Context())
	}
	return problems
}

// namesIn are where names stand in text, outside comments.
func namesIn(text string) (out [][2]int) {
	for _, m := range names.FindAllStringSubmatchIndex(text, -1) {
		if strings.Contains(lineAt(text[:m[0]], m[0]), " #") || strings.HasPrefix(lineAt(text[:m[0]], m[0]), "#") {
			continue
		}
		for k := 2; k < len(m); k += 2 {
			if m[k] >= 0 && m[k+1] > m[k] && !slices.Contains(reservedSteps, text[m[k]:m[k+1]]) {
				out = append(out, [2]int{m[k], m[k+1]})
			}
		}
	}
	return out
}

// reservedSteps are names of the language itself: a misspelt one may be the name of something else.
var reservedSteps = []string{"key", "value", "metrics", "chosen", "map", "filter", "exists", "all"}

// parametersIn are where the parameters of stages are named.
func parametersIn(t *testing.T, text string) (out [][2]int) {
	var spec struct {
		Stages map[string]struct{ With yaml.Node }
	}
	if err := yaml.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text, "\n")
	for _, s := range spec.Stages {
		for i := 0; i+1 < len(s.With.Content); i += 2 {
			key := s.With.Content[i]
			if s.With.Kind != yaml.MappingNode || key.Tag == "!!merge" {
				continue
			}
			at := len(strings.Join(lines[:key.Line-1], "")) + len(string([]rune(lines[key.Line-1])[:key.Column-1]))
			out = append(out, [2]int{at, at + len(key.Value)})
		}
	}
	return out
}

// lineAt is the line of text around a byte.
func lineAt(text string, at int) string {
	from := strings.LastIndexByte(text[:at], '\n') + 1
	to := strings.IndexByte(text[at:], '\n')
	if to < 0 {
		return text[from:]
	}
	return text[from : at+to]
}
