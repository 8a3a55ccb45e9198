package specs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"regft/cache"
	"regft/specs/expr"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// An outcomeName is a value in an expression that only a finished stage has.
type outcomeName struct {
	name  string // of the variable
	stage *Stage // nil for a root variable
	said  string // as people write it, of a root variable
	kind  string // "metrics", "chosen", or the root variable
	path  []string
	expr.Span
}

// stage binds stages.NAME, stages.NAME.OUTPUT, stages[E], and the results of stages where those are allowed.
func (r *resolver) stage(ref expr.Reference) (expr.Binding, *expr.Problem) {
	switch {
	case !r.scope.artifacts && !r.scope.outcomes:
		return expr.Binding{}, r.misplaced(ref)
	case len(ref.Segs) == 0:
		return expr.Binding{}, &expr.Problem{Span: ref.To(0), Summary: "stages must be followed by the name of a stage", Expected: "stages.NAME"}
	case ref.Segs[0].Dynamic:
		return r.stageCall(ref)
	}
	name := ref.Segs[0].Name
	s := r.p.stage(name)
	if s == nil {
		return expr.Binding{}, r.noStage(ref.Segs[0].Span, name)
	}
	r.stages = append(r.stages, mention{name, ref.To(1)})
	result := len(ref.Segs) > 1 && (ref.Segs[1].Name == "metrics" || ref.Segs[1].Name == "chosen")
	switch {
	case r.scope.outcomes && !result:
		return expr.Binding{}, &expr.Problem{Span: ref.Span, Summary: "an artifact is no condition", Expected: ref.Path(1) + ".metrics.NAME or " + ref.Path(1) + ".chosen.AXIS"}
	case r.scope.outcomes:
		return r.outcome(ref, s, ref.Segs[1].Name, 2)
	case result:
		return expr.Binding{}, &expr.Problem{Span: ref.Span, Summary: ref.Path(2) + " is known only when the stage has run", Expected: "an artifact: " + ref.Path(1),
			Note: "results may decide whether a stage runs (when), fail it (assert) and choose (select); they make no parameters"}
	}
	used := min(2, 1+len(named(ref, 1)))
	if len(ref.Segs) > used {
		return expr.Binding{}, &expr.Problem{Span: ref.Span, Summary: ref.Path(used) + " is an artifact, and has no parts", Expected: ref.Path(used)}
	}
	v := &variable{name: ref.Path(used), fixed: expr.ToCEL(expr.Handle{Stage: name, Output: output(ref, used)})}
	return r.bind(v, used, expr.ArtifactType)
}

func output(ref expr.Reference, used int) string {
	if used < 2 {
		return ""
	}
	return ref.Segs[1].Name
}

// misplaced is the mistake of an artifact where a value is wanted.
func (r *resolver) misplaced(ref expr.Reference) *expr.Problem {
	p := &expr.Problem{Span: ref.Span, Summary: ref.Path(len(ref.Segs)) + " means nothing in " + r.scope.what}
	if len(ref.Segs) > 1 && ref.Segs[1].Name == r.scope.root {
		p.Expected = metricPath(named(ref, 2)...)
		p.Note = r.scope.what + " reads the metrics of scores, of one candidate after the other"
	}
	if r.scope.what == "a parameter" {
		p.Summary = fmt.Sprintf("%s is an artifact, and this parameter takes none", ref.Path(min(2, len(ref.Segs))))
		p.Note = "artifacts go into parameters that take them; a command finds those of its inputs: at inputs/KEY"
		if len(ref.Segs) > 1 && (ref.Segs[1].Name == "metrics" || ref.Segs[1].Name == "chosen") {
			p.Summary = ref.Path(2) + " is known only when the stage has run"
			p.Note = "results may decide whether a stage runs (when), fail it (assert) and choose (select); they make no parameters"
		}
	}
	return p
}

func (r *resolver) noStage(at expr.Span, name string) *expr.Problem {
	names := r.p.stageNames()
	return &expr.Problem{Span: at, Summary: fmt.Sprintf("there is no stage %q", name), Nearest: expr.Nearest(name, names), Expected: listNames(names), Unknown: true}
}

// stageCall binds stages[E]: which stage that is, each point says.
func (r *resolver) stageCall(ref expr.Reference) (expr.Binding, *expr.Problem) {
	r.computed = true
	steps := 1 + len(named(ref, 1))
	if r.scope.artifacts {
		return expr.Binding{Used: min(2, steps), Call: expr.StageCall}, nil
	}
	if steps < 2 || ref.Segs[1].Name != "metrics" && ref.Segs[1].Name != "chosen" {
		return expr.Binding{}, &expr.Problem{Span: ref.Span, Summary: "an artifact is no condition", Expected: "stages[…].metrics.NAME"}
	}
	return expr.Binding{Used: min(steps, 4), Call: expr.OutcomeCall}, nil
}

// stageNamed is the function of stages[E]: it notes the stage.
func (p *program) stageNamed(args ...any) (expr.Handle, error) {
	name, _ := args[0].(string)
	if p.stage(name) == nil {
		p.named[""] = true
		return expr.Handle{}, fmt.Errorf("stages[…]: there is no stage %s%s", quoted(args[0]), nearestText(name, p.stageNames()))
	}
	p.named[name] = true
	h := expr.Handle{Stage: name}
	if len(args) > 1 {
		h.Output, _ = args[1].(string)
	}
	return h, nil
}

func nearestText(got string, names []string) string {
	if n := expr.Nearest(got, names); n != "" {
		return "; nearest: " + n
	}
	return ""
}

