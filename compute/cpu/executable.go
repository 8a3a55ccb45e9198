package cpu

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// An Executable is a compiled graph. It may be executed by several goroutines at once.
type Executable struct {
	program *program
	name    string
	names   []string
	inputs  []shapes.Shape
}

var _ compute.Executable = (*Executable)(nil)

func newExecutable(f *Function, p *program) *Executable {
	e := &Executable{program: p, name: f.builder.name, names: f.names}
	for _, v := range f.parameters {
		e.inputs = append(e.inputs, v.shape)
	}
	return e
}

// Finalize implements compute.Executable.
func (e *Executable) Finalize() { e.program = nil }

// Inputs implements compute.Executable.
func (e *Executable) Inputs() ([]string, []shapes.Shape) {
	return slices.Clone(e.names), slices.Clone(e.inputs)
}

// Outputs implements compute.Executable.
func (e *Executable) Outputs() []shapes.Shape {
	var out []shapes.Shape
	for _, o := range e.program.outputs {
		out = append(out, o.shape)
	}
	return out
}

// Execute implements compute.Executable.
func (e *Executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	return e.ExecuteContext(context.Background(), inputs, donate, device)
}

// ExecuteContext is Execute that ends within one step, and within one task of a long one, of ctx's end, with ctx's error.
// What donated inputs held is lost then.
func (e *Executable) ExecuteContext(ctx context.Context, inputs []compute.Buffer, donate []bool, _ compute.DeviceNum) ([]compute.Buffer, error) {
	if e.program == nil {
		return nil, fmt.Errorf("executing graph %q: it has been finalized", e.name)
	}
	buffers, err := e.accept(inputs, donate)
	if err != nil {
		return nil, fmt.Errorf("executing graph %q: %w", e.name, err)
	}
	x := newExecution(e.program)
	defer context.AfterFunc(ctx, x.stop)()
	defer x.acquire(buffers, donate)()
	flats, err := x.run(ctx, donate)
	if err != nil {
		return nil, fmt.Errorf("executing graph %q: %w", e.name, err)
	}
	outputs := make([]compute.Buffer, len(flats))
	for i, flat := range flats {
		outputs[i] = newBuffer(e.program.backend, e.program.outputs[i].shape, flat)
	}
	return outputs, nil
}

// accept checks the inputs.
func (e *Executable) accept(inputs []compute.Buffer, donate []bool) ([]*Buffer, error) {
	if e.program.backend.IsFinalized() {
		return nil, errFinalized
	}
	if len(inputs) != len(e.inputs) || len(donate) > 0 && len(donate) != len(inputs) {
		return nil, fmt.Errorf("it takes %d inputs, got %d, and %d marks of donation", len(e.inputs), len(inputs), len(donate))
	}
	buffers := make([]*Buffer, len(inputs))
	for i, in := range inputs {
		b, ok := in.(*Buffer)
		if !ok || b.backend != e.program.backend {
			return nil, fmt.Errorf("input %q: the buffer is not of this backend", e.names[i])
		}
		if err := b.alive(); err != nil {
			return nil, fmt.Errorf("input %q: %w", e.names[i], err)
		}
		if !b.shape.Equal(e.inputs[i]) {
			return nil, fmt.Errorf("input %q has shape %s, the graph was compiled for %s", e.names[i], b.shape, e.inputs[i])
		}
		buffers[i] = b
	}
	return buffers, nil
}

// An execution runs a program once.
type execution struct {
	program *program
	pool    *stoppable
	inputs  []any
	stored  []bool // the input is in the layout that the program wants
}

func newExecution(p *program) *execution {
	return &execution{program: p, pool: &stoppable{pool: p.backend.pool}}
}

func (x *execution) stop() { x.pool.stopped.Store(true) }

// acquire takes the inputs' elements; what it returns gives those back that are not donated.
func (x *execution) acquire(buffers []*Buffer, donate []bool) (release func()) {
	x.inputs, x.stored = make([]any, len(buffers)), make([]bool, len(buffers))
	var releases []func()
	for i, b := range buffers {
		if i < len(donate) && donate[i] {
			x.inputs[i] = b.donate()
			continue
		}
		var release func()
		x.inputs[i], x.stored[i], release = b.acquire(x.program.layouts[i])
		releases = append(releases, release)
	}
	return func() {
		for _, release := range releases {
			release()
		}
	}
}

// run executes all steps and returns the outputs' memory.
func (x *execution) run(ctx context.Context, donate []bool) (outputs []any, err error) {
	p := x.program
	f := p.frame()
	donated := func(i int) bool { return i < len(donate) && donate[i] }
	for i, s := range p.inputs {
		f.flats[s] = x.inputs[i]
	}
	for _, o := range p.outputs {
		if o.own && o.donor >= 0 && donated(o.donor) {
			f.flats[o.slot] = x.inputs[o.donor]
		} else if o.own {
			f.flats[o.slot] = newFlat(p.slots[o.slot].shape)
		}
	}
	if err := x.steps(ctx, f); err != nil {
		return nil, err
	}
	for _, o := range p.outputs {
		outputs = append(outputs, o.take(f))
	}
	p.release(f)
	return outputs, nil
}

// take is the output's memory, a copy where others own it.
func (o output) take(f *frame) any {
	if o.own {
		return f.flats[o.slot]
	}
	flat := newFlat(o.shape)
	copyFlat(flat, f.flats[o.slot])
	return flat
}

func (x *execution) steps(ctx context.Context, f *frame) error {
	var in, out []any
	for _, s := range x.program.steps {
		in, out = in[:0], out[:0]
		for _, i := range s.in {
			in = append(in, f.flats[i])
		}
		for _, i := range s.out {
			out = append(out, f.flats[i])
		}
		if err := x.step(s, in, out); err != nil {
			return fmt.Errorf("operation %s: %w", s.op, err)
		}
		if err := ctx.Err(); err != nil {
			return err // what the step has computed is not whole
		}
	}
	return nil
}

func (x *execution) step(s plannedStep, in, out []any) (err error) {
	defer caught(&err)
	if s.stored != nil && s.storedBy >= 0 && x.stored[s.storedBy] {
		return s.stored(x, in, out)
	}
	return s.run(x, in, out)
}

// release drops what was an execution's and keeps the frame for the next.
func (p *program) release(f *frame) {
	for _, s := range p.inputs {
		f.flats[s] = nil
	}
	for _, o := range p.outputs {
		if o.own {
			f.flats[o.slot] = nil
		}
	}
	p.idle.put(f)
}
