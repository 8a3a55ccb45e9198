package train

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// AdamW's constants, PyTorch's defaults.
const (
	beta1          = 0.9
	beta2          = 0.999
	defaultEpsilon = 1e-8
)

// adamW is one step of AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101) as
// torch.optim.AdamW rounds it; epsilon is added to the bias-corrected root. It returns the new parameter and its new moments.
func adamW(h hyper, epsilon float64, parameter, gradient, m, v *Node) (newParameter, newM, newV *Node) {
	m = Add(m, MulScalar(Sub(gradient, m), 1-beta1))
	v = Add(MulScalar(v, beta2), MulScalar(Square(gradient), 1-beta2))
	denominator := AddScalar(Div(Sqrt(v), h.get(rootCorrection2)), epsilon)
	decayed := Mul(parameter, h.get(decay))
	return Sub(decayed, Mul(h.get(stepSize), Div(m, denominator))), m, v
}

// limitNorm scales gradients so that the length of all of them together is at most h's clipping norm, as
// torch.nn.utils.clip_grad_norm_ does. It returns the length before.
func limitNorm(h hyper, gradients []*Node) (clipped []*Node, norm *Node) {
	for _, g := range gradients {
		squares := ReduceAllSum(Square(g))
		if norm == nil {
			norm = squares
		} else {
			norm = Add(norm, squares)
		}
	}
	norm = Sqrt(norm)
	scale := MinScalar(Div(h.get(clipNorm), AddScalar(norm, 1e-6)), 1)
	for _, g := range gradients {
		clipped = append(clipped, Mul(g, scale))
	}
	return clipped, norm
}

// hyper is the vector of scalars that a training step takes as an input.
type hyper struct{ vector *Node }

// The elements of hyper.
const (
	lambdaCE = iota
	varianceWeight
	covarianceWeight
	labelSmoothing
	clipNorm
	decay           // 1 − lr·weight_decay
	stepSize        // lr / (1 − beta1^t)
	rootCorrection2 // √(1 − beta2^t)
	hypers          // how many there are
)

func (h hyper) get(i int) *Node { return Reshape(Slice(h.vector, AxisElem(i))) }

// hyperValues are the values of hyper at a step, counted from 0. What torch computes in Python is computed in
// float64 and rounded once.
func (o Options) hyperValues(step int) []float32 {
	lr, t := o.LearningRateAt(step), float64(step+1)
	values := [hypers]float64{
		lambdaCE: o.LambdaCE, varianceWeight: o.Variance, covarianceWeight: o.Covariance,
		labelSmoothing: o.LabelSmoothing, clipNorm: o.ClipGradNorm,
		decay:           1 - lr*o.WeightDecay,
		stepSize:        lr / (1 - math.Pow(beta1, t)),
		rootCorrection2: math.Sqrt(1 - math.Pow(beta2, t)),
	}
	if o.ClipGradNorm == 0 {
		values[clipNorm] = math.Inf(1)
	}
	rounded := make([]float32, hypers)
	for i, v := range values {
		rounded[i] = float32(v)
	}
	return rounded
}