// outcomeNamed is the function of stages[E].metrics.….
func (p *program) outcomeNamed(args ...any) (any, error) {
	h, err := p.stageNamed(args[0])
	if err != nil {
		return nil, err
	}
	var path []string
	for _, a := range args[1:] {
		path = append(path, expr.Format(a))
	}
	if p.outcomeOf == nil {
		return nil, fmt.Errorf("%s is not known yet", h)
	}
	v, err := p.outcomeOf(h.Stage, path[0], path[1:])
	if err != nil {
		return nil, err
	}
	return plainResult(v), nil
}

// outcome binds metrics.… or chosen.… of s, whose steps begin at the n-th.
func (r *resolver) outcome(ref expr.Reference, s *Stage, kind string, n int) (expr.Binding, *expr.Problem) {
	path := named(ref, n)
	if s.Type.Name == "" {
		return expr.Binding{}, silent
	}
	t := cel.DynType
	if kind == "chosen" {
		if problem := r.checkChosen(ref, s, n); problem != nil {
			return expr.Binding{}, problem
		}
		if len(path) == 0 {
			t = cel.MapType(cel.StringType, cel.DynType)
		}
	} else if len(path) > 0 && !s.chooses() && (len(path) > 1 || !s.nested()) || len(path) > 1 {
		t = cel.DoubleType
	}
	used := n + len(path)
	name := ref.Path(used)
	r.outcomes = append(r.outcomes, &outcomeName{name: name, stage: s, kind: kind, path: path, Span: ref.Span})
	return expr.Binding{Used: used, Name: name, Type: t}, nil
}

// checkChosen wants chosen.AXIS of a stage that chooses.
func (r *resolver) checkChosen(ref expr.Reference, s *Stage, n int) *expr.Problem {
	if !s.chooses() {
		return &expr.Problem{Span: ref.To(n), Summary: fmt.Sprintf("stage %s chooses nothing: it uses %s", s.Name, s.Type.Name), Expected: "a stage of type select"}
	}
	path := named(ref, n)
	if len(s.Gather) < items(lookup(s.node, "gather")) {
		return silent // an axis that it gathers is not known
	}
	if len(path) > 0 && !slices.Contains(s.Gather, path[0]) {
		return &expr.Problem{Span: ref.Segs[n].Span, Summary: fmt.Sprintf("stage %s gathers no axis %q, so it chooses no value of it", s.Name, path[0]),
			Nearest: expr.Nearest(path[0], s.Gather), Expected: listNames(s.Gather)}
	}
	if len(path) < 2 {
		return nil
	}
	a := r.p.axis(path[0])
	if !a.known || a.bad {
		r.p.late = append(r.p.late, lateField{r.node, r.offset, ref, a, path[1:], n})
		return nil
	}
	return chosenField(ref, a, n)
}

// chosenField is the mistake of a field, the n-th step of ref being the axis, that no value of a has where it is chosen.
func chosenField(ref expr.Reference, a *Axis, n int) *expr.Problem {
	path := named(ref, n+1)
	whole := ref.Path(n + 1)
	for k, name := range path {
		at := ref.Segs[n+1+k]
		fields := a.fieldNames(path[:k])
		switch {
		case a.named():
			return &expr.Problem{Span: at.Span, Summary: fmt.Sprintf("%s is the key of the value that was chosen, and has no part %s", whole, name), Expected: fmt.Sprintf("%s, which is %s", whole, listNames(a.keys()))}
		case len(fields) == 0:
			return &expr.Problem{Span: at.Span, Summary: fmt.Sprintf("%s is the value that was chosen, and has no part %s", ref.Path(n+1+k), name), Expected: ref.Path(n + 1 + k)}
		case !slices.Contains(fields, name):
			return &expr.Problem{Span: at.Span, Summary: fmt.Sprintf("no value of axis %s has a field %s", a.Name, strings.Join(path[:k+1], ".")), Nearest: expr.Nearest(name, fields), Expected: listNames(fields)}
		}
	}
	return nil
}

// chooses reports whether s hands on one of a list of artifacts.
func (s *Stage) chooses() bool {
	if s.Type.OutAs == "" {
		return false
	}
	f, has := s.Type.Field(s.Type.OutAs)
	return has && f.List()
}

// nested reports whether the metrics of s are named after its data.
func (s *Stage) nested() bool {
	for _, f := range s.Type.Fields() {
		if f.Each {
			return true
		}
	}
	return false
}

// evalWith evaluates c at f, with what of gives for the results that it reads. With a nil frame c must be compiled for
// one; then it may run side by side.
func (c *code) evalWith(f *frame, of func(n *outcomeName) (any, error)) (v any, err error) {
	if f != nil {
		c.frame = f
	}
	return c.program.Eval(func(name string) ref.Val {
		if v := c.find(name); v != nil {
			return v
		}
		for _, n := range c.outcomes {
			if n.name != name {
				continue
			}
			out, err := of(n)
			if err != nil {
				return types.WrapErr(err)
			}
			return expr.ToCEL(plainResult(out))
		}
		return nil
	})
}

// plainResult is a recorded result: numbers are float64, non-finite ones too.
func plainResult(v any) any {
	if x, isNumber := cache.DecodeFloat(v); isNumber {
		return x
	}
	return expr.FromPlain(v)
}

// read is what path leads to in a recorded result.
func read(v any, path []string, name string) (any, error) {
	for i, step := range path {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, fmt.Errorf("%s: %s is no mapping", name, path[i-1])
		}
		next, has := m[step]
		if !has {
			return nil, fmt.Errorf("%s: there is no %q%s", name, step, nearestText(step, slices.Sorted(maps.Keys(m))))
		}
		v = next
	}
	return v, nil
}
