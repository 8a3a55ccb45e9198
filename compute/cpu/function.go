package cpu

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
)

// A value is one output of an operation.
type value struct {
	node  *node
	index int
	shape shapes.Shape
}

// A node is one operation of a function.
type node struct {
	function *Function
	id       int // in the order of creation, so inputs come first
	op       compute.OpType
	attrs    any      // what the operation is told beside its inputs, by operation
	inputs   []*value // of the same function
	outputs  []*value
	emit     emitter // nil for parameters, captured values and constants
	flat     any     // of a constant
}

// An emitter adds an operation to a function of another backend.
type emitter func(g compute.Function, inputs []compute.Value) ([]compute.Value, error)

// A Function is a graph of operations from parameters to outputs. A closure may use its parent's values: they become
// further inputs of the operation that runs it.
type Function struct {
	notimplemented.Function
	builder  *Builder
	parent   *Function
	name     string
	nodes    []*node
	known    map[string]*node // by what they compute
	returned bool

	parameters []*value
	names      []string
	outputs    []*value
	captured   []capture
}

// A capture is a value of the parent and what stands for it in the closure.
type capture struct{ outer, inner *value }

var _ compute.Function = (*Function)(nil)

func newFunction(b *Builder, parent *Function, name string) *Function {
	return &Function{
		Function: notimplemented.Function{ErrFn: notImplemented}, builder: b, parent: parent, name: name, known: map[string]*node{},
	}
}

// Name implements compute.Function.
func (f *Function) Name() string { return f.name }

// Builder implements compute.Function.
func (f *Function) Builder() compute.Builder { return f.builder }

// Parent implements compute.Function.
func (f *Function) Parent() compute.Function {
	if f.parent == nil {
		return nil
	}
	return f.parent
}

// Closure implements compute.Function.
func (f *Function) Closure() (compute.Function, error) {
	if err := f.open(); err != nil {
		return nil, err
	}
	return newFunction(f.builder, f, ""), nil
}

// Shape implements compute.Function.
func (f *Function) Shape(v compute.Value) (shapes.Shape, error) {
	x, ok := v.(*value)
	if !ok {
		return shapes.Invalid(), fmt.Errorf("cpu backend: %T is no value of this backend", v)
	}
	return x.shape, nil
}

func (f *Function) open() error {
	if f.builder.compiled || f.returned {
		return fmt.Errorf("cpu backend: function %q of graph %q is complete, nothing can be added", f.name, f.builder.name)
	}
	return nil
}

// Parameter implements compute.Function.
func (f *Function) Parameter(name string, shape shapes.Shape, sharding *compute.ShardingSpec) (compute.Value, error) {
	if err := f.open(); err != nil {
		return nil, err
	}
	if sharding != nil {
		return nil, errors.New("cpu backend: parameters cannot be sharded")
	}
	if shape.IsDynamic() {
		return nil, fmt.Errorf("cpu backend: parameter %q has the dynamic shape %s: %w", name, shape, notimplemented.NotImplementedError)
	}
	if !f.builder.backend.Capabilities().DTypes[shape.DType] {
		return nil, fmt.Errorf("cpu backend: parameter %q: no tensors of type %s: %w", name, shape.DType, notimplemented.NotImplementedError)
	}
	n := f.newNode(compute.OpTypeParameter, nil, nil, []shapes.Shape{shape.Clone()})
	f.parameters, f.names = append(f.parameters, n.outputs[0]), append(f.names, name)
	return n.outputs[0], nil
}

// Constant implements compute.Function; it copies flat.
func (f *Function) Constant(flat any, dims ...int) (compute.Value, error) {
	if err := f.open(); err != nil {
		return nil, err
	}
	shape, err := constantShape(flat, dims)
	if err != nil {
		return nil, err
	}
	if err := fits(flat, shape); err != nil {
		return nil, err
	}
	key := constantKey(shape, flat)
	if n, ok := f.known[key]; ok && key != "" {
		return n.outputs[0], nil
	}
	n := f.newNode(compute.OpTypeConstant, nil, nil, []shapes.Shape{shape})
	n.flat = newFlat(shape)
	copyFlat(n.flat, flat)
	if key != "" {
		f.known[key] = n
	}
	return n.outputs[0], nil
}

