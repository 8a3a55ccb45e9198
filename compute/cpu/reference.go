package cpu

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// isolated adds one operation with parameters for its inputs to a new graph of the reference backend.
func (b *Backend) isolated(emit emitter, inputs []*value) (compute.Builder, []compute.Value, error) {
	builder := b.reference.Builder("operation")
	parameters := make([]compute.Value, len(inputs))
	for i, v := range inputs {
		p, err := builder.Main().Parameter(fmt.Sprint(i), v.shape, nil)
		if err != nil {
			return nil, nil, err
		}
		parameters[i] = p
	}
	outputs, err := emit(builder.Main(), parameters)
	return builder, outputs, err
}

// infer gives the shapes of an operation's outputs, or says what is wrong with its inputs.
func (b *Backend) infer(emit emitter, inputs []*value) (out []shapes.Shape, err error) {
	defer caught(&err)
	builder, outputs, err := b.isolated(emit, inputs)
	if err != nil {
		return nil, err
	}
	out = make([]shapes.Shape, len(outputs))
	for i, v := range outputs {
		if out[i], err = builder.OpShape(v); err != nil {
			return nil, err
		}
		out[i] = out[i].Clone()
	}
	return out, nil
}

// compileReference compiles one operation for the reference backend.
func (b *Backend) compileReference(n *node) (kernel, error) {
	builder, outputs, err := b.isolated(n.emit, n.inputs)
	if err != nil {
		return nil, err
	}
	if err := builder.Main().Return(outputs, nil); err != nil {
		return nil, err
	}
	executable, err := builder.Compile()
	if err != nil {
		return nil, err
	}
	return b.onReference(executable, n), nil
}

// onReference runs an operation on copies of its inputs.
func (b *Backend) onReference(executable compute.Executable, n *node) kernel {
	return func(_ *execution, in, out []any) error {
		buffers, donate := make([]compute.Buffer, len(in)), make([]bool, len(in))
		for i, flat := range in {
			buffer, err := b.reference.BufferFromFlatData(0, flat, n.inputs[i].shape)
			if err != nil {
				return err
			}
			buffers[i], donate[i] = buffer, true
		}
		results, err := executable.Execute(buffers, donate, 0)
		if err != nil {
			return err
		}
		for i, r := range results {
			if err := r.ToFlatData(out[i]); err != nil {
				return err
			}
			if err := r.Finalize(); err != nil {
				return err
			}
		}
		return nil
	}
}

// replay adds all that f computes to g, a new function of another backend, with values for f's captured inputs.
func (f *Function) replay(g compute.Function, captured []compute.Value) error {
	values := map[*value]compute.Value{}
	for i, c := range f.captured {
		values[c.inner] = captured[i]
	}
	for i, p := range f.parameters {
		v, err := g.Parameter(f.names[i], p.shape, nil)
		if err != nil {
			return err
		}
		values[p] = v
	}
	for _, n := range f.nodes {
		if err := n.replay(g, values); err != nil {
			return err
		}
	}
	outputs := make([]compute.Value, len(f.outputs))
	for i, v := range f.outputs {
		outputs[i] = values[v]
	}
	return g.Return(outputs, nil)
}

func (n *node) replay(g compute.Function, values map[*value]compute.Value) error {
	if n.op == compute.OpTypeConstant {
		v, err := g.Constant(n.flat, n.outputs[0].shape.Dimensions...)
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
	outputs, err := n.emit(g, inputs)
	for i, v := range outputs {
		values[n.outputs[i]] = v
	}
	return err
}
