package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Part says which parameters a run trains.
type Part string

// The parts of a classifier. LowRank trains low-rank updates of some of the image tower's linear layers.
const (
	All     Part = "all"
	Head    Part = "head"
	Encoder Part = "encoder"
	LowRank Part = "lora"
)

// trains tells whether a parameter of the classifier is itself trained.
func (part Part) trains(name string) bool {
	isHead := strings.HasPrefix(name, headPrefix)
	return part == All || part == Head && isHead || part == Encoder && !isHead
}

const headPrefix = "head."

// A Method is what a training step computes beside cross-entropy and VC: what is compiled into a Program. The weights
// of its parts are Options, inputs of the program.
type Method struct {
	Part    Part
	LoRA    LoRA // of LowRank
	Average bool // keeps the exponential moving average of what is trained
	L2SP    bool // has the penalty on the distance from the start
	Distill bool // has the distance from the features of the start
}

// LoRA is low-rank adaptation (Hu et al., arXiv 2106.09685): a layer's weight W [out, in] is used as
// W + Alpha/Rank · B·A, with A [Rank, in] and B [out, Rank], which alone are trained. Targets are names of modules, or
// their ends after a dot, as peft's target_modules.
type LoRA struct {
	Rank    int
	Alpha   float64
	Targets []string
}

// targets tells whether the layer called module is adapted.
func (l LoRA) targets(module string) bool {
	return slices.ContainsFunc(l.Targets, func(t string) bool { return module == t || strings.HasSuffix(module, "."+t) })
}

// Scale is the weight of the product B·A.
func (l LoRA) Scale() float64 { return l.Alpha / float64(l.Rank) }

// validate reports what no run can have.
func (m Method) validate() error {
	if !slices.Contains([]Part{All, Head, Encoder, LowRank}, m.Part) {
		return fmt.Errorf("train is %q, expected %s, %s, %s or %s", m.Part, All, Head, Encoder, LowRank)
	}
	if m.Distill && m.Part == Head {
		return errors.New("distillation keeps features near those of the start, and train: head changes none")
	}
	if l := m.LoRA; m.Part == LowRank && (l.Rank < 1 || !(l.Alpha >= 0) || math.IsInf(l.Alpha, 0)) {
		return fmt.Errorf("lora has rank %d and alpha %g, expected at least 1 and 0", l.Rank, l.Alpha)
	}
	return nil
}
