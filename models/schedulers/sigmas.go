package schedulers

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// sigmaTable is the noise level σ_t = √((1-ᾱ_t)/ᾱ_t) at each training timestep, rising, as float32.
type sigmaTable []float64

// almostZero takes the place of the last ᾱ when that is rescaled to zero: σ must be finite.
const almostZero = 1. / (1 << 24)

// sigmas returns the table and the ᾱ that it was made of.
func (c training) sigmas(zeroSNR bool) (sigmaTable, error) {
	alphas, err := c.alphasCumprod(zeroSNR)
	if err != nil {
		return nil, err
	}
	if zeroSNR {
		alphas[len(alphas)-1] = almostZero
	}
	table := make(sigmaTable, len(alphas))
	for t, a := range alphas {
		table[t] = float64(sqrt32((1 - a) / a))
	}
	for _, sigma := range table {
		if math.IsNaN(sigma) || math.IsInf(sigma, 0) {
			return nil, errors.New("betas leave no finite noise level at some timestep: check beta_start, beta_end and trained_betas")
		}
	}
	return table, nil
}

// at interpolates the noise level at times between training timesteps, and keeps to the ends beyond them.
func (s sigmaTable) at(times []float64) []float64 {
	out := make([]float64, len(times))
	for i, t := range times {
		below := int(math.Floor(min(max(t, 0), float64(len(s)-1))))
		above := min(below+1, len(s)-1)
		fraction := min(max(t-float64(below), 0), 1)
		out[i] = float64((s[above]-s[below])*fraction) + s[below]
	}
	return out
}

// logs returns log σ_t as float32.
func (s sigmaTable) logs() []float64 {
	out := make([]float64, len(s))
	for t, sigma := range s {
		out[t] = float64(log32(float32(sigma)))
	}
	return out
}

// times inverts at in log σ: the fractional training timesteps at which the noise has the given levels.
func (s sigmaTable) times(sigmas []float64) []float64 {
	logs := s.logs()
	out := make([]float64, len(sigmas))
	for i, sigma := range sigmas {
		logSigma := math.Log(max(sigma, 1e-10))
		low := min(lastAtMost(logs, logSigma), len(logs)-2)
		w := min(max((logs[low]-logSigma)/(logs[low]-logs[low+1]), 0), 1)
		out[i] = float64((1-w)*float64(low)) + float64(w*float64(low+1))
	}
	return out
}

// lastAtMost returns the last index whose value is at most limit, 0 when there is none.
func lastAtMost(values []float64, limit float64) int {
	for i, v := range slices.Backward(values) {
		if v <= limit {
			return i
		}
	}
	return 0
}

// karras spaces n levels between two as Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models"
// (arXiv 2206.00364), equation 5, with ρ = 7.
func karras(first, last float64, n int) []float64 {
	const rho = 7
	from, to := math.Pow(first, 1./rho), math.Pow(last, 1./rho)
	out := linspace(0, 1, n)
	for i, ramp := range out {
		out[i] = math.Pow(from+float64(ramp*(to-from)), rho)
	}
	return out
}

// exponential spaces n levels between two evenly in log σ.
func exponential(first, last float64, n int) []float64 {
	out := linspace(math.Log(first), math.Log(last), n)
	for i, logSigma := range out {
		out[i] = math.Exp(logSigma)
	}
	return out
}

// levels are the keys of classes that choose how noise levels are spaced.
type levels struct {
	UseKarrasSigmas      bool   `json:"use_karras_sigmas"`
	UseExponentialSigmas bool   `json:"use_exponential_sigmas"`
	UseBetaSigmas        bool   `json:"use_beta_sigmas"`
	FinalSigmasType      string `json:"final_sigmas_type"`
}

func (l levels) validate() error {
	if l.UseBetaSigmas {
		return errors.New("use_beta_sigmas true is not implemented: want use_karras_sigmas or use_exponential_sigmas")
	}
	if l.UseKarrasSigmas && l.UseExponentialSigmas {
		return errors.New("use_karras_sigmas and use_exponential_sigmas are both true: only one can be used")
	}
	return oneOf("final_sigmas_type", l.FinalSigmasType, "zero", "sigma_min")
}

// last is the level after the last step.
func (l levels) last(table sigmaTable) float64 {
	if l.FinalSigmasType == "sigma_min" {
		return table[0]
	}
	return 0
}

// path is the noise levels of a run as float32: step i goes from from(i) to to(i).
type path struct {
	levels []float64
	first  int
}

// newPath rounds levels, which end with the level after the last step. Where the first timestep comes twice, the reference
// starts at the second one, and runs out of levels unless there is one to spare.
func newPath(timesteps, levels []float64) (path, error) {
	p := path{levels: make([]float64, len(levels))}
	for i, sigma := range levels {
		p.levels[i] = float64(float32(sigma))
	}
	if second := slices.Index(timesteps[1:], timesteps[0]); second >= 0 {
		p.first = second + 1
	}
	if p.first+len(timesteps) >= len(levels) {
		return path{}, errors.New("the noise levels fall on the same timestep: use fewer steps or another beta_schedule or spacing")
	}
	for i := range timesteps {
		if !(p.from(i) > 0) || math.IsInf(p.from(i), 0) {
			return path{}, fmt.Errorf("no noise level at timestep %v: check the betas, sigma_min and sigma_max", timesteps[i])
		}
	}
	return p, nil
}

func (p path) from(i int) float64 { return p.levels[p.first+i] }

func (p path) to(i int) float64 { return p.levels[p.first+i+1] }
