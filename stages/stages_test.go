package stages

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// everything has a parameter of every sort.
type everything struct {
	Steps   int               `yaml:"steps" default:"50" min:"1" max:"1000" unit:"steps" doc:"how many"`
	Rate    float64           `yaml:"rate" default:"1e-5" min:"0" doc:"how fast"`
	Name    string            `yaml:"name" doc:"what it is called"`
	On      bool              `yaml:"on" default:"true" doc:"whether"`
	Kind    string            `yaml:"kind" default:"a" enum:"a,b" doc:"which"`
	Kinds   []string          `yaml:"kinds" default:"[a]" enum:"a,b" doc:"which ones"`
	Size    *int              `yaml:"size" default:"224" min:"1" null:"keeps it" doc:"of the picture"`
	Nested  nested            `yaml:"nested" default:"{x: 1, y: 2}" doc:"parts"`
	Maybe   *nested           `yaml:"maybe" doc:"parts, if any"`
	File    Path              `yaml:"file" optional:"true" doc:"a file"`
	Classes ListOrFile        `yaml:"classes" optional:"true" doc:"names"`
	Seed    Seed              `yaml:"seed" doc:"of the numbers"`
	Forms   map[string]either `yaml:"forms" optional:"true" doc:"of several forms"`
	Batch   int               `yaml:"batch" default:"16" key:"-" doc:"only speed"`
	Count   int               `yaml:"count" default:"4" partial:"-" doc:"how many of them"`
	In      Input             `yaml:"in" in:"images" doc:"an artifact"`
	Other   *Input            `yaml:"other" in:"images,files" doc:"another"`
	Many    []Input           `yaml:"many" in:"any" optional:"true" doc:"some"`
	Goal    *Expr             `yaml:"goal" cel:"metrics" doc:"what counts"`
}

type nested struct {
	X float64 `yaml:"x" default:"1" min:"0" doc:"across"`
	Y float64 `yaml:"y" default:"2" doc:"along"`
}

// either is a text or {text: …}.
type either struct{ text string }

func (e *either) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return errors.New("want a text, or {text: TEXT}")
	}
	if n.Kind == yaml.MappingNode {
		n = n.Content[1]
	}
	e.text = n.Value
	return nil
}

func (e either) KeyValue() any { return map[string]any{"text": e.text} }

func (*everything) Run(context.Context, *Env) error { return nil }
func (e *everything) Draws() bool                   { return e.On }
func (e *everything) Validate() error {
	if e.Kind == "b" && e.Goal == nil {
		return errors.New("kind b needs a goal")
	}
	return nil
}

var everythingType = Register[everything](Type{Name: "test-everything", Doc: "Everything.", Version: 1, Out: Files})

func decode(t *testing.T, text string) (*everything, []Problem) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	r, problems := everythingType.Decode(doc.Content[0], Context{Dir: "/spec", Seed: 7})
	return r.(*everything), problems
}

func TestDecode(t *testing.T) {
	got, problems := decode(t, `{name: 5, in: stages.x, other: stages.y, size: null, maybe: {y: 3}, file: a/b, classes: [x, 1], forms: {f: text}, kinds: [a, b], goal: metrics.x}`)
	if problems != nil {
		t.Fatal(problems)
	}
	if got.Steps != 50 || got.Rate != 1e-5 || got.Name != "5" || !got.On || got.Size != nil || got.Seed != 7 || got.Nested != (nested{1, 2}) {
		t.Errorf("decoded to %+v", got)
	}
	if got.Maybe == nil || *got.Maybe != (nested{1, 3}) || got.File != Path(filepath.FromSlash("/spec/a/b")) || !cmp.Equal(got.Classes.List, []string{"x", "1"}) {
		t.Errorf("decoded to %+v", got)
	}
	if got.Other == nil || got.Goal == nil || got.Many != nil {
		t.Error("what is filled in later does not count as given")
	}
}

