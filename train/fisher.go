package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/clip"
	"regft/models/nn"
)

// A FisherProgram adds a picture's squared gradient to a sum. It may serve several Fishers, in several goroutines.
type FisherProgram struct {
	*Program
	compiled *nn.Program
}

// fisherSum is the prefix of the sums among the state.
const fisherSum = "fisher"

// NewFisherProgram compiles the program for classifiers with so many classes.
func NewFisherProgram(backend compute.Backend, config clip.Config, classes int) (*FisherProgram, error) {
	p, err := NewProgram(backend, config, classes, Method{Part: All})
	if err != nil {
		return nil, err
	}
	f := &FisherProgram{Program: p}
	f.compiled, err = nn.Builder{Backend: backend}.Compile("the Fisher information", f.add,
		p.pixels(1), shapes.Make(dtypes.Int32, 1), shapes.Make(dtypes.Float32))
	return f, err
}

// add maps pixels, their label and its weight w to the sums of w·(∂ log p(label) / ∂θ)².
func (f *FisherProgram) add(q nn.Params, in []*Node) []*Node {
	logits := clip.Logits(q, f.config.ImageFeatures(q, in[0]), f.classes)
	loss := CrossEntropy(logits, in[1], ScalarZero(q.Graph(), dtypes.Float32))
	var parameters, sums []*Node
	for _, name := range f.trained {
		parameters = append(parameters, q.Get(name, f.parameters[name]...))
	}
	for i, gradient := range Gradient(loss, parameters...) {
		name := f.trained[i]
		sums = append(sums, Add(q.At(fisherSum).Get(name, f.parameters[name]...), Mul(in[2], Square(gradient))))
	}
	return sums
}

// A Fisher estimates the diagonal of the Fisher information of a classifier's parameters, image tower and head: the
// mean of the squared gradients of the log-likelihood, picture by picture (Matena and Raffel, arXiv 2111.09832). It
// is not for several goroutines at once.
type Fisher struct {
	program *FisherProgram
	state   nn.Weights
	draws   float64
	broken  error
}

// NewFisher starts at no pictures.
func NewFisher(p *FisherProgram, parameters nn.Arrays) (*Fisher, error) {
	if err := (State{Arrays: parameters}).fits(p.parameters); err != nil {
		return nil, err
	}
	arrays := nn.Arrays{}
	for name, a := range parameters {
		arrays[name] = a
		arrays[fisherSum+"."+name] = nn.Array{Shape: a.Shape, Values: make([]float32, len(a.Values))}
	}
	state, err := arrays.ToBackend(p.backend)
	return &Fisher{program: p, state: state}, err
}

// Add counts draws of labels for one picture, whose pixels are [channels, image, image]: draws[i] is how often label
// i was drawn. A picture costs one backward pass for each label that was drawn at all. ctx is looked at between them.
func (f *Fisher) Add(ctx context.Context, pixels []float32, draws []int) error {
	if want := f.program.pixels(1).Size(); len(pixels) != want || len(draws) != f.program.classes {
		return fmt.Errorf("the Fisher information takes %d pixel values and %d classes, not %d and %d", want, f.program.classes, len(pixels), len(draws))
	}
	for label, n := range draws {
		if n == 0 {
			continue
		}
		if err := errors.Join(f.broken, ctx.Err()); err != nil {
			return err
		}
		if err := f.add(ctx, pixels, int32(label), float32(n)); err != nil {
			f.broken = err // its sums are gone
			return err
		}
		f.draws += float64(n)
	}
	return nil
}

func (f *Fisher) add(ctx context.Context, pixels []float32, label int32, weight float32) error {
	p := f.program
	x, err1 := nn.ToBackend(p.backend, pixels, p.pixels(1).Dimensions...)
	y, err2 := nn.ToBackend(p.backend, []int32{label}, 1)
	w, err3 := nn.ToBackend(p.backend, []float32{weight})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	defer x.FinalizeAll()
	isSum := map[string]bool{}
	for _, name := range p.trained {
		isSum[fisherSum+"."+name] = true
	}
	sums, err := p.compiled.RunDonating(ctx, f.state, func(name string) bool { return isSum[name] }, x, y, w)
	if err != nil {
		return err
	}
	for i, name := range p.trained {
		f.state[fisherSum+"."+name] = sums[i]
	}
	return nil
}

// Mean is the estimate, in the parameters' names and shapes.
func (f *Fisher) Mean() (nn.Arrays, error) {
	if f.broken != nil || f.draws == 0 {
		return nil, errors.Join(f.broken, errors.New("the Fisher information of no pictures"))
	}
	out := nn.Arrays{}
	for _, name := range f.program.trained {
		sum, err := f.state.ToHost(fisherSum + "." + name)
		if err != nil {
			return nil, err
		}
		a := sum[fisherSum+"."+name]
		for i, x := range a.Values {
			a.Values[i] = float32(float64(x) / f.draws)
		}
		out[name] = a
	}
	return out, nil
}

// Close releases the memory on the backend.
func (f *Fisher) Close() error { return f.state.Free() }

// DrawLabel draws a label with the softmax of logits as its distribution, by (seed, pass, sample) alone: ChaCha8 keyed
// by their SHA-256 gives a number from 0 to 1, and the label is where the cumulated probabilities pass it.
func DrawLabel(logits []float32, seed uint64, pass, sample int) int {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	key = binary.LittleEndian.AppendUint64(key, uint64(pass))
	key = binary.LittleEndian.AppendUint64(key, uint64(sample))
	u := rand.New(rand.NewChaCha8(sha256.Sum256(key))).Float64()
	weights := Probabilities(logits)
	total := 0.0
	for i, w := range weights {
		if total += w; u < total {
			return i
		}
	}
	return slices.Index(weights, slices.Max(weights)) // rounding left total just below 1
}
