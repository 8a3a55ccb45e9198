// Package nn holds the layers that CLIP and Stable Diffusion are made of, and what turns a function of
// parameters and inputs into a compiled program.
//
// A parameter's path is its tensor's name in the published checkpoint, in the checkpoint's own orientation, so
// there are no tables of names: a model asks for p.At("layers.%d", i).Get("weight", out, in). Asking declares:
// tracing a model function lists every parameter with its shape before anything is compiled, and that list is
// what a checkpoint is checked against.
//
// Model functions panic, as GoMLX's do, on what a config cannot be; Trace and Compile turn that into errors.
package nn

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Shapes lists parameters: name → dimensions.
type Shapes map[string][]int

// Params is the part of a model's parameters below one prefix, in one graph.
type Params struct {
	*declared
	prefix  string
	replace func(name string, value *Node) *Node // nil: parameters are used as they are
}

// declared is what all Params of one graph share.
type declared struct {
	graph  *Graph
	dtype  dtypes.DType // that parameters are kept in
	have   Shapes       // what the checkpoint holds; nil where it is not known
	shapes Shapes       // what was asked for
	names  []string
	nodes  map[string]*Node

	replaced map[string]*Node // what replace made of them
}

// At returns the parameters below a name: p.At("layers.%d", i).
func (p Params) At(format string, args ...any) Params {
	p.prefix += fmt.Sprintf(format, args...) + "."
	return p
}

// Replacing returns the same parameters, of which a model sees what f makes of each: a low-rank update of a weight, for
// example. f is asked once for each name.
func (p Params) Replacing(f func(name string, value *Node) *Node) Params {
	p.replace = f
	return p
}

// Get declares the parameter name with its dimensions and returns its value in float32, or what Replacing makes of it.
// Asking twice gives the same value; asking for other dimensions panics.
func (p Params) Get(name string, dims ...int) *Node {
	name = p.prefix + name
	value := p.declare(name, dims)
	if p.dtype != dtypes.Float32 {
		value = ConvertDType(value, dtypes.Float32)
	}
	if p.replace == nil {
		return value
	}
	if _, ok := p.replaced[name]; !ok {
		p.replaced[name] = p.replace(name, value)
	}
	return p.replaced[name]
}

func (p Params) declare(name string, dims []int) *Node {
	if known, ok := p.shapes[name]; ok {
		if !slices.Equal(known, dims) {
			panic(fmt.Errorf("parameter %q is asked for as %v and as %v", name, known, dims))
		}
		return p.nodes[name]
	}
	for _, d := range dims {
		if d < 1 {
			panic(fmt.Errorf("parameter %q would have shape %v: the config is wrong", name, dims))
		}
	}
	p.shapes[name] = slices.Clone(dims)
	p.names = append(p.names, name)
	p.nodes[name] = Parameter(p.graph, name, shapes.Make(p.dtype, dims...))
	return p.nodes[name]
}

// Has tells whether the checkpoint holds the parameter name, for checkpoints that name the same thing in
// several ways.
func (p Params) Has(name string) bool {
	_, ok := p.have[p.prefix+name]
	return ok
}

// Shape returns the dimensions that the checkpoint's parameter name has, nil where it holds none.
func (p Params) Shape(name string) []int { return p.have[p.prefix+name] }

// Graph is the graph that is being built.
func (p Params) Graph() *Graph { return p.graph }