func TestDecodeProblems(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`:                                                       {`1:1 parameter "name" is required: what it is called`, `1:1 parameter "in" is required: an artifact`},
		`{name: x, in: s, stepps: 5}`:                              {`1:18 unknown parameter "stepps" (nearest of 19)`},
		`{name: x, in: s, steps: 0}`:                               {`1:25 steps: 0 is outside [1, 1000]`},
		`{name: x, in: s, rate: -1}`:                               {`1:24 rate: -1 is outside [0, ∞]`},
		`{name: x, in: s, steps: 2.5, on: maybe}`:                  {`1:25 steps: want an integer, got 2.5`, `1:34 on: want true or false, got "maybe"`},
		`{name: x, in: s, steps: null}`:                            {`1:25 steps: null is no value of it; leave it out for the default, 50`},
		`{name: [x], in: s}`:                                       {`1:8 name: want text, got a list`},
		`{name: x, in: s, kind: c, kinds: [a, c]}`:                 {`1:24 kind: "c" is not a value of it: one of a, b`, `1:38 kinds: "c" is not a value of it: one of a, b`},
		`{name: x, in: s, nested: {z: 1, x: -1}}`:                  {`1:27 unknown parameter "nested.z" (nearest of 2)`, `1:36 nested.x: -1 is outside [0, ∞]`},
		`{name: x, in: s, nested: 5}`:                              {`1:26 nested: want a mapping of parameters, got 5`},
		`{name: x, in: s, file: "", classes: {a: 1}}`:              {`1:24 file: an empty path`, `1:37 classes: want a list of texts, or a file with one a line, got a mapping`},
		`{name: x, in: s, classes: [[a]]}`:                         {`1:28 classes: want text, got a list`},
		`{name: x, in: s, forms: {a: [b]}}`:                        {`1:29 forms.a: want a text, or {text: TEXT}`},
		`{name: x, in: s, kinds: [a, null, [b]], classes: [a, ~]}`: {`1:29 kinds: want a list of texts, got null`, `1:35 kinds: want a list of texts, got a list`, `1:54 classes: want text, got ~`},
		`{name: x, in: s, kind: b}`:                                {`1:1 kind b needs a goal`},
		`[a]`:                                                      {`1:1 want a mapping of parameters, got a list`},
	} {
		_, problems := decode(t, text)
		var got []string
		for _, p := range problems {
			line := strings.Join([]string{place(p.Node), p.Error()}, " ")
			if p.Names != nil && p.Want == "" {
				line += " (nearest of " + CanonicalJSON(len(p.Names)) + ")"
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func place(n *yaml.Node) string {
	return CanonicalJSON(n.Line) + ":" + CanonicalJSON(n.Column)
}

func TestParamLines(t *testing.T) {
	for text, want := range map[string][]string{
		`{name: x, in: s}`:                                          {`param name "x"`, `seed 7`},
		`{name: x, in: s, steps: 60.0}`:                             {`param steps 60`, `param name "x"`, `seed 7`},
		`{name: x, in: s, on: false, seed: 9}`:                      {`param name "x"`, `param on false`},
		`{name: x, in: s, seed: 9, batch: 3, file: f, steps: 50}`:   {`param name "x"`, `seed 9`},
		`{name: x, in: s, rate: 0.00001, nested: {y: 2, x: 1.0}}`:   {`param name "x"`, `seed 7`},
		`{name: x, in: s, nested: {x: 3}, size: null, maybe: {}}`:   {`param name "x"`, `param size null`, `param nested {"x":3,"y":2}`, `param maybe {"x":1,"y":2}`, `seed 7`},
		`{name: x, in: s, count: 9, forms: {b: {text: q}, a: "<"}}`: {`param name "x"`, `seed 7`, `param forms {"a":{"text":"<"},"b":{"text":"q"}}`, `param count 9`},
	} {
		r, problems := decode(t, text)
		if problems != nil {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		if diff := cmp.Diff(want, everythingType.ParamLines(r, false)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	r, _ := decode(t, `{name: x, in: s, count: 9}`)
	if diff := cmp.Diff([]string{`param name "x"`, `seed 7`}, everythingType.ParamLines(r, true)); diff != "" {
		t.Errorf("partial (-want +got):\n%s", diff)
	}
}

func TestCanonicalJSON(t *testing.T) {
	for _, test := range []struct {
		v    any
		want string
	}{
		{map[string]any{"b": 1.0, "a": []any{1e-7, 1e21, 0.1, -0.5}, "é": nil}, `{"a":[1e-7,1e+21,0.1,-0.5],"b":1,"é":null}`},
		{[]float64{math.NaN(), math.Inf(1), math.Inf(-1)}, `["NaN","Infinity","-Infinity"]`},
		{"<&>\u2028\n\\u2028", "\"<&>\u2028\\n\\\\u2028\""},
		{map[string]int{"\U0001F600": 1, "\uffff": 2}, "{\"\U0001F600\":1,\"\uffff\":2}"}, // by UTF-16 code units
		{nested{1, 2}, `{"x":1,"y":2}`},
		{[]either{{"a"}}, `[{"text":"a"}]`},
		{uint64(math.MaxUint64), "18446744073709551615"},
	} {
		if got := CanonicalJSON(test.v); got != test.want {
			t.Errorf("%v is %s, want %s", test.v, got, test.want)
		}
	}
}

func TestInputs(t *testing.T) {
	r, problems := decode(t, `{name: x, in: a, other: b, many: [c, d]}`)
	if problems != nil {
		t.Fatal(problems)
	}
	set := func(r Runner, name string, in ...Input) {
		f, _ := everythingType.Field(name)
		everythingType.SetInputs(r, f, in)
	}
	set(r, "in", Input{Key: "1"})
	set(r, "other", Input{Key: "2"})
	set(r, "many", Input{Key: "3"}, Input{Key: "4"})
	clone := everythingType.Clone(r)
	for _, b := range everythingType.Inputs(clone) {
		b.Input.Path = "changed"
	}
	var got []string
	for _, b := range everythingType.Inputs(r) {
		got = append(got, b.Field.Name+" "+b.Key+b.Path)
	}
	if diff := cmp.Diff([]string{"in 1", "other 2", "many 3", "many 4"}, got); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	goal, _ := everythingType.Field("goal")
	everythingType.SetExpr(r, goal, Expr{Text: "a"})
	everythingType.SetExpr(clone, goal, Expr{Text: "b"})
	if r.Goal.Text != "a" {
		t.Error("a clone shares its expression")
	}
}

func TestAgree(t *testing.T) {
	a := []Coord{{Axis: "x", Key: "1"}, {Axis: "y", Key: "2"}}
	for _, test := range []struct {
		b    []Coord
		want bool
	}{
		{nil, true},
		{[]Coord{{Axis: "x", Key: "1"}}, true},
		{[]Coord{{Axis: "z", Key: "1"}}, true},
		{[]Coord{{Axis: "y", Key: "1"}}, false},
	} {
		if got := Agree(a, test.b); got != test.want {
			t.Errorf("%v agrees with %v: %v", a, test.b, got)
		}
	}
}

// TestRegisterPanics checks that a mistake in a type is found when the program starts, and one in its tags when they
// are first read.
func TestRegisterPanics(t *testing.T) {
	for name, register := range map[string]func(){
		"no doc of a parameter": func() { Register[noDoc](Type{Name: "test-no-doc", Doc: "x", Version: 1, Out: Files}).Fields() },
		"a bad default": func() {
			Register[badDefault](Type{Name: "test-bad-default", Doc: "x", Version: 1, Out: Files}).Fields()
		},
		"a kind of no artifact": func() { Register[badKind](Type{Name: "test-bad-kind", Doc: "x", Version: 1, Out: Files}).Fields() },
		"twice":                 func() { Register[everything](Type{Name: "test-everything", Doc: "x", Version: 1, Out: Files}) },
		"no version":            func() { Register[everything](Type{Name: "test-no-version", Doc: "x", Out: Files}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("registered")
				}
			}()
			register()
		})
	}
}

type (
	noDoc struct {
		run
		X int `yaml:"x"`
	}
	badDefault struct {
		run
		X int `yaml:"x" default:"many" doc:"x"`
	}
	badKind struct {
		run
		X int `yaml:"x" in:"images" doc:"x"`
	}
	run struct{}
)

func (run) Run(context.Context, *Env) error { return nil }
