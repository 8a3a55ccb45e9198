package train

import (
	"fmt"
	"maps"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/clip"
	"regft/models/nn"
)

// What a run keeps of parameters beside their values is state under these prefixes: AdamW's moments, in PyTorch's names
// for them, the moving average, sums of gradients over micro-batches, and where the parameter started.
const (
	firstMoment   = "exp_avg"
	secondMoment  = "exp_avg_sq"
	movingAverage = "average"
	gradientSum   = "gradient"
	startValue    = "start"
)

// A Program is RegFT's training step, compiled once for each size of batch that it meets. It may serve several
// Trainers, in several goroutines.
type Program struct {
	backend    compute.Backend
	config     clip.Config
	classes    int
	method     Method
	parameters nn.Shapes // of the classifier
	adapters   nn.Shapes // of LowRank
	trained    []string  // sorted

	mu       sync.Mutex
	programs map[programKey]*nn.Program
}

type programKey struct {
	name  string
	batch int
}

// NewProgram prepares the training of a classifier with so many classes. Nothing is compiled before the first step.
func NewProgram(backend compute.Backend, config clip.Config, classes int, method Method) (*Program, error) {
	if err := method.validate(); err != nil {
		return nil, err
	}
	if classes < 1 {
		return nil, fmt.Errorf("training a classifier with %d classes", classes)
	}
	p := &Program{backend: backend, config: config, classes: classes, method: method, programs: map[programKey]*nn.Program{}}
	var err error
	p.parameters, err = nn.Builder{Backend: backend}.Trace(func(q nn.Params, in []*Node) []*Node {
		return []*Node{clip.Logits(q, config.ImageFeatures(q, in[0]), classes)}
	}, p.pixels(1))
	if err != nil {
		return nil, err
	}
	if method.Part == LowRank {
		p.adapters, err = method.LoRA.adapters(p.parameters)
		p.trained = names(p.adapters)
		return p, err
	}
	for _, name := range names(p.parameters) {
		if method.Part.trains(name) {
			p.trained = append(p.trained, name)
		}
	}
	return p, nil
}

// Parameters lists the classifier's parameters: the image tower's and the head's.
func (p *Program) Parameters() nn.Shapes { return maps.Clone(p.parameters) }

// shape is that of a parameter or of an adapter's.
func (p *Program) shape(name string) []int {
	if dims, ok := p.adapters[name]; ok {
		return dims
	}
	return p.parameters[name]
}

// kept lists the prefixes of what a step changes beside a trained parameter.
func (p *Program) kept() []string {
	if p.method.Average {
		return []string{firstMoment, secondMoment, movingAverage}
	}
	return []string{firstMoment, secondMoment}
}

// state lists the names and shapes of a Trainer's state: the parameters, and what is kept of those that are trained.
func (p *Program) state() nn.Shapes {
	s := p.Parameters()
	for _, name := range p.trained {
		s[name] = p.shape(name)
		for _, prefix := range p.kept() {
			s[prefix+"."+name] = p.shape(name)
		}
	}
	return s
}

// anchored lists the parameters whose start is needed beside their present value.
func (p *Program) anchored() []string {
	switch {
	case p.method.Part == LowRank: // which leaves the start as it is
		return nil
	case p.method.Distill:
		return names(p.parameters)
	case p.method.L2SP:
		return p.trained
	}
	return nil
}

// outputs lists the names of the state that a step changes, in the order of its outputs after the record.
func (p *Program) outputs() []string {
	var names []string
	for _, name := range p.trained {
		names = append(names, name)
		for _, prefix := range p.kept() {
			names = append(names, prefix+"."+name)
		}
	}
	return names
}

func (p *Program) pixels(batch int) shapes.Shape {
	v := p.config.Vision
	return shapes.Make(dtypes.Float32, batch, v.Channels, v.Image, v.Image)
}

func (p *Program) hypers() shapes.Shape { return shapes.Make(dtypes.Float32, hypers(len(p.trained))) }

// compiled returns the program of f, called name, for a size of batch.
func (p *Program) compiled(name string, batch int, f nn.Func, inputs ...shapes.Shape) (*nn.Program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := programKey{name, batch}
	if program, ok := p.programs[key]; ok {
		return program, nil
	}
	program, err := nn.Builder{Backend: p.backend}.Compile(name, f, inputs...)
	if err != nil {
		return nil, err
	}
	p.programs[key] = program
	return program, nil
}

// compiledStep returns the step for a size of batch.
func (p *Program) compiledStep(batch int) (*nn.Program, error) {
	return p.compiled("the training step", batch, p.step, p.pixels(batch), shapes.Make(dtypes.Int32, batch), p.hypers())
}
