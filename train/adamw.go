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
// torch.optim.AdamW rounds it, of the ith trained parameter; epsilon is added to the bias-corrected root. It returns the
// new parameter and its new moments.
func adamW(h hyper, i int, epsilon float64, parameter, gradient, m, v *Node) (newParameter, newM, newV *Node) {
	m = Add(m, MulScalar(Sub(gradient, m), 1-beta1))
	v = Add(MulScalar(v, beta2), MulScalar(Square(gradient), 1-beta2))
	denominator := AddScalar(Div(Sqrt(v), h.get(rootCorrection2)), epsilon)
	decayed := Mul(parameter, h.get(decay(i)))
	return Sub(decayed, Mul(h.get(stepSize(i)), Div(m, denominator))), m, v
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

// The elements of hyper. Two for each trained parameter follow.
const (
	lambdaCE = iota
	varianceWeight
	covarianceWeight
	labelSmoothing
	clipNorm
	rootCorrection2 // √(1 − beta2^t)
	averageKeep     // weight of the moving average so far
	averageTake     // 1 − that
	l2spWeight
	distillWeight
	commonHypers // how many there are
)

// decay is the element 1 − lr·weight_decay of the ith trained parameter, stepSize its lr / (1 − beta1^t).
func decay(i int) int    { return commonHypers + 2*i }
func stepSize(i int) int { return commonHypers + 2*i + 1 }

// hypers is how many elements there are for so many trained parameters.
func hypers(trained int) int { return commonHypers + 2*trained }

func (h hyper) get(i int) *Node { return Reshape(Slice(h.vector, AxisElem(i))) }

// hyperValues are the values of hyper at a step, counted from 0, for the trained parameters of an image tower with so
// many layers. What torch computes in Python is computed in float64 and rounded once.
func (o Options) hyperValues(step int, trained []string, layers int) []float32 {
	t := float64(step + 1)
	values := make([]float64, hypers(len(trained)))
	for i, v := range [commonHypers]float64{
		lambdaCE: o.LambdaCE, varianceWeight: o.Variance, covarianceWeight: o.Covariance,
		labelSmoothing: o.LabelSmoothing, clipNorm: o.ClipGradNorm,
		rootCorrection2: math.Sqrt(1 - math.Pow(beta2, t)),
		averageKeep:     o.AverageDecay, averageTake: 1 - o.AverageDecay,
		l2spWeight: o.L2SP, distillWeight: o.Distill,
	} {
		values[i] = v
	}
	if o.ClipGradNorm == 0 {
		values[clipNorm] = math.Inf(1)
	}
	for i, name := range trained {
		largest, weightDecay := o.rates(name, layers)
		lr := o.scheduled(largest, step)
		values[decay(i)] = 1 - lr*weightDecay
		values[stepSize(i)] = lr / (1 - math.Pow(beta1, t))
	}
	rounded := make([]float32, len(values))
	for i, v := range values {
		rounded[i] = float32(v)
	}
	return rounded
}
