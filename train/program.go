package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/clip"
	"regft/models/nn"
)

// A Part says which parameters a run trains.
type Part string

// The parts of a classifier.
const (
	All     Part = "all"
	Head    Part = "head"
	Encoder Part = "encoder"
)

// trains tells whether a parameter of the classifier is trained.
func (part Part) trains(name string) bool {
	isHead := strings.HasPrefix(name, "head.")
	return part == All || isHead == (part == Head)
}

// The moments of AdamW are state beside the parameters, under these prefixes, PyTorch's names for them.
const (
	firstMoment  = "exp_avg"
	secondMoment = "exp_avg_sq"
)

// A Program is RegFT's training step, compiled once for each size of batch that it meets. It may serve several
// Trainers, in several goroutines.
type Program struct {
	backend    compute.Backend
	config     clip.Config
	classes    int
	parameters nn.Shapes // of the classifier
	trained    []string  // sorted

	mu    sync.Mutex
	steps map[int]*nn.Program // by size of batch
}

// NewProgram prepares the training of a part of a classifier with so many classes. Nothing is compiled before the
// first step.
func NewProgram(backend compute.Backend, config clip.Config, classes int, part Part) (*Program, error) {
	if part != All && part != Head && part != Encoder {
		return nil, fmt.Errorf("train is %q, expected %s, %s or %s", part, All, Head, Encoder)
	}
	if classes < 1 {
		return nil, fmt.Errorf("training a classifier with %d classes", classes)
	}
	p := &Program{backend: backend, config: config, classes: classes, steps: map[int]*nn.Program{}}
	var err error
	p.parameters, err = nn.Builder{Backend: backend}.Trace(func(q nn.Params, in []*Node) []*Node {
		return []*Node{clip.Logits(q, config.ImageFeatures(q, in[0]), classes)}
	}, p.pixels(1))
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(p.parameters)) {
		if part.trains(name) {
			p.trained = append(p.trained, name)
		}
	}
	return p, nil
}

// Parameters lists the classifier's parameters: the image tower's and the head's.
func (p *Program) Parameters() nn.Shapes { return maps.Clone(p.parameters) }

// state lists the names and shapes of a Trainer's state: the parameters, and the moments of those that are trained.
func (p *Program) state() nn.Shapes {
	s := p.Parameters()
	for _, name := range p.trained {
		s[firstMoment+"."+name], s[secondMoment+"."+name] = p.parameters[name], p.parameters[name]
	}
	return s
}

// outputs lists the names of the state that a step changes, in the order of its outputs after the record.
func (p *Program) outputs() []string {
	var names []string
	for _, name := range p.trained {
		names = append(names, name, firstMoment+"."+name, secondMoment+"."+name)
	}
	return names
}

func (p *Program) pixels(batch int) shapes.Shape {
	v := p.config.Vision
	return shapes.Make(dtypes.Float32, batch, v.Channels, v.Image, v.Image)
}

// compiled returns the step for a size of batch.
func (p *Program) compiled(batch int) (*nn.Program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if step, ok := p.steps[batch]; ok {
		return step, nil
	}
	step, err := nn.Builder{Backend: p.backend}.Compile("the training step", p.step,
		p.pixels(batch), shapes.Make(dtypes.Int32, batch), shapes.Make(dtypes.Float32, hypers))
	if err != nil {
		return nil, err
	}
	p.steps[batch] = step
	return step, nil
}

// step maps pixels, labels and hyper to the record's values and the new state.
func (p *Program) step(q nn.Params, in []*Node) []*Node {
	h := hyper{in[2]}
	z := p.config.ImageFeatures(q, in[0])
	ce := CrossEntropy(clip.Logits(q, z, p.classes), in[1], h.get(labelSmoothing))
	variance, covariance, spread := VarianceCovariance(z)
	vc := Add(Mul(h.get(varianceWeight), variance), Mul(h.get(covarianceWeight), covariance))
	loss := Add(Mul(h.get(lambdaCE), ce), vc)

	var parameters []*Node
	for _, name := range p.trained {
		parameters = append(parameters, q.Get(name, p.parameters[name]...))
	}
	gradients, norm := limitNorm(h, Gradient(loss, parameters...))

	outputs := []*Node{Stack([]*Node{loss, ce, variance, covariance, norm, spread}, 0)}
	for i, name := range p.trained {
		dims := p.parameters[name]
		parameter, m, v := adamW(h, defaultEpsilon, parameters[i], gradients[i],
			q.At(firstMoment).Get(name, dims...), q.At(secondMoment).Get(name, dims...))
		outputs = append(outputs, parameter, m, v)
	}
	return outputs
}
