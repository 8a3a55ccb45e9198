package kernels

import "math"

// AdamW holds the coefficients of one step of AdamW (Loshchilov and Hutter, 2019) as torch.optim.AdamW has them.
type AdamW struct {
	Decay         float32 // 1 − lr·weight decay
	Beta1, Keep1  float32 // β1, 1 − β1
	Beta2, Keep2  float32 // β2, 1 − β2
	StepSize      float32 // lr / (1 − β1^t), t = 1 for the first step
	RootBias2     float32 // 1 / √(1 − β2^t)
	Epsilon       float32
	GradientScale float32 // multiplies every gradient: the factor of clipping, else 1
}

// Update takes one step: param, its moments m and v are changed in place, in one pass over memory.
func (o AdamW) Update(param, grad, m, v []float32) {
	n := len(param)
	active.adamW(param, grad[:n], m[:n], v[:n], &o)
}

func adamWPortable(param, grad, m, v []float32, s *AdamW) {
	for i, g := range grad {
		g *= s.GradientScale
		m[i] = s.Beta1*m[i] + s.Keep1*g
		v[i] = s.Beta2*v[i] + s.Keep2*(g*g)
		denominator := float32(math.Sqrt(float64(v[i])))*s.RootBias2 + s.Epsilon
		param[i] = param[i]*s.Decay - s.StepSize*m[i]/denominator
	}
}
