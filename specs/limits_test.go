package specs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regft/specs"
)

// doubled is thirty variables, each made of two of the one before.
func doubled(first, next string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "vars:\n  a0: %s\n", first)
	for i := range 30 {
		fmt.Fprintf(&b, "  a%d: %s\n", i+1, strings.ReplaceAll(next, "A", fmt.Sprintf("vars.a%d", i)))
	}
	return b.String()
}

// TestBombs loads specs of a few lines that would fill the memory, or never end, were there no limits. Each is refused
// with the place of what is too large.
func TestBombs(t *testing.T) {
	const ten = "[1,2,3,4,5,6,7,8,9,10]"
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct{ spec, want string }{
		"text in text":          {doubled("abcdefghij", "'${A}${A}'"), "this text is longer than 1048576 bytes"},
		"text by +":             {doubled("abcdefghij", "${A + A}"), "this text is longer than 1048576 bytes"},
		"lists by +":            {doubled("[1, 2, 3]", "'${A + A}'"), "more than 500000 values"},
		"lists in lists":        {doubled("[1, 2, 3]", "'${[A, A]}'"), "more than 500000 values"},
		"lists of ${}":          {doubled("[1, 2, 3]", "['${A}', '${A}']"), "more than 500000 values"},
		"replace":               {fmt.Sprintf("vars: {a: '${\"%s\".replace(\"\", \"%s\")}'}", long[:4000], long[:5000]), "this text is longer"},
		"join":                  {fmt.Sprintf("vars: {x: %s, a: '${%s.map(i, vars.x + string(i)).map(i, i + i).join(vars.x)}'}", long, ten), "this text is longer"},
		"format":                {fmt.Sprintf("vars: {x: %s, a: '${\"%s\".format([vars.x,vars.x,vars.x,vars.x,vars.x,vars.x])}'}", long, "%s%s%s%s%s%s"), "this text is longer"},
		"lists of lists":        {"vars: {a: '${[[1]]" + strings.Repeat(".map(x, [x, x])", 40) + "}'}", "more than 500000 values"},
		"loops":                 {"vars: {a: '${" + strings.Repeat(ten+".all(x, ", 8) + "true" + strings.Repeat(")", 8) + "}'}", "this takes too many steps"},
		"many long texts":       {fmt.Sprintf("vars: {x: %s, l: '${%s}', a: '${vars.l.map(i, vars.l.map(j, vars.l.map(k, vars.l.map(m, vars.x + string(i * 1000 + j * 100 + k * 10 + m)))))}'}", long, ten), "this takes too many steps"},
		"long text everywhere":  {fmt.Sprintf("vars: {x: %s}\nsweep: {axes: {a: {from: 1, to: 2000, step: 1}}}\nstages: {c: {uses: const, with: {value: 1, note: \"${vars.x}${sweep.a}\"}}}", long), "more than 128 MiB"},
		"many expressions":      {"vars: {a: '" + strings.Repeat("${1}", 20_000) + "'}", "at most 10000 expressions"},
		"brackets":              {"vars: {a: " + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + "}", "nested deeper than 100 levels"},
		"brackets of a bad end": {"vars: {a: " + strings.Repeat("[{a: ", 50_000), "nested deeper than 100 levels"},
		"indents":               {"vars:\n  a:\n    " + strings.Repeat("- ", 9_000) + "1\n", "nested deeper than 100 levels"},
		"a range":               {"sweep: {axes: {a: {from: 0, to: 1e18, step: 1e-18}}}", "more than 300000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spec.yaml")
			text := "version: 1\n" + c.spec + "\n"
			if !strings.Contains(text, "stages:") {
				text += "stages: {c: {uses: const, with: {value: 1}}}\n"
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			var found specs.Diagnostics
			start := time.Now()
			peak := peakMemory(func() {
				s, problems := specs.Load(path, nil)
				if s != nil {
					_, problems = s.Expand(context.Background())
				}
				found = problems
			})
			if took := time.Since(start); peak > mostMemory || took > time.Minute {
				t.Errorf("took %d MiB and %v", peak>>20, took)
			}
			if !strings.Contains(found.Error(), c.want) || len(found) > 0 && found[0].Start.Line == 0 {
				t.Errorf("says %.300s: want %s", found.Error(), c.want)
			}
		})
	}
}