func constantShape(flat any, dims []int) (shapes.Shape, error) {
	dtype := dtypes.InvalidDType
	if t := reflect.TypeOf(flat); t != nil && t.Kind() == reflect.Slice {
		dtype = dtypes.FromGoType(t.Elem())
	}
	if dtype == dtypes.InvalidDType {
		return shapes.Invalid(), errors.New("cpu backend: a constant needs a slice of numbers")
	}
	for _, d := range dims {
		if d < 0 {
			return shapes.Invalid(), fmt.Errorf("cpu backend: a constant of dimensions %v", dims)
		}
	}
	return shapes.Make(dtype, dims...), nil
}

// constantKey identifies a small constant by its bits; "" for others.
func constantKey(shape shapes.Shape, flat any) string {
	if shape.Size() == 0 || shape.Size() > 16 {
		return ""
	}
	return fmt.Sprintf("constant %s %x", shape, dtypes.UnsafeByteSliceFromAny(flat))
}

// Return implements compute.Function.
func (f *Function) Return(outputs []compute.Value, shardings []*compute.ShardingSpec) error {
	if err := f.open(); err != nil {
		return err
	}
	if len(outputs) == 0 {
		return fmt.Errorf("cpu backend: function %q returns nothing", f.name)
	}
	if len(shardings) > 0 {
		return errors.New("cpu backend: outputs cannot be sharded")
	}
	values, err := f.resolve(outputs)
	if err != nil {
		return fmt.Errorf("cpu backend: outputs of function %q: %w", f.name, err)
	}
	f.outputs, f.returned = values, true
	return nil
}

// resolve gives the function's own values for those that may be an ancestor's.
func (f *Function) resolve(values []compute.Value) ([]*value, error) {
	out := make([]*value, len(values))
	for i, v := range values {
		x, ok := v.(*value)
		if !ok {
			return nil, fmt.Errorf("operand %d, %T, is no value of this backend", i, v)
		}
		var err error
		if out[i], err = f.own(x); err != nil {
			return nil, fmt.Errorf("operand %d: %w", i, err)
		}
	}
	return out, nil
}

// own is what stands for x in f: x, or the capture of an ancestor's value.
func (f *Function) own(x *value) (*value, error) {
	if x.node.function == f {
		return x, nil
	}
	if f.parent == nil {
		return nil, errors.New("it belongs to a function that is no ancestor of this one")
	}
	outer, err := f.parent.own(x)
	if err != nil {
		return nil, err
	}
	for _, c := range f.captured {
		if c.outer == outer {
			return c.inner, nil
		}
	}
	n := f.newNode(compute.OpTypeParameter, nil, nil, []shapes.Shape{outer.shape})
	f.captured = append(f.captured, capture{outer, n.outputs[0]})
	return n.outputs[0], nil
}

func (f *Function) newNode(op compute.OpType, attrs any, inputs []*value, outputs []shapes.Shape) *node {
	n := &node{function: f, id: len(f.nodes), op: op, attrs: attrs, inputs: inputs}
	for i, s := range outputs {
		n.outputs = append(n.outputs, &value{n, i, s})
	}
	f.nodes = append(f.nodes, n)
	return n
}

// add adds an operation, or finds the equal one that is there. What it means, the shapes of its outputs and its errors
// are the reference backend's.
func (f *Function) add(op compute.OpType, attrs any, emit emitter, inputs ...compute.Value) ([]compute.Value, error) {
	if err := f.open(); err != nil {
		return nil, err
	}
	values, err := f.resolve(inputs)
	if err != nil {
		return nil, fmt.Errorf("cpu backend: operation %s: %w", op, err)
	}
	key := operationKey(op, attrs, values)
	n, ok := f.known[key]
	if !ok {
		outputs, err := f.builder.backend.infer(emit, values)
		if err != nil {
			return nil, err
		}
		n = f.newNode(op, attrs, values, outputs)
		n.emit = emit
		f.known[key] = n
	}
	out := make([]compute.Value, len(n.outputs))
	for i, v := range n.outputs {
		out[i] = v
	}
	return out, nil
}

// add1 is add for operations of one output.
func (f *Function) add1(op compute.OpType, attrs any, emit func(g compute.Function, in []compute.Value) (compute.Value, error), inputs ...compute.Value) (compute.Value, error) {
	out, err := f.add(op, attrs, func(g compute.Function, in []compute.Value) ([]compute.Value, error) {
		v, err := emit(g, in)
		return []compute.Value{v}, err
	}, inputs...)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// operationKey identifies what an operation computes.
func operationKey(op compute.OpType, attrs any, inputs []*value) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %#v", op, attrs)
	for _, v := range inputs {
		fmt.Fprintf(&b, " %d.%d", v.node.id, v.index)
	}
	return b.String()
}
