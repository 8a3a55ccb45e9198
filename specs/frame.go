package specs

import (
	"errors"
	"strings"

	"regft/specs/expr"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"gopkg.in/yaml.v3"
)

// noValue is the id of a computed axis that has no value at a point.
const noValue = -1

// A frame is one value for some of the axes, by id: an index into Axis.values.
type frame struct {
	p   *program
	ids []int32
}

// newFrame binds no axis.
func (p *program) newFrame() *frame {
	f := &frame{p: p, ids: make([]int32, len(p.spec.Axes))}
	for i := range f.ids {
		f.ids[i] = noValue
	}
	return f
}

// changed lists the axes on which f differs from the baseline.
func (f *frame) changed() ref.Val {
	names := []any{}
	for i, a := range f.p.spec.Axes {
		if f.p.baseline.has(i) && f.ids[i] != a.base {
			names = append(names, a.Name)
		}
	}
	return expr.ToCEL(names)
}

// A variable is what stands in a compiled expression for a chain of names.
type variable struct {
	name    string
	fixed   ref.Val    // a constant, or …
	given   *yaml.Node // … (of vars: where it is given)
	changed bool       // … the list of changed axes, or …
	axis    int        // … a part of an axis' value:
	key     bool       // its key, else what path leads to
	path    []string
	float   bool      // whole numbers become decimals, as the type says
	cache   []ref.Val // by id
}

func (v *variable) value(f *frame) ref.Val {
	switch {
	case v.fixed != nil:
		return v.fixed
	case v.changed:
		return f.changed()
	}
	id := f.ids[v.axis]
	if id == noValue {
		return types.NullValue
	}
	values := f.p.spec.Axes[v.axis].values
	if len(v.cache) < len(values) {
		v.cache = append(v.cache, make([]ref.Val, len(values)-len(v.cache))...)
	}
	if v.cache[id] == nil {
		v.cache[id] = v.of(values[id])
	}
	return v.cache[id]
}

func (v *variable) of(value *Value) ref.Val {
	if v.key {
		return types.String(value.Key)
	}
	out, _ := dig(value.val, v.path)
	return convert(out, v.float)
}

// convert is v in CEL, a whole number as a decimal where the type wants that.
func convert(v any, float bool) ref.Val {
	if whole, ok := v.(int64); ok && float {
		return types.Double(whole)
	}
	return expr.ToCEL(v)
}

// dig follows path through maps; a value without the field is nil, and false.
func dig(v any, path []string) (any, bool) {
	for _, name := range path {
		m, ok := v.(*expr.Map)
		if !ok {
			return nil, false
		}
		if v, ok = m.Values[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// code is a compiled static expression.
type code struct {
	p         *program
	node      *yaml.Node // where its text stands …
	offset    int        // … from this character
	program   *expr.Program
	vars      []*variable
	axes      axisSet        // mentioned
	stages    []mention      // artifacts and outcomes mentioned
	outcomes  []*outcomeName // values that only a finished stage has
	computed  bool           // it has stages[E]
	canonical string         // of CEL that a stage evaluates: its text in one form
	frame     *frame         // while it is evaluated
	lookup    func(string) ref.Val
}

// A mention is a stage named in an expression.
type mention struct {
	stage string
	expr.Span
}

func (c *code) find(name string) ref.Val {
	if v := c.variable(name); v != nil {
		return v.value(c.frame)
	}
	return nil
}

func (c *code) variable(name string) *variable {
	for _, v := range c.vars {
		if v.name == name {
			return v
		}
	}
	return nil
}

// eval is the value at f. ok is false where it has none: the reason is reported, once for each place.
func (c *code) eval(f *frame) (v any, ok bool) {
	v, err := c.try(f)
	if found, is := errors.AsType[*expr.Problem](err); is {
		c.p.once(c.node, c.offset, func() {
			problem := *found
			if problem.Note == "" {
				problem.Note = f.describe(c.axes)
			}
			c.p.problem(c.node, c.offset, &problem)
		})
		return nil, false
	}
	return v, err == nil
}

// describe says at which values of axes something happens.
func (f *frame) describe(axes axisSet) string {
	var at []string
	for _, i := range axes.list() {
		if id := f.ids[i]; id >= 0 {
			at = append(at, f.p.spec.Axes[i].Name+"="+f.p.spec.Axes[i].values[id].Key)
		}
	}
	if at == nil {
		return ""
	}
	return "at " + strings.Join(at, ", ")
}

// try is eval that reports nothing.
func (c *code) try(f *frame) (any, error) {
	c.frame = f
	return c.program.Eval(c.lookup)
}

// An axisSet is a set of axes by index.
type axisSet uint64

func setOf(axes ...int) axisSet {
	var s axisSet
	for _, a := range axes {
		s |= 1 << a
	}
	return s
}

func (s axisSet) has(axis int) bool { return s>>axis&1 == 1 }

// list is the axes of s in their order.
func (s axisSet) list() []int {
	var out []int
	for i := 0; s>>i != 0; i++ {
		if s.has(i) {
			out = append(out, i)
		}
	}
	return out
}

// last is the greatest axis of s, -1 where there is none.
func (s axisSet) last() int {
	for i := maxAxes - 1; i >= 0; i-- {
		if s.has(i) {
			return i
		}
	}
	return -1
}
