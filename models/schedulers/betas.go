package schedulers

import (
	"fmt"
	"math"
)

// alphasCumprod is ᾱ_t, the share of the data's variance that is left at training timestep t.
type alphasCumprod []float32

// alphasCumprod returns ᾱ_t for all t in the float32 arithmetic of torch. With zeroSNR nothing is left at the
// last timestep.
func (c training) alphasCumprod(zeroSNR bool) (alphasCumprod, error) {
	betas, err := c.betas()
	if err != nil {
		return nil, err
	}
	if zeroSNR {
		rescaleZeroTerminalSNR(betas)
	}
	return cumulate(betas), nil
}

// at returns ᾱ_t. A negative t counts from the end, as in the reference: trailing timesteps may end in -1.
func (a alphasCumprod) at(t int) (float64, error) {
	index := t
	if t < 0 {
		index += len(a)
	}
	if index < 0 || index >= len(a) {
		return 0, fmt.Errorf("timestep %d is not among the %d that the model was trained on: check steps_offset, trained_betas and the number of steps", t, len(a))
	}
	return float64(a[index]), nil
}

// before is at for the timestep that a step leads to; past the first one it is final.
func (a alphasCumprod) before(t int, final float64) (float64, error) {
	if t < 0 {
		return final, nil
	}
	return a.at(t)
}

// final is ᾱ of the data that the last step leads to: 1, or what the first training timestep has.
func (a alphasCumprod) final(setToOne bool) float64 {
	if setToOne {
		return 1
	}
	return float64(a[0])
}

// cumulate returns the running product of 1-β. torch accumulates a float32 cumprod in float64.
func cumulate(betas []float32) alphasCumprod {
	product, out := 1.0, make(alphasCumprod, len(betas))
	for t, beta := range betas {
		product *= float64(1 - beta)
		out[t] = float32(product)
	}
	return out
}

func (c training) betas() ([]float32, error) {
	if c.TrainedBetas != nil {
		betas := make([]float32, len(c.TrainedBetas))
		for t, beta := range c.TrainedBetas {
			betas[t] = float32(beta)
		}
		return betas, nil
	}
	switch c.BetaSchedule {
	case "linear":
		return linspace32(c.BetaStart, c.BetaEnd, c.NumTrainTimesteps), nil
	case "scaled_linear": // of latent diffusion: linear in the square root
		betas := linspace32(math.Sqrt(c.BetaStart), math.Sqrt(c.BetaEnd), c.NumTrainTimesteps)
		for t, root := range betas {
			betas[t] = root * root
		}
		return betas, nil
	case "squaredcos_cap_v2":
		return betasForAlphaBar(c.NumTrainTimesteps, cosineAlphaBar), nil
	}
	return nil, oneOf("beta_schedule", c.BetaSchedule, "linear", "scaled_linear", "squaredcos_cap_v2")
}

// cosineAlphaBar is the cosine schedule of Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic
// Models" (arXiv 2102.09672), equation 17, over t in [0, 1].
func cosineAlphaBar(t float64) float64 {
	cos := math.Cos((t + 0.008) / 1.008 * math.Pi / 2)
	return cos * cos
}

// betasForAlphaBar returns the betas whose running product follows alphaBar, capped at 0.999.
func betasForAlphaBar(n int, alphaBar func(float64) float64) []float32 {
	betas := make([]float32, n)
	for t := range betas {
		from, to := float64(t)/float64(n), float64(t+1)/float64(n)
		betas[t] = float32(min(1-alphaBar(to)/alphaBar(from), 0.999))
	}
	return betas
}

// rescaleZeroTerminalSNR changes betas so that the last timestep is all noise: Lin et al., "Common Diffusion Noise
// Schedules and Sample Steps are Flawed" (arXiv 2305.08891), algorithm 1.
func rescaleZeroTerminalSNR(betas []float32) {
	roots := cumulate(betas)
	for t, a := range roots {
		roots[t] = sqrt32(a)
	}
	first, last := roots[0], roots[len(roots)-1]
	for t := range roots {
		root := (roots[t] - last) * (first / (first - last))
		roots[t] = root * root
	}
	betas[0] = 1 - roots[0]
	for t := 1; t < len(betas); t++ {
		betas[t] = 1 - roots[t]/roots[t-1]
	}
}

// linspace32 is torch.linspace in float32, from both ends to the middle, for n of at least 2.
func linspace32(start, end float64, n int) []float32 {
	out := make([]float32, n)
	first, last := float32(start), float32(end)
	step := (last - first) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = fma(step, float32(i), first)
		} else {
			out[i] = fma(-step, float32(n-1-i), last)
		}
	}
	return out
}
