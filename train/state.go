package train

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"regft/models/nn"
	"regft/models/safetensors"
)

// A State is a run between two steps: the classifier's parameters and low-rank updates under their names, AdamW's moments
// under exp_avg.NAME and exp_avg_sq.NAME, moving averages under average.NAME, and the number of the next step.
type State struct {
	Step   int
	Arrays nn.Arrays
}

// stepTensor holds a State's step in its file.
const stepTensor = "step"

// Write writes the state as a safetensors file.
func (s State) Write(w io.Writer) error {
	out := map[string]safetensors.Tensor{stepTensor: safetensors.FromInt64s([]int64{int64(s.Step)})}
	for name, a := range s.Arrays {
		out[name] = safetensors.FromFloat32s(a.Values, a.Shape...)
	}
	return safetensors.WriteTensors(w, out)
}

// ReadState reads a file that Write wrote.
func ReadState(path string) (State, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return State{}, err
	}
	defer f.Close()
	t, err := f.Tensor(stepTensor)
	if err != nil {
		return State{}, err
	}
	step, err := t.Int64s()
	if err != nil || len(step) != 1 {
		return State{}, fmt.Errorf("%s: %q is no training state's step", path, stepTensor)
	}
	s := State{Step: int(step[0]), Arrays: nn.Arrays{}}
	for _, name := range f.Names() {
		if name == stepTensor {
			continue
		}
		t, _ := f.Lookup(name)
		values, err := f.Float32s(name)
		if err != nil {
			return State{}, err
		}
		s.Arrays[name] = nn.Array{Shape: slices.Clone(t.Shape), Values: values}
	}
	return s, nil
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
