package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/adapter"
	"regft/models/nn"
)

// KeyOptions are the hyper-parameters of training an adapter's keys, with AdamW on a cosine.
type KeyOptions struct {
	Steps        int // after which the learning rate is 0; it rises again where training goes on
	LearningRate float64
	WeightDecay  float64
	Epsilon      float64 // of AdamW
}

func (o KeyOptions) options() Options {
	return Options{Steps: o.Steps, LearningRate: o.LearningRate, Schedule: Cosine, WeightDecay: o.WeightDecay, LambdaCE: 1}
}

// A KeyTrainer trains the keys of a Tip-Adapter-F or a CaFo at the adapter's own beta and alpha. It is not for several
// goroutines at once.
type KeyTrainer struct {
	backend compute.Backend
	adapter *adapter.Adapter
	options KeyOptions
	keys    nn.Shapes           // what is trained
	steps   map[int]*nn.Program // by size of batch
	counts  map[int]*nn.Program
	state   nn.Weights
	next    int
}

// A KeyRecord is what one step measured, before it changed the keys.
type KeyRecord struct {
	Step         int // counted from 0
	LearningRate float64
	Loss         float32 // mean cross-entropy
}

// NewKeyTrainer starts at the adapter's keys, which it leaves as they are.
func NewKeyTrainer(backend compute.Backend, a *adapter.Adapter, o KeyOptions) (*KeyTrainer, error) {
	if err := errors.Join(a.Validate(), o.options().Validate()); err != nil {
		return nil, err
	}
	t := &KeyTrainer{backend: backend, adapter: a, options: o, keys: nn.Shapes{}, steps: map[int]*nn.Program{}, counts: map[int]*nn.Program{}}
	arrays := a.Parameters()
	for b, keys := range a.Keys {
		name := adapter.KeyName(b)
		t.keys[name] = keys.Shape
		for _, moment := range []string{firstMoment, secondMoment} {
			arrays[moment+"."+name] = nn.Array{Shape: keys.Shape, Values: make([]float32, len(keys.Values))}
		}
	}
	var err error
	t.state, err = arrays.ToBackend(backend)
	return t, err
}

// Step learns from unit features [n, dim], one array for each branch, and their labels.
func (t *KeyTrainer) Step(ctx context.Context, features []nn.Array, labels []int32) (KeyRecord, error) {
	if err := ctx.Err(); err != nil {
		return KeyRecord{}, err
	}
	program, err := t.compiled(t.steps, "the training step of an adapter", t.step, len(labels), shapes.Make(dtypes.Float32, hypers(len(t.keys))))
	if err != nil {
		return KeyRecord{}, err
	}
	inputs, err := t.inputs(features, labels, t.options.options().hyperValues(t.next, names(t.keys), 0))
	defer free(inputs)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("training step %d: %w", t.next, err)
	}
	changed := t.changed()
	donated := make(map[string]bool, len(changed))
	for _, name := range changed {
		donated[name] = true
	}
	outputs, err := program.RunDonating(ctx, t.state, func(name string) bool { return donated[name] }, inputs...)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("training step %d: %w", t.next, err)
	}
	defer free(outputs[:1])
	for i, name := range changed {
		t.state[name] = outputs[1+i]
	}
	return t.record(outputs[0])
}

// changed lists what a step changes, in the order of its outputs after the loss.
func (t *KeyTrainer) changed() []string {
	var out []string
	for _, name := range names(t.keys) {
		out = append(out, name, firstMoment+"."+name, secondMoment+"."+name)
	}
	return out
}

// countedAtOnce is how many samples Correct takes at a time.
const countedAtOnce = 256

// Correct is the number of samples that are right with the keys as they are, in float32 on the backend.
func (t *KeyTrainer) Correct(ctx context.Context, s adapter.Samples) (int, error) {
	correct := 0
	for begin := 0; begin < len(s.Labels); begin += countedAtOnce {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		end := min(begin+countedAtOnce, len(s.Labels))
		labels := make([]int32, 0, end-begin)
		for _, label := range s.Labels[begin:end] {
			labels = append(labels, int32(label))
		}
		rows := make([]nn.Array, len(s.Features))
		for b, f := range s.Features {
			dim := f.Shape[1]
			rows[b] = nn.Array{Shape: []int{end - begin, dim}, Values: f.Values[begin*dim : end*dim]}
		}
		n, err := t.count(ctx, rows, labels)
		if err != nil {
			return 0, err
		}
		correct += n
	}
	return correct, nil
}

