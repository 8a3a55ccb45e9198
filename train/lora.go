package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/nn"
	"regft/models/rng"
)

// The parameters of a low-rank update, below its layer's name, as peft has them.
const (
	loraA = "lora_A.weight" // [rank, in]
	loraB = "lora_B.weight" // [out, rank]
)

// adapters lists what LowRank trains of a classifier with those parameters: A and B of every target, a linear layer of
// the image tower. Every target must match one.
func (l LoRA) adapters(parameters nn.Shapes) (nn.Shapes, error) {
	out, layers := nn.Shapes{}, []string{}
	for _, name := range names(parameters) {
		module, isWeight := strings.CutSuffix(name, ".weight")
		shape := parameters[name]
		if !isWeight || len(shape) != 2 || strings.HasPrefix(name, headPrefix) || strings.HasSuffix(module, "embedding") {
			continue
		}
		layers = append(layers, module)
		if l.targets(module) {
			out[module+"."+loraA], out[module+"."+loraB] = []int{l.Rank, shape[1]}, []int{shape[0], l.Rank}
		}
	}
	for _, t := range l.Targets {
		if !slices.ContainsFunc(layers, (LoRA{Targets: []string{t}}).targets) {
			return nil, fmt.Errorf("lora: %q is no linear layer of the image tower, whose layers end in %s", t, strings.Join(ends(layers), ", "))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("lora has no targets: name linear layers of the image tower, which end in %s", strings.Join(ends(layers), ", "))
	}
	return out, nil
}

// ends are the last words of modules, each once.
func ends(modules []string) []string {
	var out []string
	for _, m := range modules {
		out = append(out, m[strings.LastIndex(m, ".")+1:])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// start is where adapters begin: A as torch.nn.Linear's weight, uniform within ±1/√in, drawn in the order of names by
// PyTorch's generator seeded seed; B zero, so that the model is the one that training starts from.
func (l LoRA) start(adapters nn.Shapes, seed uint64) nn.Arrays {
	g, out := rng.New(seed), nn.Arrays{}
	for _, name := range names(adapters) {
		shape := adapters[name]
		a := nn.Array{Shape: shape, Values: make([]float32, size(shape))}
		if strings.HasSuffix(name, loraA) {
			g.Rand(a.Values)
			bound := float32(1 / math.Sqrt(float64(shape[1])))
			for i, u := range a.Values {
				a.Values[i] = (2*u - 1) * bound
			}
		}
		out[name] = a
	}
	return out
}

// adapted are the parameters that a model sees: with LowRank, targets with their update.
func (p *Program) adapted(q nn.Params) nn.Params {
	if p.method.Part != LowRank {
		return q
	}
	return q.Replacing(func(name string, w *Node) *Node {
		module, isWeight := strings.CutSuffix(name, ".weight")
		shape, ok := p.adapters[module+"."+loraA]
		if !isWeight || !ok {
			return w
		}
		a := q.At("%s", module).Get(loraA, shape...)
		b := q.At("%s", module).Get(loraB, p.adapters[module+"."+loraB]...)
		return Add(w, MulScalar(Dot(b, a).Product(), p.method.LoRA.Scale()))
	})
}

// merged adds the updates in adapters to the weights of a classifier, in float32 as peft's merge_and_unload does. Both
// are left as they are.
func (l LoRA) merged(classifier, adapters nn.Arrays) nn.Arrays {
	out := nn.Arrays{}
	for name, w := range classifier {
		module, _ := strings.CutSuffix(name, ".weight")
		a, ok := adapters[module+"."+loraA]
		if ok && strings.HasSuffix(name, ".weight") {
			w = l.add(w, a, adapters[module+"."+loraB])
		}
		out[name] = w
	}
	return out
}

func (l LoRA) add(w, a, b nn.Array) nn.Array {
	rows, cols, rank := w.Shape[0], w.Shape[1], a.Shape[0]
	sum := nn.Array{Shape: w.Shape, Values: slices.Clone(w.Values)}
	scale := float32(l.Scale())
	for i := range rows {
		row := sum.Values[i*cols : (i+1)*cols]
		update := make([]float32, cols)
		for r := range rank {
			x := b.Values[i*rank+r]
			for j, y := range a.Values[r*cols : (r+1)*cols] {
				update[j] += float32(x * y)
			}
		}
		for j, u := range update {
			row[j] += float32(u * scale)
		}
	}
	return sum
}
