package cpu

import (
	"fmt"

	"github.com/gomlx/compute"
)

// Functions that operations are given, and the operations that take them. A closure's captured values are further
// inputs of the operation.

// Call implements compute.Function: the called function's operations become the caller's.
func (f *Function) Call(called compute.Function, inputs ...compute.Value) ([]compute.Value, error) {
	c, err := f.complete(called)
	if err != nil {
		return nil, fmt.Errorf("cpu backend: calling: %w", err)
	}
	if err := c.accepts(inputs); err != nil {
		return nil, fmt.Errorf("cpu backend: calling %q: %w", c.name, err)
	}
	values := map[*value]compute.Value{}
	for i, p := range c.parameters {
		values[p] = inputs[i]
	}
	for _, capture := range c.captured {
		values[capture.inner] = capture.outer
	}
	for _, n := range c.nodes {
		if err := f.inline(n, values); err != nil {
			return nil, fmt.Errorf("cpu backend: calling %q: %w", c.name, err)
		}
	}
	out := make([]compute.Value, len(c.outputs))
	for i, v := range c.outputs {
		out[i] = values[v]
	}
	return out, nil
}

// inline adds n to f.
func (f *Function) inline(n *node, values map[*value]compute.Value) error {
	if n.op == compute.OpTypeConstant {
		v, err := f.Constant(n.flat, n.outputs[0].shape.Dimensions...)
		values[n.outputs[0]] = v
		return err
	}
	if n.emit == nil {
		return nil
	}
	inputs := make([]compute.Value, len(n.inputs))
	for i, v := range n.inputs {
		inputs[i] = values[v]
	}
	outputs, err := f.add(n.op, n.attrs, n.emit, inputs...)
	for i, v := range outputs {
		values[n.outputs[i]] = v
	}
	return err
}

// accepts tells what is wrong with a function's arguments.
func (f *Function) accepts(inputs []compute.Value) error {
	if len(inputs) != len(f.parameters) {
		return fmt.Errorf("it takes %d arguments, not %d", len(f.parameters), len(inputs))
	}
	for i, p := range f.parameters {
		x, ok := inputs[i].(*value)
		if !ok || !x.shape.Equal(p.shape) {
			return fmt.Errorf("argument %d is not %s", i, p.shape)
		}
	}
	return nil
}

// complete checks that g is a function of the same graph that has returned.
func (f *Function) complete(g compute.Function) (*Function, error) {
	c, ok := g.(*Function)
	if !ok || c.builder != f.builder {
		return nil, fmt.Errorf("the function is not of graph %q", f.builder.name)
	}
	if !c.returned {
		return nil, fmt.Errorf("function %q has not returned", c.name)
	}
	return c, nil
}

// addWithClosures adds an operation on inputs that is given closures of f, and whose reference takes the same.
func (f *Function) addWithClosures(op compute.OpType, attrs any, given []compute.Function,
	emit func(g compute.Function, closures []compute.Function, in []compute.Value) ([]compute.Value, error), inputs ...compute.Value) ([]compute.Value, error) {
	closures := make([]*Function, len(given))
	all := append([]compute.Value(nil), inputs...)
	for i, g := range given {
		c, err := f.complete(g)
		if err != nil {
			return nil, fmt.Errorf("cpu backend: operation %s: %w", op, err)
		}
		if c.parent != f {
			return nil, fmt.Errorf("cpu backend: operation %s: its function is no closure of the one that it is in", op)
		}
		closures[i] = c
		for _, capture := range c.captured {
			all = append(all, capture.outer)
		}
	}
	key := fmt.Sprintf("%v %p", attrs, closures)
	return f.add(op, key, func(g compute.Function, in []compute.Value) ([]compute.Value, error) {
		replayed, captured := make([]compute.Function, len(closures)), in[len(inputs):]
		for i, c := range closures {
			var err error
			if replayed[i], err = g.Closure(); err != nil {
				return nil, err
			}
			if err := c.replay(replayed[i], captured[:len(c.captured)]); err != nil {
				return nil, err
			}
			captured = captured[len(c.captured):]
		}
		return emit(g, replayed, in[:len(inputs)])
	}, all...)
}

// While implements compute.Function.
func (f *Function) While(condition, body compute.Function, state ...compute.Value) ([]compute.Value, error) {
	return f.addWithClosures(compute.OpTypeWhile, nil, []compute.Function{condition, body},
		func(g compute.Function, c []compute.Function, in []compute.Value) ([]compute.Value, error) {
			return g.While(c[0], c[1], in...)
		}, state...)
}

// If implements compute.Function.
func (f *Function) If(condition compute.Value, yes, no compute.Function) ([]compute.Value, error) {
	return f.addWithClosures(compute.OpTypeIf, nil, []compute.Function{yes, no},
		func(g compute.Function, c []compute.Function, in []compute.Value) ([]compute.Value, error) {
			return g.If(in[0], c[0], c[1])
		}, condition)
}

// Sort implements compute.Function.
func (f *Function) Sort(comparator compute.Function, axis int, isStable bool, inputs ...compute.Value) ([]compute.Value, error) {
	return f.addWithClosures(compute.OpTypeSort, []any{axis, isStable}, []compute.Function{comparator},
		func(g compute.Function, c []compute.Function, in []compute.Value) ([]compute.Value, error) {
			return g.Sort(c[0], axis, isStable, in...)
		}, inputs...)
}
