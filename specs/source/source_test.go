package source

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// tree loads files; the first is the spec.
func tree(t testing.TB, sets []string, files ...string) (*Tree, Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return Load(filepath.Join(dir, files[0]), sets)
}

// at follows keys from n.
func at(t testing.TB, n *yaml.Node, keys ...string) *yaml.Node {
	t.Helper()
	for _, k := range keys {
		j := child(n, k)
		if j < 0 {
			t.Fatalf("no %s", k)
		}
		n = n.Content[j]
	}
	return n
}

// TestWithin checks the place of a word inside a scalar in every style that YAML has.
func TestWithin(t *testing.T) {
	for name, text := range map[string]string{
		"plain":             "a: one two HERE\n",
		"plain, two lines":  "a: one\n   two\n   HERE\n",
		"plain, in flow":    "{a: one two HERE, b: x}\n",
		"single":            "a: 'it''s ''two'' HERE'\n",
		"single, two lines": "a: 'one\n\n  two HERE'\n",
		"double":            "a: \"\\\"one\\\" \\u0061 \\x41\\n HERE\"\n",
		"double, two lines": "a: \"one \\\n  two\n  HERE\"\n",
		"literal":           "a: |\n  one\n    two\n\n  three HERE\n",
		"literal, stripped": "a: |-\n\n  HERE\n",
		"folded":            "a: >\n  one\n  two\n\n  three HERE four\n",
		"umlauts":           "ä: ü # comment\na: öö ü HERE\n",
	} {
		t.Run(name, func(t *testing.T) {
			tr, problems := tree(t, nil, "spec.yaml", text)
			if problems != nil {
				t.Fatal(problems)
			}
			n := at(t, tr.Root, "a")
			start := len([]rune(n.Value[:strings.Index(n.Value, "HERE")]))
			d := tr.Within(n, start, start+4, "x")
			line := []rune(strings.Split(text, "\n")[d.Start.Line-1])
			if d.Start.Column < 1 || d.End.Column-1 > len(line) || string(line[d.Start.Column-1:d.End.Column-1]) != "HERE" {
				t.Errorf("%d:%d to %d of %q", d.Start.Line, d.Start.Column, d.End.Column, string(line))
			}
		})
	}
}

