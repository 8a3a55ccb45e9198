package specs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"regft/specs"

	"github.com/rogpeppe/go-internal/txtar"
)

// places are specs with one mistake each, which stands between « and » in a file or in a flag, and the beginning of what
// is said of it. Without another version and stages, a file that begins with neither is part of a whole spec.
var places = []struct{ name, archive, says string }{
	{"a key", "stages:\n  a: {uses: const, «wit»: {value: 1}}\n", "a stage has no key"},
	{"a key after wide characters", "vars: {e: 'ä 写真', o: 1}\nstages:\n  a: {uses: const, with: {note: '写真 é', «valeu»: 1}}\n", "unknown parameter"},
	{"a quoted key", "stages:\n  a: {uses: const, with: {value: 1, «\"si ze\"»: 1}}\n", "unknown parameter"},
	{"a plain value", "stages:\n  a: {uses: const, with: {value: «many»}}\n", "value: want a number"},
	{"a quoted value", "stages:\n  a: {uses: const, with: {value: «'it''s'»}}\n", "value: want a number"},
	{"a value with escapes", "stages:\n  a: {uses: const, with: {value: «\"\\u00e4\\x41\"»}}\n", "value: want a number"},
	{"a value in the next line", "stages:\n  a:\n    uses:\n      «constt»\n    with: {value: 1}\n", "there is no stage type"},
	{"a flow mapping over lines", "stages:\n  a: {uses: const,\n    with: {value: 1,\n      size: «-1»}}\n", "size: -1 is outside"},
	{"an element of a block list", "sweep:\n  axes: {x: [1, 2]}\n  exclude:\n    - sweep.x == 1\n    - sweep.«y» == 1\n", "there is no axis"},
	{"an element of a compact list", "sweep:\n  axes: {x: [1, 2]}\n  exclude:\n  - sweep.x == 1\n  - sweep.«y» == 1\n", "there is no axis"},
	{"CEL in a flow mapping", "sweep: {axes: {x: [1, 2]}}\nstages: {a: {uses: const, with: {value: \"${sweep.x + vars.«y»}\"}}}\n", "vars has no"},
	{"the second of two expressions", "vars: {x: 1}\nstages:\n  a: {uses: const, with: {value: 1, note: '${vars.x}–${vars.«y»}'}}\n", "vars has no"},
	{"CEL after an escaped quote", "stages:\n  a: {uses: const, with: {value: 1, note: \"\\\"é\\\" ${vars.«y»}\"}}\n", "vars has no"},
	{"CEL after a doubled quote", "stages:\n  a: {uses: const, with: {value: 1, note: 'it''s ${vars.«y»}'}}\n", "vars has no"},
	{"CEL after a ${ that is text", "stages:\n  a: {uses: const, with: {value: 1, note: '$${x} ${vars.«y»}'}}\n", "vars has no"},
	{"CEL in a literal block", "stages:\n  a:\n    uses: const\n    with:\n      value: 1\n      note: |\n        first\n          ${vars.«y»} more\n", "vars has no"},
	{"CEL in a folded block", "sweep: {axes: {x: [1, 2]}}\nstages:\n  a:\n    uses: const\n    with: {value: '${sweep.x}'}\n    when: >-\n      sweep.x > 0 &&\n\n      sweep.«y» == 1\n", "there is no axis"},
	{"CEL in a block with an indicator", "stages:\n  a:\n    uses: const\n    with:\n      value: 1\n      note: |2-\n          ${vars.«y»}\n", "vars has no"},
	{"CEL in a plain text over lines", "sweep: {axes: {x: [1, 2]}}\nstages:\n  a:\n    uses: const\n    with: {value: '${sweep.x}'}\n    when: sweep.x > 0 &&\n      sweep.«y» == 1\n", "there is no axis"},
	{"CEL in quotes over lines", "sweep: {axes: {x: [1, 2]}}\nstages:\n  a:\n    uses: const\n    with: {value: '${sweep.x}'}\n    when: \"sweep.x > 0 && \\\n      sweep.«y» == 1\"\n", "there is no axis"},
	{"a string in CEL in a block", "sweep: {axes: {x: [a, b]}}\nstages:\n  a:\n    uses: const\n    with: {value: 1}\n    when: |\n      sweep.x == 'a' ||\n      sweep.x == «'c'»\n", "sweep.x is never"},
	{"a call in CEL", "vars: {l: [1]}\nstages:\n  a: {uses: const, with: {value: '${1 + «siez(vars.l)»}'}}\n", "unknown function"},
	{"no CEL in a block", "sweep: {axes: {x: [1, 2]}}\nstages:\n  a:\n    uses: const\n    with: {value: '${sweep.x}'}\n    when: |\n      sweep.x > 1 &&\n      sweep.x «=» 2\n", "this is no CEL"},
	{"an index in CEL", "vars: {n: {a: 1}}\nstages:\n  a: {uses: const, with: {value: '${vars.n[«\"b\"»]}'}}\n", "vars.n has no"},
	{"a value that is aliased", "vars:\n  w: &w {value: «many»}\nstages:\n  a: {uses: const, with: *w}\n", "value: want a number"},
	{"CEL that is aliased", "vars: {c: &c 'sweep.«y» == 1'}\nsweep: {axes: {x: [1, 2]}}\nstages:\n  a: {uses: const, with: {value: '${sweep.x}'}, when: *c}\n", "there is no axis"},
	{"an alias inside itself", "vars: {a: &a [1, «*a»]}\n", "*a stands inside"},
	{"an alias of nothing", "vars: {a: 1, b: «*basis»}\n", "there is no anchor"},
	{"a key that is merged", "vars:\n  base: &base {«valeu»: 1}\nstages:\n  a: {uses: const, with: {<<: *base, value: 1}}\n", "unknown parameter"},
	{"a value that is merged from a list", "vars:\n  one: &one {value: 1}\n  two: &two {size: «-1», value: 2}\nstages:\n  a: {uses: const, with: {<<: [*one, *two]}}\n", "size: -1 is outside"},
	{"a key over a merged one", "vars:\n  base: &base {value: many}\nstages:\n  a: {uses: const, with: {<<: *base, value: «none»}}\n", "value: want a number"},
	{"an included file", "include: lab.yaml\nstages:\n  b: {uses: const, with: {value: 1}}\n-- lab.yaml --\nstages:\n  a: {uses: const, with: {«valeu»: 1, value: 1}}\n", "unknown parameter"},
	{"CEL in a block of an included file", "include: [sub/lab.yaml]\n-- sub/lab.yaml --\nstages:\n  a:\n    uses: const\n    with:\n      value: 1\n      note: |\n        é ${vars.«y»}\n", "vars has no"},
	{"a file that is not there", "include: [lab.yaml, «none.yaml»]\n-- lab.yaml --\nvars: {x: 1}\n", "included file none.yaml does not exist"},
	{"no YAML in an included file", "include: lab.yaml\n-- lab.yaml --\nvars: {x: «[»1, 2}\n", "this [ has no ]"},
	{"a value over an included one", "include: lab.yaml\nstages:\n  a: {with: {value: «many»}}\n-- lab.yaml --\nstages:\n  a: {uses: const, with: {value: 1}}\n", "value: want a number"},
	{"the path of a flag", "stages:\n  a: {uses: const, with: {value: 1}}\n-- set --\nstages.a.with.«valeu»=2\n", "the spec has no"},
	{"an index of a flag", "sweep: {axes: {x: [1, 2]}}\n-- set --\nsweep.axes.x[«5»]=2\n", "the spec has no"},
	{"the value of a flag", "stages:\n  a: {uses: const, with: {value: 1}}\n-- set --\nstages.a.with.value=«many»\n", "value: want a number"},
	{"CEL in a flag", "stages:\n  a: {uses: const, with: {value: 1}}\n-- set --\nstages.a.with.value=\"${1 + vars.«y»}\"\n", "vars has no"},
	{"CEL in a flag after wide characters", "stages:\n  a: {uses: const, with: {value: 1, note: x}}\n-- set --\nstages.a.with[\"note\"]=写真 ${vars.«y»}\n", "vars has no"},
	{"a key in a flag", "stages:\n  a: {uses: const, with: {value: 1}}\n-- set --\nstages.a.with={value: 1, «valeu»: 2}\n", "unknown parameter"},
	{"no YAML in a flag", "vars: {x: 1}\n-- set --\nvars.x=«[»1, 2\n", "this [ has no ]"},
	{"quotes in a flag", "vars: {x: 1}\n-- set --\nvars.x=«\"»1\n", "this \" has no other"},
	{"a key that is here twice", "vars: {a: 1, b: 2, «a»: 3}\n", "the key \"a\" is here twice"},
	{"a key of a table", "tables:\n  t: {of: a, value: metrics.value, «colums»: []}\n", "a table has no key"},
	{"CEL in a table", "tables:\n  t: {of: a, value: {Best: 1 - «metrics.valeu»}}\n", "stage a has no metric"},
	{"windows' line ends", "vars: {x: 1}\r\nstages:\r\n  a: {uses: const, with: {value: «many»}}\r\n", "value: want a number"},
	{"a byte order mark", "\ufeffstages: {a: {uses: const, with: {value: «many»}}}\n", "value: want a number"},
	{"line ends that few editors know", "vars: {x: 1}\rstages:\u2028  a: {uses: const, with: {value: «many»}}\u0085", "value: want a number"},
}

