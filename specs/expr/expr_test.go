package expr

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"pgregory.net/rapid"
)

// names resolves variables of a map, and refuses all others.
type names map[string]any

// Resolve implements Resolver.
func (n names) Resolve(r Reference) (Binding, *Problem) {
	if r.Root == "stages" && len(r.Segs) > 0 && r.Segs[0].Dynamic {
		return Binding{Used: 1, Call: StageCall}, nil
	}
	v, known := n[r.Root]
	if !known {
		return Binding{}, &Problem{Span: r.To(0), Summary: "unknown " + r.Root, Expected: r.Path(len(r.Segs))}
	}
	t := cel.DynType
	switch v.(type) {
	case float64, int64:
		t = cel.DoubleType
	case string:
		t = cel.StringType
	}
	return Binding{Name: r.Root, Type: t, Fold: true, Value: v}, nil
}

// Compare implements Resolver.
func (names) Compare(Reference, []Constant, bool) []*Problem { return nil }

func newEnv(t testing.TB) *Env {
	t.Helper()
	env, err := NewEnv(Functions{
		File:    func(path string) (any, error) { return nil, errors.New("file " + path + ": does not exist") },
		Stage:   func(args ...any) (Handle, error) { return Handle{Stage: Format(args[0])}, nil },
		Outcome: func(args ...any) (any, error) { return 0.5, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func lookupIn(vars names) func(string) ref.Val {
	return func(name string) ref.Val {
		if i, whole := vars[name].(int64); whole {
			return ToCEL(float64(i)) // as its type says
		}
		return ToCEL(vars[name])
	}
}

func vars() names {
	m := NewMap()
	m.Set("z", int64(1))
	m.Set("a", 0.5)
	return names{"x": 2.5, "n": int64(2), "s": "text", "m": m, "l": []any{int64(1), 2.5, "b"}, "none": nil}
}

func TestEval(t *testing.T) {
	env := newEnv(t)
	for text, want := range map[string]string{
		"0.1 + 0.2":                   "0.3",
		"1 / 2":                       "0.5",
		"4 / 2":                       "2",
		"7 % 4":                       "3",
		"7.5 % 4":                     "3.5",
		"1 / 3":                       "0.333333333333",
		"x * n - 1":                   "4",
		"-x":                          "-2.5",
		"100 * m.a":                   "50",
		"1 == 1.0":                    "true",
		"m.z == 1.0":                  "true",
		"1.0 in l":                    "true",
		"3 in l":                      "false",
		"n == 2":                      "true",
		"x > 2":                       "true",
		"m":                           `{"z":1,"a":0.5}`,
		"m.map(k, k)":                 `["z","a"]`,
		"{'z': 1, 'a': 2}":            `{"a":2,"z":1}`,
		`x > 3 ? "text" : null`:       "null",
		`x > 2 ? "text" : null`:       "text",
		"l[0] + l[1]":                 "3.5",
		"l[4 / 2]":                    "b",
		"[1, 2, 3].map(f, f / 2)":     "[0.5,1,1.5]",
		"l.filter(v, v != 'b')":       "[1,2.5]",
		"[1] + [2]":                   "[1,2]",
		"s + '!'":                     "text!",
		"string(0.00001) + 'x'":       "0.00001x",
		"string(1e-7)":                "1e-7",
		"has(m.q) || has(m.z)":        "true",
		"none == null":                "true",
		"size(s) + size(l)":           "7",
		"math.greatest(1, 2)":         "2",
		"math.ceil(x) + math.abs(-n)": "5",
		"strings.quote(s)":            "\"text\"",
		"s.upperAscii()":              "TEXT",
		"9223372036854775807 + 1":     "9223372036850000000",
		"3000000000000 + 1":           "3000000000001",
		"stages[s]":                   "stages.text",
	} {
		p, problems := env.Compile(text, vars())
		if problems != nil {
			t.Errorf("%s: %s", text, problems[0].Summary)
			continue
		}
		v, err := p.Eval(lookupIn(vars()))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := Format(v); got != want {
			t.Errorf("%s = %s, want %s", text, got, want)
		}
	}
}

// TestProblems checks what is said of mistakes, and where; ^ marks the place.
func TestProblems(t *testing.T) {
	env := newEnv(t)
	for _, test := range []struct{ text, mark, want string }{
		{"x > 'a'", "  ^", "does not go with a number and a text"},
		{"x == 'a'", "^^^^^^^^", "a number is never equal to a text"},
		{"s in [1, 2]", "^^^^^", "a text is never equal to a number"},
		{"x + q.r", "    ^", "unknown q"},
		{"x = 1", "  ^", `unexpected "= "`},
		{"x &&", "    ^", "ends too early"},
		{"(x > 1", "^", "this ( has no )"},
		{"size(l)) > [1", "       ^", "this ) closes nothing"},
		{"[x, (x]", "    ^", "this ( has no )"},
		{"s == 'a", "     ^", "this ' has no other"},
		{"s == '''a' + 'b'", "     ^", "this ' has no other"},
		{"s == r'\\' +", "           ^", "ends too early"},
		{`s == "a' + 'b`, "     ^", `this " has no other`},
		{"siez(l)", "^^^^^^^", "unknown function siez()"},
		{"a-b", "^", "unknown a"},
		{"", "^", "an empty expression"},
		{"T{a: 1}", " ^", "no value of a spec"},
	} {
		_, problems := env.Compile(test.text, vars())
		if problems == nil {
			t.Errorf("%s compiles", test.text)
			continue
		}
		if !strings.Contains(problems[0].Summary, test.want) {
			t.Errorf("%s: %s, want %s", test.text, problems[0].Summary, test.want)
		}
		if at := strings.Index(test.mark, "^"); problems[0].Start != at {
			t.Errorf("%s: at %d, want %d", test.text, problems[0].Start, at)
		}
	}
}

func TestEvalProblems(t *testing.T) {
	env := newEnv(t)
	for text, want := range map[string]string{
		"1 / 0":            "division by zero",
		"m.q":              `there is no "q" here`,
		"l[7]":             "the list has no element 7",
		"m.z > 'a'":        "> does not go with the values here",
		"file('x.json').a": "file x.json: does not exist",
		"[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, [1,2,3,4,5,6,7,8,9,10].map(e, [1,2,3,4,5,6,7,8,9,10].map(f, [1,2,3,4,5,6,7,8,9,10].map(g, g)))))))": "too many steps",
	} {
		p, problems := env.Compile(text, vars())
		if problems != nil {
			t.Errorf("%s: %s", text, problems[0].Summary)
			continue
		}
		_, err := p.Eval(lookupIn(vars()))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	env := newEnv(t)
	for text, want := range map[string]string{
		"x>1   &&  (s)=='a'":            `2.5 > 1 && "text" == "a"`,
		"l":                             `[1, 2.5, "b"]`,
		"m.z + 1":                       `{"z": 1, "a": 0.5}.z + 1`,
		"[1,2].exists( k , k > x )":     "[1, 2].exists(k, k > 2.5)",
		"[1].map(k, [k].map(j, j + n))": "[1].map(k, [k].map(j, j + 2))",
		"none == null ? 1 : 2":          `(null == null) ? 1 : 2`,
	} {
		got, err := env.Canonical(text, vars())
		if err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", text, got, err, want)
		}
	}
}

// TestDecimals compares sums and products of decimals with exact whole arithmetic.
func TestDecimals(t *testing.T) {
	env := newEnv(t)
	p, problems := env.Compile("x + y == z && x * 100 == w", names{"x": 0.5, "y": 0.5, "z": 0.5, "w": 0.5})
	if problems != nil {
		t.Fatal(problems[0])
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.IntRange(-99_999_999, 99_999_999).Draw(t, "a")
		b := rapid.IntRange(-99_999_999, 99_999_999).Draw(t, "b")
		v, err := p.Eval(lookupIn(names{"x": float64(a) / 100, "y": float64(b) / 100, "z": float64(a+b) / 100, "w": float64(a)}))
		if err != nil || v != true {
			t.Fatalf("%d/100 + %d/100: %v %v", a, b, v, err)
		}
	})
}

func TestNearest(t *testing.T) {
	names := []string{"style", "steps", "guidance", "guidance_scale"}
	for got, want := range map[string]string{"styel": "style", "step": "steps", "guidnace": "guidance", "Style": "style", "x": "", "nothing": ""} {
		if n := Nearest(got, names); n != want {
			t.Errorf("nearest to %s is %q, want %q", got, n, want)
		}
	}
}

func TestEqual(t *testing.T) {
	a := FromPlain(map[string]any{"b": 1.0, "a": []any{2, "x"}})
	b := NewMap()
	b.Set("b", int64(1))
	b.Set("a", []any{int64(2), "x"})
	if !Equal(a, b) || !Equal(b, a) {
		t.Errorf("%s and %s differ", Format(a), Format(b))
	}
	b.Set("c", nil)
	if Equal(a, b) || Equal(nil, b) || Equal("1", int64(1)) {
		t.Error("different values are equal")
	}
}

// TestComparingWhatIsDoubled compares lists that sixty steps double sixty times: no comparison is begun that would not
// end. Others of macros' values are as ever.
func TestComparingWhatIsDoubled(t *testing.T) {
	env := newEnv(t)
	doubled := "[1]" + strings.Repeat(".map(x, [x, x])", 60)
	for text, want := range map[string]string{
		doubled + " == " + doubled:                           "this holds more than",
		doubled + " != " + doubled:                           "this holds more than",
		doubled + " in [" + doubled + "]":                    "this holds more than",
		"[1, 2].exists(x, [" + doubled + "] == [x])":         "this holds more than",
		"[1, 2].map(x, [x, x]) == [[1, 1], [2, 2]]":          "true",
		"[1, 2].map(x, [x, x]) != [[1, 1], [2, 2]]":          "false",
		"[1, 2].exists(x, x == 2.0) && [3].all(x, x in [3])": "true",
		"{'a': 1}.all(k, k in {'a': 2} && !(k in ['b']))":    "true",
	} {
		p, problems := env.Compile(text, vars())
		if problems != nil {
			t.Errorf("%s: %v", text, problems[0].Summary)
			continue
		}
		v, err := p.Eval(func(string) ref.Val { return nil })
		got := Format(v)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%.80s gives %v, want %s", text, got, want)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	env := newEnv(b)
	for b.Loop() {
		env.Compile("x > 1 && m.z == 2", vars())
	}
}

func BenchmarkEval(b *testing.B) {
	env := newEnv(b)
	p, _ := env.Compile("x > 1 && n == 2", vars())
	values := map[string]ref.Val{"x": ToCEL(2.5), "n": ToCEL(int64(2))}
	lookup := func(name string) ref.Val { return values[name] }
	for b.Loop() {
		if _, err := p.EvalCEL(lookup); err != nil {
			b.Fatal(err)
		}
	}
}