// TestWithinAnyText checks places in texts that yaml.v3 writes in whatever style they need.
func TestWithinAnyText(t *testing.T) {
	dir := t.TempDir()
	word := rapid.SampledFrom([]string{"a", "b", "'", `"`, `\`, " ", "  ", "\n", "\t", "#", ": ", "é", "x y", "- ", "${", "}", "%"})
	style := rapid.SampledFrom([]yaml.Style{0, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle})
	rapid.Check(t, func(rt *rapid.T) {
		before := strings.Join(rapid.SliceOf(word).Draw(rt, "before"), "")
		after := strings.Join(rapid.SliceOf(word).Draw(rt, "after"), "")
		n := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Value: "key"},
			{Kind: yaml.ScalarNode, Value: before + "HERE" + after, Style: style.Draw(rt, "style")},
		}}
		text, err := yaml.Marshal(n)
		if err != nil {
			rt.Skip("yaml.v3 does not write it")
		}
		path := filepath.Join(dir, "spec.yaml")
		if err := os.WriteFile(path, text, 0o666); err != nil {
			rt.Fatal(err)
		}
		tr, problems := Load(path, nil)
		if problems != nil {
			rt.Skip("yaml.v3 does not read what it wrote")
		}
		v := tr.Root.Content[1]
		i := strings.Index(v.Value, "HERE")
		if i < 0 {
			rt.Skip("yaml.v3 changed it")
		}
		start := len([]rune(v.Value[:i]))
		d := tr.Within(v, start, start+4, "x")
		line := []rune(strings.Split(string(text), "\n")[d.Start.Line-1])
		if d.End.Column-1 > len(line) || string(line[d.Start.Column-1:d.End.Column-1]) != "HERE" {
			rt.Fatalf("%d:%d to %d of %q in\n%s", d.Start.Line, d.Start.Column, d.End.Column, string(line), text)
		}
	})
}

func TestMerge(t *testing.T) {
	tr, problems := tree(t, nil,
		"spec.yaml", "include: [a.yaml, sub/b.yaml, {optional: none.yaml}]\nmap: {own: 1, gone: null, new: null}\nlist: [3]\n",
		"a.yaml", "map: {own: 0, gone: 0, kept: 0, later: 0}\nlist: [1, 2]\n",
		"sub/b.yaml", "include: c.yaml\nmap: {later: 1}\n",
		"sub/c.yaml", "deep: &x {a: 1}\nalias: *x\nmerged: {<<: *x, b: 2}\nboth: {<<: [*x, {a: 5, c: 6}]}\n")
	if problems != nil {
		t.Fatal(problems)
	}
	var got any
	if err := tr.Root.Decode(&got); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(got)
	const want = `{"alias":{"a":1},"both":{"a":1,"c":6},"deep":{"a":1},"list":[3],"map":{"kept":0,"later":1,"new":null,"own":1},"merged":{"a":1,"b":2}}`
	if string(text) != want {
		t.Errorf("merged to %s, want %s", text, want)
	}
	if p := tr.Place(at(t, tr.Root, "deep", "a")); filepath.Base(p.File) != "c.yaml" || p.Line != 1 || p.Column != 14 {
		t.Errorf("deep.a is at %v", p)
	}
	if len(tr.Files) != 5 { // one is optional and not there
		t.Errorf("read %v", tr.Files)
	}
}

func TestSet(t *testing.T) {
	const text = "a: {b: [1, {c: 2}], \"d.e\": 3, f: &x {g: 1}, h: *x}\n"
	for set, want := range map[string]string{
		`a.b[0]=5`:          `{"b":[5,{"c":2}],"d.e":3,"f":{"g":1},"h":{"g":1}}`,
		`a.b[1].c=[x, "y"]`: `{"b":[1,{"c":["x","y"]}],"d.e":3,"f":{"g":1},"h":{"g":1}}`,
		`a.b.1.c=`:          `{"b":[1,{"c":null}],"d.e":3,"f":{"g":1},"h":{"g":1}}`,
		`a."d.e"=true`:      `{"b":[1,{"c":2}],"d.e":true,"f":{"g":1},"h":{"g":1}}`,
		`a["d.e"]=x=y`:      `{"b":[1,{"c":2}],"d.e":"x=y","f":{"g":1},"h":{"g":1}}`,
		`a.h.g=2`:           `{"b":[1,{"c":2}],"d.e":3,"f":{"g":1},"h":{"g":2}}`,
	} {
		tr, problems := tree(t, []string{set}, "spec.yaml", text)
		if problems != nil {
			t.Errorf("%s: %v", set, problems)
			continue
		}
		var got any
		if err := at(t, tr.Root, "a").Decode(&got); err != nil {
			t.Fatal(err)
		}
		if text, _ := json.Marshal(got); string(text) != want {
			t.Errorf("%s gives %s, want %s", set, text, want)
		}
	}
}

func TestTouched(t *testing.T) {
	tr, problems := tree(t, []string{"a.b=1"}, "spec.yaml", "a: {b: 0, c: 0}\nd: 0\n")
	if problems != nil {
		t.Fatal(problems)
	}
	for path, want := range map[string]bool{"a": true, "a.b": true, "a.b.x": true, "a.c": false, "d": false} {
		if got := tr.Touched(strings.Split(path, ".")...); got != want {
			t.Errorf("touched %s: %v", path, got)
		}
	}
}

func TestRender(t *testing.T) {
	ds := Diagnostics{
		{Severity: Error, File: "a,b:c.yaml", Start: Position{2, 3}, End: Position{2, 6}, Summary: "100% wrong\nhere", Expected: "x", Nearest: "y", Note: "z", Source: "a bcd"},
		{Severity: Warning, File: "w.yaml", Summary: "odd"},
	}
	var text, coloured, github, asJSON bytes.Buffer
	for _, err := range []error{ds.Render(&text, false), ds.Render(&coloured, true), ds.GitHub(&github), ds.JSON(&asJSON)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const want = "a,b:c.yaml:2:3: error: 100% wrong\nhere\n  a bcd\n    ^^^\n  expected: x\n  nearest: y\n  note: z\n\nw.yaml: warning: odd\n"
	if text.String() != want {
		t.Errorf("text:\n%s", text.String())
	}
	if plain := colours.ReplaceAllString(coloured.String(), ""); plain != want || plain == coloured.String() {
		t.Errorf("coloured:\n%q", coloured.String())
	}
	const annotation = "::error file=a%2Cb%3Ac.yaml,line=2,col=3,endLine=2,endColumn=6::100%25 wrong%0Ahere%0Aexpected: x%0Anearest: y%0Az\n"
	if !strings.HasPrefix(github.String(), annotation) {
		t.Errorf("GitHub:\n%s", github.String())
	}
	var back Diagnostics
	if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil || len(back) != 2 || back[0] != ds[0] || back[1] != ds[1] {
		t.Errorf("JSON: %v\n%s", err, asJSON.String())
	}
}

func TestRenderLongLine(t *testing.T) {
	line := strings.Repeat("x", 300)
	d := Diagnostic{Severity: Error, File: "f", Start: Position{1, 250}, End: Position{1, 253}, Summary: "s", Source: line[:249] + "abc" + line[252:]}
	var out bytes.Buffer
	if err := (Diagnostics{d}).Render(&out, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	source, mark := []rune(lines[1]), []rune(lines[2])
	start := strings.Index(string(mark), "^")
	if len(source) > 106 || string(source[start:start+3]) != "abc" || string(mark[start:]) != "^^^" {
		t.Errorf("shown as\n%s", out.String())
	}
}

// TestJSONLongLine: of a line of a megabyte editors get what stands around the place.
func TestJSONLongLine(t *testing.T) {
	const size = 1 << 20
	for _, column := range []int{1, size / 2, size} {
		line := []rune(strings.Repeat("é", size))
		line[column-1] = 'X'
		ds := Diagnostics{{Severity: Error, File: "f", Start: Position{1, column}, End: Position{1, column + 1}, Summary: "s", Source: string(line)}}
		var out bytes.Buffer
		if err := ds.JSON(&out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "X") || out.Len() > 4*maxSource || len(ds[0].Source) < size {
			t.Errorf("column %d: %d bytes", column, out.Len())
		}
	}
}

func TestUnreadable(t *testing.T) {
	if tr, problems := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); tr != nil || !problems.HasErrors() || !strings.Contains(problems.Error(), "cannot be read") {
		t.Errorf("%v %v", tr, problems)
	}
	tr, problems := tree(t, nil, "spec.yaml", "include: [sub]\nstages: {}\n", "sub/x", "")
	if tr == nil || !strings.Contains(problems.Error(), "cannot be read: is a directory") {
		t.Errorf("%v %v", tr, problems)
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")