var marked = regexp.MustCompile(`«(.*)»`)

// TestPlaces checks the place of each mistake to the character: as data, and in the forms for editors and for GitHub.
func TestPlaces(t *testing.T) {
	for _, c := range places {
		t.Run(c.name, func(t *testing.T) {
			archive := txtar.Parse([]byte("-- spec.yaml --\n" + c.archive))
			text := string(archive.Files[0].Data)
			if !strings.HasPrefix(strings.TrimPrefix(text, "\ufeff"), "stages:") && !strings.Contains(c.archive, "stages:") {
				archive.Files[0].Data = []byte(text + "stages: {a: {uses: const, with: {value: 1}}}\n")
			}
			want := takeMarks(t, archive)
			sets := unpack(t, archive)
			s, problems := specs.Load("spec.yaml", sets)
			if s != nil {
				_, problems = s.Expand(context.Background())
			}
			if len(problems) != 1 || !strings.HasPrefix(problems[0].Summary, c.says) {
				t.Fatalf("want one mistake, %q, got\n%v", c.says, problems)
			}
			d := problems[0]
			if got := fmt.Sprintf("%s:%d:%d-%d", d.File, d.Start.Line, d.Start.Column, d.End.Column); got != want || d.End.Line != d.Start.Line {
				t.Errorf("at %s (to line %d), want %s\n%s", got, d.End.Line, want, d.Source)
			}
			checkForms(t, problems, want)
		})
	}
}

