package kernels

import "math"

// AdamW holds the numbers of one step of AdamW (Loshchilov and Hutter, 2019) as torch.optim.AdamW has them.
type AdamW struct {
	LearningRate, Beta1, Beta2, Epsilon, WeightDecay float64
	Step                                             int     // 1 for the first
	GradientScale                                    float64 // multiplies every gradient: the factor of clipping, else 1
}

// adamWStep are the coefficients of one step in float32.
type adamWStep struct {
	decay         float32 // 1 − lr·weight decay
	beta1, keep1  float32 // β1, 1 − β1
	beta2, keep2  float32 // β2, 1 − β2
	stepSize      float32 // lr / (1 − β1^t)
	rootBias2     float32 // 1 / √(1 − β2^t)
	epsilon       float32
	gradientScale float32
}

// Update takes one step: param, its moments m and v are changed in place, in one pass over memory.
func (o AdamW) Update(param, grad, m, v []float32) {
	t := float64(o.Step)
	step := adamWStep{
		decay: float32(1 - o.LearningRate*o.WeightDecay),
		beta1: float32(o.Beta1), keep1: float32(1 - o.Beta1),
		beta2: float32(o.Beta2), keep2: float32(1 - o.Beta2),
		stepSize:  float32(o.LearningRate / (1 - math.Pow(o.Beta1, t))),
		rootBias2: float32(1 / math.Sqrt(1-math.Pow(o.Beta2, t))),
		epsilon:   float32(o.Epsilon), gradientScale: float32(o.GradientScale),
	}
	n := len(param)
	active.adamW(param, grad[:n], m[:n], v[:n], &step)
}

func adamWPortable(param, grad, m, v []float32, s *adamWStep) {
	for i, g := range grad {
		g *= s.gradientScale
		m[i] = s.beta1*m[i] + s.keep1*g
		v[i] = s.beta2*v[i] + s.keep2*(g*g)
		denominator := float32(math.Sqrt(float64(v[i])))*s.rootBias2 + s.epsilon
		param[i] = param[i]*s.decay - s.stepSize*m[i]/denominator
	}
}

// SquaredNorm is the sum of the squares of x in float64 over blocks of a fixed size: the global norm of several tensors is
// the root of the sum of theirs.
func SquaredNorm(pool Pool, x []float32) float64 {
	partial := make([]float64, ceilDiv(len(x), reduceBlock))
	runBlocks(pool, len(x), reduceBlock, func(from, to int) {
		partial[from/reduceBlock] = float64(active.sumSquares(x[from:to], 0))
	})
	var sum float64
	for _, p := range partial {
		sum += p
	}
	return sum
}
