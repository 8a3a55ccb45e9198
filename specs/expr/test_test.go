package expr

import (
	"math"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"pgregory.net/rapid"
)

func TestRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(
			rapid.Float64(),
			rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e-10, 0.1, 1e11, 1e12}),
			rapid.Float64Range(-1e12, 1e12),
			rapid.Map(rapid.Int64Range(-1e14, 1e14), func(n int64) float64 { return float64(n) / 1e3 }),
			rapid.Map(rapid.Int64Range(-1e13, 1e13), func(n int64) float64 { return (float64(n) + 0.5) / 1e12 }),
			rapid.Map(rapid.IntRange(-11, 12), func(e int) float64 { return powers[max(e, 0)] / powers[max(-e, 0)] }),
		).Draw(t, "x")
		if got, want := Round(x), roundText(x); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%v rounds to %v, want %v", x, got, want)
		}
	})
}

// slotted resolves a, b, c to whole numbers, x, y to decimals, and s, t to texts.
type slotted struct{}

// Resolve implements Resolver.
func (slotted) Resolve(r Reference) (Binding, *Problem) {
	types := map[string]*cel.Type{"a": cel.IntType, "b": cel.IntType, "c": cel.IntType, "x": cel.DoubleType, "y": cel.DoubleType, "s": cel.StringType, "t": cel.StringType}
	return Binding{Name: r.Root, Type: types[r.Root]}, nil
}

// Compare implements Resolver.
func (slotted) Compare(Reference, []Constant, bool) []*Problem { return nil }

// TestTest compares conditions as Tests with CEL's own evaluation.
func TestTest(t *testing.T) {
	env := newEnv(t)
	for _, text := range []string{
		"a + b * c == 6", "a / b > x", "(a % b) * 3 < c || x >= y", "!(a == b) && s == t", "s in ['p', 'q'] && a in [1, 2.0, 3]", "x * y - a <= 0.3", "-x < y && true", "s != 'p'",
		"x + y == 0.3", "a - x / 3 != y", "false || x < 1",
	} {
		p, problems := env.Compile(text, slotted{})
		if problems != nil {
			t.Fatalf("%s: %v", text, problems[0])
		}
		test := p.Test()
		if test == nil {
			t.Errorf("%s is no Test", text)
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			values := map[string]ref.Val{}
			slots := &Slots{}
			number := func(name string) float64 {
				if name >= "x" {
					x := float64(rapid.IntRange(-9, 9).Draw(t, name)) / 10
					values[name] = ToCEL(x)
					return x
				}
				n := rapid.IntRange(-5, 5).Draw(t, name)
				values[name] = ToCEL(int64(n))
				return float64(n)
			}
			for _, name := range test.Numbers {
				slots.Numbers = append(slots.Numbers, number(name))
			}
			for _, name := range test.Texts {
				v := rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, name)
				values[name] = ToCEL(v)
				slots.Texts = append(slots.Texts, v)
			}
			got, sure := test.Holds(slots)
			want, err := p.Eval(func(name string) ref.Val { return values[name] })
			if sure && (err != nil || got != want) {
				t.Fatalf("%s with %v: %v, want %v (%v)", text, values, got, want, err)
			}
		})
	}
	for _, text := range []string{"size(s) > 1", "a > 1 ? true : false", "[a].exists(v, v > 1)", "s < t", "s + t == 'pq'"} {
		p, problems := env.Compile(text, slotted{})
		if problems != nil {
			t.Fatalf("%s: %v", text, problems[0])
		}
		if p.Test() != nil {
			t.Errorf("%s is a Test", text)
		}
	}
}

func BenchmarkTest(b *testing.B) {
	env := newEnv(b)
	p, _ := env.Compile("a + b + c + a + b + c + a < 12", slotted{})
	test := p.Test()
	s := &Slots{Numbers: []float64{1, 2, 3}}
	for b.Loop() {
		test.Holds(s)
	}
}