// takeMarks removes the marks, and says what stands between them: FILE:LINE:COLUMN-COLUMN.
func takeMarks(t *testing.T, archive *txtar.Archive) (want string) {
	t.Helper()
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n")
	for i, f := range archive.Files {
		text := string(f.Data)
		plain := strings.NewReplacer("«", "", "»", "").Replace(text)
		for n, line := range strings.Split(strings.TrimPrefix(ends.Replace(text), "\ufeff"), "\n") {
			if m := marked.FindStringSubmatchIndex(line); m != nil {
				name := f.Name
				if name == "set" {
					name, n = "--set "+strings.TrimSuffix(plain, "\n"), 0
				}
				start := len([]rune(line[:m[0]])) + 1
				want = fmt.Sprintf("%s:%d:%d-%d", name, n+1, start, start+len([]rune(line[m[2]:m[3]])))
			}
		}
		archive.Files[i].Data = []byte(plain)
	}
	return want
}

// checkForms checks that editors and GitHub are told the same place.
func checkForms(t *testing.T, problems specs.Diagnostics, want string) {
	t.Helper()
	var editors, github bytes.Buffer
	if err := problems.JSON(&editors); err != nil {
		t.Fatal(err)
	}
	if err := problems.GitHub(&github); err != nil {
		t.Fatal(err)
	}
	var back specs.Diagnostics
	if err := json.Unmarshal(editors.Bytes(), &back); err != nil || len(back) != 1 {
		t.Fatalf("%v in\n%s", err, editors.String())
	}
	if got := fmt.Sprintf("%s:%d:%d-%d", back[0].File, back[0].Start.Line, back[0].Start.Column, back[0].End.Column); got != want {
		t.Errorf("editors are told %s, want %s", got, want)
	}
	var line, column, endLine, endColumn int
	_, at, _ := strings.Cut(github.String(), ",line=")
	if _, err := fmt.Sscanf(at, "%d,col=%d,endLine=%d,endColumn=%d::", &line, &column, &endLine, &endColumn); err != nil || endLine != line {
		t.Fatalf("%v in %s", err, github.String())
	}
	if got := fmt.Sprintf(":%d:%d-%d", line, column, endColumn); !strings.HasSuffix(want, got) {
		t.Errorf("GitHub is told %s, want %s", got, want)
	}
}
