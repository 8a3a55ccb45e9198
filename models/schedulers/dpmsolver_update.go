package schedulers

import "math"

// coefficients weigh what a step of DPM-Solver adds up: the latents, the differences D0, D1 and D2 of the outputs, and
// noise.
type coefficients struct {
	ofSample      float64
	ofDifferences [3]float64
	ofNoise       float64
}

// coefficients returns those of a step between two noise levels. φ₁ = e^±h - 1 for h = λ_to - λ_from is the integral of the
// exponential over the step; the stochastic variants integrate twice the distance.
func (c dpmConfig) coefficients(order int, from, to level) coefficients {
	h := to.lambda - from.lambda
	switch c.AlgorithmType {
	case "dpmsolver++": // arXiv 2211.01095, algorithm 2; third order as arXiv 2206.00927, appendix B
		phi1 := math.Expm1(-h)
		return coefficients{to.sigma / from.sigma, [3]float64{
			-to.alpha * phi1,
			c.second(order, -to.alpha*phi1/2, to.alpha*(phi1/h+1)),
			-to.alpha * ((phi1+h)/(h*h) - 0.5),
		}, 0}
	case "dpmsolver": // arXiv 2206.00927, appendix B
		phi1 := math.Expm1(h)
		return coefficients{to.alpha / from.alpha, [3]float64{
			-to.sigma * phi1,
			c.second(order, -to.sigma*phi1/2, -to.sigma*(phi1/h-1)),
			-to.sigma * ((phi1-h)/(h*h) - 0.5),
		}, 0}
	case "sde-dpmsolver++": // arXiv 2211.01095, section 5
		phi1 := -math.Expm1(-2 * h)
		return coefficients{to.sigma / from.sigma * math.Exp(-h), [3]float64{
			to.alpha * phi1,
			c.second(order, to.alpha*phi1/2, to.alpha*(1-phi1/(2*h))),
			to.alpha * ((phi1-2*h)/(4*h*h) - 0.5),
		}, to.sigma * math.Sqrt(phi1)}
	default: // sde-dpmsolver, up to order 2
		phi1 := math.Expm1(h)
		return coefficients{to.alpha / from.alpha, [3]float64{
			-2 * to.sigma * phi1,
			c.second(order, -to.sigma*phi1, -2*to.sigma*(phi1/h-1)),
		}, to.sigma * math.Sqrt(math.Expm1(2*h))}
	}
}

// second chooses the coefficient of D1: only the second order has the midpoint variant.
func (c dpmConfig) second(order int, midpoint, heun float64) float64 {
	if order == 2 && c.SolverType == "midpoint" {
		return midpoint
	}
	return heun
}

// differences returns as many of D0, D1 and D2 as order has, of the outputs at step i of length h: divided differences in λ,
// in units of h.
func (s *dpmSolver) differences(order, i int, h float64) [][]float64 {
	m := s.outputs
	if order == 1 {
		return m[:1]
	}
	now, before := newLevel(s.from(i)), newLevel(s.from(i-1))
	r0 := (now.lambda - before.lambda) / h
	newer := slope(m[0], m[1], r0)
	if order == 2 {
		return [][]float64{m[0], newer}
	}
	r1 := (before.lambda - newLevel(s.from(i-2)).lambda) / h
	older := slope(m[1], m[2], r1)
	second := slope(newer, older, r0+r1)
	first := make([]float64, len(newer))
	for j := range first {
		first[j] = newer[j] + r0*second[j]
	}
	return [][]float64{m[0], first, second}
}

// slope returns (a-b)/r.
func slope(a, b []float64, r float64) []float64 {
	out := make([]float64, len(a))
	for j := range out {
		out[j] = (a[j] - b[j]) / r
	}
	return out
}