func (t *KeyTrainer) count(ctx context.Context, features []nn.Array, labels []int32) (int, error) {
	program, err := t.compiled(t.counts, "the accuracy of an adapter", t.right, len(labels))
	if err != nil {
		return 0, err
	}
	inputs, err := t.inputs(features, labels)
	defer free(inputs)
	if err != nil {
		return 0, err
	}
	outputs, err := program.Run(ctx, t.state, inputs...)
	if err != nil {
		return 0, err
	}
	defer free(outputs)
	n, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return 0, err
	}
	return int(n[0]), nil
}

// right maps features and labels to the number of rows whose largest logit is their label's.
func (t *KeyTrainer) right(q nn.Params, in []*Node) []*Node {
	branches := len(t.adapter.Keys)
	first := ArgMax(t.adapter.LogitsGraph(q, in[:branches]), -1)
	hits := ConvertDType(Equal(first, in[branches]), dtypes.Float32)
	return []*Node{Reshape(ReduceAllSum(hits), 1)}
}

// inputs copies those of a program to the backend.
func (t *KeyTrainer) inputs(features []nn.Array, labels []int32, scalars ...[]float32) (inputs []*tensors.Tensor, err error) {
	for _, f := range features {
		x, err := f.ToBackend(t.backend)
		if err != nil {
			return inputs, err
		}
		inputs = append(inputs, x)
	}
	y, err := nn.ToBackend(t.backend, labels, len(labels))
	if err != nil {
		return inputs, err
	}
	inputs = append(inputs, y)
	for _, s := range scalars {
		x, err := nn.ToBackend(t.backend, s, len(s))
		if err != nil {
			return inputs, err
		}
		inputs = append(inputs, x)
	}
	return inputs, nil
}

func (t *KeyTrainer) record(loss *tensors.Tensor) (KeyRecord, error) {
	v, err := tensors.CopyFlatData[float32](loss)
	if err != nil {
		return KeyRecord{}, err
	}
	r := KeyRecord{Step: t.next, LearningRate: t.options.options().LearningRateAt(t.next), Loss: v[0]}
	if !finite(r.Loss) {
		return r, fmt.Errorf("training the keys diverged at step %d: loss %.4g; a lower learning_rate, now %.4g, is the usual remedy", r.Step, r.Loss, r.LearningRate)
	}
	t.next++
	return r, nil
}

// compiled is the program of f for a size of batch, kept in programs. Its inputs are features, labels and more.
func (t *KeyTrainer) compiled(programs map[int]*nn.Program, name string, f nn.Func, batch int, more ...shapes.Shape) (*nn.Program, error) {
	if program, ok := programs[batch]; ok {
		return program, nil
	}
	var inputs []shapes.Shape
	for _, keys := range t.adapter.Keys {
		inputs = append(inputs, shapes.Make(dtypes.Float32, batch, keys.Shape[1]))
	}
	inputs = append(append(inputs, shapes.Make(dtypes.Int32, batch)), more...)
	program, err := nn.Builder{Backend: t.backend}.Compile(name, f, inputs...)
	if err != nil {
		return nil, err
	}
	programs[batch] = program
	return program, nil
}

// step maps features, labels and hyper to the loss and the new state.
func (t *KeyTrainer) step(q nn.Params, in []*Node) []*Node {
	branches := len(t.adapter.Keys)
	labels, h := in[branches], hyper{in[branches+1]}
	loss := CrossEntropy(t.adapter.LogitsGraph(q, in[:branches]), labels, h.get(labelSmoothing))
	var keys []*Node
	for _, name := range names(t.keys) {
		keys = append(keys, q.Get(name, t.keys[name]...))
	}
	gradients := Gradient(loss, keys...)
	outputs := []*Node{loss}
	for i, name := range names(t.keys) {
		dims := t.keys[name]
		key, m, v := adamW(h, i, t.options.Epsilon, keys[i], gradients[i],
			q.At(firstMoment).Get(name, dims...), q.At(secondMoment).Get(name, dims...))
		outputs = append(outputs, key, m, v)
	}
	return outputs
}

// Keys copies the keys to the host, one array for each branch.
func (t *KeyTrainer) Keys() ([]nn.Array, error) {
	arrays, err := t.state.ToHost(names(t.keys)...)
	if err != nil {
		return nil, err
	}
	var keys []nn.Array
	for b := range t.adapter.Keys {
		keys = append(keys, arrays[adapter.KeyName(b)])
	}
	return keys, nil
}

// Close releases the memory on the backend.
func (t *KeyTrainer) Close() error {
	for _, programs := range []map[int]*nn.Program{t.steps, t.counts} {
		for _, program := range programs {
			program.Free()
		}
	}
	return t.state.Free()
}
