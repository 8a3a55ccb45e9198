package nn

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"
)

// A Func is a model: outputs from parameters and inputs.
type Func func(p Params, inputs []*Node) []*Node

// Weights are the values of parameters by name, on one backend.
type Weights map[string]*tensors.Tensor

// Free releases the memory of all weights. They must not be in use.
func (w Weights) Free() error {
	for name, t := range w {
		if err := t.FinalizeAll(); err != nil {
			return fmt.Errorf("releasing %q: %w", name, err)
		}
	}
	return nil
}

// A Builder turns model functions into programs.
type Builder struct {
	Backend compute.Backend
	DType   dtypes.DType // that parameters are kept in, models compute with float32; float32 where not set
	Have    Shapes       // what the checkpoint holds, for Params.Has; nil where nothing depends on it
}

// Trace lists the parameters that f asks for when given inputs of those shapes. Nothing is compiled.
func (b Builder) Trace(f Func, inputs ...shapes.Shape) (Shapes, error) {
	p, _, _, err := b.build("trace", f, inputs)
	if err != nil {
		return nil, err
	}
	defer p.graph.Finalize()
	return p.shapes, nil
}

// Compile builds f for inputs of those shapes and compiles it. name appears in errors.
func (b Builder) Compile(name string, f Func, inputs ...shapes.Shape) (*Program, error) {
	p, nodes, outputs, err := b.build(name, f, inputs)
	if err != nil {
		return nil, err
	}
	if err := exceptions.TryCatch[error](func() { err = p.graph.Compile(outputs...) }); err != nil {
		return nil, fmt.Errorf("compiling %s: %w", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("compiling %s: %w", name, err)
	}
	return &Program{name: name, backend: b.Backend, graph: p.graph, shapes: p.shapes, names: p.names, order: order(p, nodes)}, nil
}

func (b Builder) build(name string, f Func, inputs []shapes.Shape) (p Params, nodes, outputs []*Node, err error) {
	dtype := b.DType
	if dtype == dtypes.InvalidDType {
		dtype = dtypes.Float32
	}
	p = Params{declared: &declared{
		graph: NewGraph(b.Backend, name), dtype: dtype, have: b.Have, shapes: Shapes{}, nodes: map[string]*Node{}, replaced: map[string]*Node{},
	}}
	err = exceptions.TryCatch[error](func() {
		for i, shape := range inputs {
			nodes = append(nodes, Parameter(p.graph, fmt.Sprintf("input %d", i), shape))
		}
		outputs = f(p, nodes)
	})
	if err != nil {
		return p, nil, nil, fmt.Errorf("building %s: %w", name, err)
	}
	return p, nodes, outputs, nil
}

// order maps the graph's arguments, in order, to where their values come from: i ≥ 0 is the ith parameter,
// i < 0 the input -i-1.
func order(p Params, inputs []*Node) []int {
	at := make([]int, p.graph.NumParameters())
	for i, name := range p.names {
		at[p.nodes[name].GetParameterHandle()] = i
	}
	for i, node := range inputs {
		at[node.GetParameterHandle()] = -i - 1
	}
	return at
}

// A Program is a compiled Func. It may run in several goroutines at once.
type Program struct {
	name    string
	backend compute.Backend
	graph   *Graph
	shapes  Shapes
	names   []string // parameters as they were asked for
	order   []int
}

// Parameters lists the parameters that a run needs.
func (p *Program) Parameters() Shapes { return maps.Clone(p.shapes) }

// Names lists the parameters that a run needs, in the order in which the model asked for them.
func (p *Program) Names() []string { return slices.Clone(p.names) }

// Run executes the program. weights may hold more than the program asks for. The outputs are the caller's, to
// be released with FinalizeAll when they are large. ctx's end interrupts our own backend; on others a run goes on to
// its end.
func (p *Program) Run(ctx context.Context, weights Weights, inputs ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	return p.RunDonating(ctx, weights, func(string) bool { return false }, inputs...)
}

// RunDonating is Run that gives the memory of the named weights to the program, for its outputs to reuse: they
// are invalid afterwards, whatever comes of it. Training passes its state that way.
func (p *Program) RunDonating(ctx context.Context, weights Weights, donated func(name string) bool, inputs ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	buffers, donate := make([]compute.Buffer, len(p.order)), make([]bool, len(p.order))
	for arg, i := range p.order {
		value, what := (*tensors.Tensor)(nil), fmt.Sprintf("input %d", -i-1)
		if i < 0 {
			value = inputs[-i-1]
		} else {
			what = fmt.Sprintf("parameter %q", p.names[i])
			if value = weights[p.names[i]]; value == nil {
				return nil, fmt.Errorf("running %s: no weights for %s", p.name, what)
			}
			donate[arg] = donated(p.names[i])
		}
		var err error
		if buffers[arg], err = bufferOf(value, p.backend, donate[arg]); err != nil {
			return nil, fmt.Errorf("running %s: %s: %w", p.name, what, err)
		}
	}
	results, err := execute(ctx, p.graph.Executable(), buffers, donate)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", p.name, err)
	}
	outputs := make([]*tensors.Tensor, len(results))
	for i, r := range results {
		if outputs[i], err = tensors.FromBuffer(r); err != nil {
			return nil, fmt.Errorf("running %s: %w", p.name, err)
		}
	}
	return outputs, nil
}

// bufferOf is t's memory on a backend, taken from t where it is donated.
func bufferOf(t *tensors.Tensor, backend compute.Backend, donated bool) (compute.Buffer, error) {
	if donated {
		return t.DonateBuffer(backend, 0)
	}
	return t.Buffer(backend, 0)
}

// execute runs an executable; those that can be interrupted know an end of ctx, which compute.Executable does not.
func execute(ctx context.Context, e compute.Executable, inputs []compute.Buffer, donate []bool) ([]compute.Buffer, error) {
	type interruptible interface {
		ExecuteContext(ctx context.Context, inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error)
	}
	if e, ok := e.(interruptible); ok {
		return e.ExecuteContext(ctx, inputs, donate, 0)
	}
	return e.Execute(inputs, donate, 0)
}

// Free releases the compiled program. It must not be running.
func (p *Program) Free() { p.graph.Finalize() }
