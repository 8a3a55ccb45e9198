package train

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"regft/models/nn"
	"regft/models/safetensors"

	"github.com/cespare/xxhash/v2"
)

// A State is a run between two steps: the classifier's parameters and low-rank updates under their names, AdamW's moments
// under exp_avg.NAME and exp_avg_sq.NAME, moving averages under average.NAME, and the number of the next step.
type State struct {
	Step   int
	Arrays nn.Arrays
}

// stepTensor and sumTensor hold a State's step and the sum of all of it in its file.
const stepTensor, sumTensor = "step", "xxh64"

// Write writes the state as a safetensors file, with a sum: a disk may damage it before it is read again.
func (s State) Write(w io.Writer) error {
	out := map[string]safetensors.Tensor{
		stepTensor: safetensors.FromInt64s([]int64{int64(s.Step)}),
		sumTensor:  safetensors.FromInt64s([]int64{s.sum()}),
	}
	for name, a := range s.Arrays {
		out[name] = safetensors.FromFloat32s(a.Values, a.Shape...)
	}
	return safetensors.WriteTensors(w, out)
}

// sum is an XXH64 of the step and the arrays.
func (s State) sum() int64 {
	h := xxhash.New()
	fmt.Fprintln(h, s.Step)
	for _, name := range slices.Sorted(maps.Keys(s.Arrays)) {
		a := s.Arrays[name]
		fmt.Fprintf(h, "%q %v\n", name, a.Shape)
		_, _ = h.Write(safetensors.FromFloat32s(a.Values, a.Shape...).Data) // it never fails
	}
	return int64(h.Sum64())
}

// ReadState reads a file that Write wrote. One that is not as it was written is an error.
func ReadState(path string) (State, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return State{}, err
	}
	defer f.Close()
	step, err := number(f, stepTensor)
	if err != nil {
		return State{}, err
	}
	sum, err := number(f, sumTensor)
	if err != nil {
		return State{}, err
	}
	s := State{Step: int(step), Arrays: nn.Arrays{}}
	for _, name := range f.Names() {
		if name == stepTensor || name == sumTensor {
			continue
		}
		t, _ := f.Lookup(name)
		values, err := f.Float32s(name)
		if err != nil {
			return State{}, err
		}
		s.Arrays[name] = nn.Array{Shape: slices.Clone(t.Shape), Values: values}
	}
	if s.sum() != sum {
		return State{}, fmt.Errorf("%s is damaged: its content has another sum than when it was written", path)
	}
	return s, nil
}

// number is the only value of one of f's tensors.
func number(f *safetensors.File, name string) (int64, error) {
	t, err := f.Tensor(name)
	if err != nil {
		return 0, err
	}
	values, err := t.Int64s()
	if err != nil || len(values) != 1 {
		return 0, fmt.Errorf("%q is no training state's %s", name, name)
	}
	return values[0], nil
}

// fits tells whether the state is one of a program with that state.
func (s State) fits(want nn.Shapes) error {
	for _, name := range names(want) {
		a, ok := s.Arrays[name]
		if !ok {
			return fmt.Errorf("the classifier to train has no parameter %q", name)
		}
		if !slices.Equal(a.Shape, want[name]) {
			return fmt.Errorf("the classifier to train has %q of shape %v, expected %v", name, a.Shape, want[name])
		}
	}
	for name := range s.Arrays {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("the classifier to train has %q, which is no parameter of its config", name)
		}
	}
	return nil
}

func names(s nn.Shapes) []string { return slices.Sorted(maps.Keys(s)) }

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
