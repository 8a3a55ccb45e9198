package expr

import (
	"fmt"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
)

type open struct{}

func (open) Resolve(r Reference) (Binding, *Problem) {
	if r.Root == "stages" && r.Segs[0].Dynamic {
		return Binding{Used: 1, Call: StageCall}, nil
	}
	if r.Root != "v" && r.Root != "x" {
		return Binding{}, &Problem{Span: r.To(0), Summary: "unknown " + r.Root}
	}
	t := cel.DynType
	if r.Root == "x" {
		t = cel.DoubleType
	}
	return Binding{Used: 0, Name: r.Root, Type: t}, nil
}
func (open) Compare(Reference, []Constant) *Problem { return nil }

func TestTry(t *testing.T) {
	env, err := NewEnv(Functions{File: func(p string) (any, error) { return []any{"a"}, nil }, Stage: func(a ...any) (Handle, error) { return Handle{Stage: a[0].(string)}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	m := NewMap()
	m.Set("z", int64(1))
	m.Set("a", 0.5)
	vals := map[string]ref.Val{"v": ToCEL(m), "x": ToCEL(2.5)}
	for _, text := range []string{"0.1+0.2", "1/2", "4/2", "1 == 1.0", "v.z == 1.0", "v", "v.map(k, k)", `v.a > 0.2 ? "text" : null`, "x > 'a'", "x == 'a'", "x + v.z * 100",
		"v.q", "w + 1", "file('x')[0]", "file('x')[3]", `stages[v.z == 1 ? "a" : "b"]`, "[1,2,3].map(f, f*0.5)", "1 in [1.0, 2]", "{'b': 1, 'a': 2}", "v.a-b", "x = 1", "x &&", "foo(1)", "string(0.00001)+'x'", "has(v.z)", "has(v.zz)", "2147483648*2", "3000000000000+1", "math.least(1, 2)", "'a'.upperAscii()", "1/0", "v.z > 'a'", "size(v)", "-x", "v.exists(k, k == 'z')", "x > 1 and x < 2"} {
		p, problems := env.Compile(text, open{})
		if problems != nil {
			for _, q := range problems {
				fmt.Printf("%-40s ! %d-%d %s | %s | %s\n", text, q.Start, q.End, q.Summary, q.Expected, q.Note)
			}
			continue
		}
		v, err := p.Eval(func(n string) ref.Val { return vals[n] })
		fmt.Printf("%-40s = %v (%T) %s err %v\n", text, Format(v), v, p.Type, err)
		if q, ok := err.(*Problem); ok {
			fmt.Println("   ", q.Span)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	env, _ := NewEnv(Functions{})
	for b.Loop() {
		env.Compile("x > 1 && v.z == 2", open{})
	}
}

func BenchmarkEval(b *testing.B) {
	env, _ := NewEnv(Functions{})
	p, _ := env.Compile("x > 1 && v == 2", open{})
	vals := map[string]ref.Val{"v": ToCEL(2), "x": ToCEL(2.5)}
	for b.Loop() {
		p.EvalCEL(func(n string) ref.Val { return vals[n] })
	}
}
func BenchmarkEnv(b *testing.B) {
	for b.Loop() {
		NewEnv(Functions{})
	}
}
