package schedulers

import (
	"errors"
	"fmt"
	"math"
)

// Denoising Diffusion Probabilistic Models: Ho, Jain & Abbeel, arXiv 2006.11239.

func init() {
	registerClass("DDPMScheduler", newDDPM)
	// Stable Diffusion's latents are not in [-1, 1].
	registerName("ddpm", "DDPMScheduler", map[string]any{"clip_sample": false})
}

type ddpmConfig struct {
	training
	clipping
	VarianceType        string `json:"variance_type"`
	RescaleBetasZeroSNR bool   `json:"rescale_betas_zero_snr"`
}

type ddpm struct {
	unscaled
	config ddpmConfig
	steps  []ddpmStep
}

// ddpmStep holds the coefficients of one step: those of the mean (equation 7) and the noise's deviation, 0 for none.
type ddpmStep struct {
	alpha, sigma      float64 // x_t = alpha·x₀ + sigma·ε
	ofData, ofCurrent float64
	deviation         float64
}

func newDDPM(text []byte, n int) (Scheduler, error) {
	config := ddpmConfig{training: trainingDefaults("leading"), VarianceType: "fixed_small",
		clipping: clipping{limits: limitDefaults, ClipSample: true, ClipSampleRange: 1}}
	if err := read(text, &config); err != nil {
		return nil, err
	}
	err := errors.Join(
		config.validate(epsilonPrediction, samplePrediction, vPrediction), config.clipping.validate(), config.atMostTrained(n),
		// The learned types need a model with twice the channels; fixed_large_log takes the root of a negative number.
		oneOf("variance_type", config.VarianceType, "fixed_small", "fixed_small_log", "fixed_large"))
	if err != nil {
		return nil, err
	}
	alphas, err := config.ddpmAlphas()
	if err != nil {
		return nil, err
	}
	timesteps := config.timesteps(n)
	s := &ddpm{unscaled: unscaled{timesteps: floats(timesteps)}, config: config}
	for i, t := range timesteps {
		previous := -1
		if i+1 < len(timesteps) {
			previous = timesteps[i+1]
		}
		step, err := config.step(alphas, t, previous)
		if err != nil {
			return nil, err
		}
		s.shares, s.steps = append(s.shares, step.alpha*step.alpha), append(s.steps, step)
	}
	return s, nil
}

// ddpmAlphas knows two beta schedules more than other classes.
func (c ddpmConfig) ddpmAlphas() (alphasCumprod, error) {
	if c.TrainedBetas == nil {
		switch c.BetaSchedule {
		case "laplace":
			c.TrainedBetas = widened(betasForAlphaBar(c.NumTrainTimesteps, laplaceAlphaBar))
		case "sigmoid":
			c.TrainedBetas = widened(c.sigmoidBetas())
		}
	}
	return c.alphasCumprod(c.RescaleBetasZeroSNR)
}

// laplaceAlphaBar is the Laplace schedule of Hang et al., "Improved Noise Schedule for Diffusion Training" (arXiv 2407.03297).
func laplaceAlphaBar(t float64) float64 {
	lambda := -0.5 * math.Copysign(1, 0.5-t) * math.Log(1-2*math.Abs(0.5-t)+1e-6)
	snr := math.Exp(lambda)
	return math.Sqrt(snr / (1 + snr))
}

// sigmoidBetas is the schedule of GeoDiff (Xu et al., arXiv 2203.02923).
func (c ddpmConfig) sigmoidBetas() []float32 {
	betas := linspace32(-6, 6, c.NumTrainTimesteps)
	for t, x := range betas {
		sigmoid := float32(1 / (1 + math.Exp(-float64(x))))
		betas[t] = float32(sigmoid*float32(c.BetaEnd-c.BetaStart)) + float32(c.BetaStart)
	}
	return betas
}

func widened(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func (c ddpmConfig) step(alphas alphasCumprod, t, previous int) (ddpmStep, error) {
	from, err := alphas.at(t)
	if err != nil {
		return ddpmStep{}, err
	}
	to, err := alphas.before(previous, 1)
	if err != nil {
		return ddpmStep{}, err
	}
	if err := c.canSplit(from, t, c.clips()); err != nil {
		return ddpmStep{}, err
	}
	if from == 1 {
		return ddpmStep{}, fmt.Errorf("no noise at timestep %d: check beta_start and trained_betas", t)
	}
	// β_t is a small difference: rounded as the reference rounds it, or noise would differ in the fifth digit.
	alphaT := float64(float32(from / to))
	betaT := float64(float32(1 - alphaT))
	step := ddpmStep{
		alpha:     math.Sqrt(from),
		sigma:     math.Sqrt(1 - from),
		ofData:    math.Sqrt(to) * betaT / (1 - from),
		ofCurrent: math.Sqrt(alphaT) * (1 - to) / (1 - from),
	}
	if t > 0 {
		step.deviation = c.deviation((1-to)/(1-from)*betaT, betaT)
	}
	return step, nil
}

// deviation returns the noise's standard deviation from the posterior's variance (equation 7) and β_t.
func (c ddpmConfig) deviation(posterior, beta float64) float64 {
	if c.VarianceType == "fixed_large" {
		return math.Sqrt(beta)
	}
	// fixed_small_log is exp(½·log(variance)): the same.
	return math.Sqrt(max(posterior, 1e-20))
}

// Step draws from the posterior of equation 6.
func (s *ddpm) Step(model []float32, i int, x []float32, noise func(dst []float32)) []float32 {
	step := s.steps[i]
	x0, _ := s.config.PredictionType.split(model, x, step.alpha, step.sigma)
	s.config.apply(x0)
	out := make([]float32, len(x))
	for j := range out {
		out[j] = float32(step.ofData*x0[j] + step.ofCurrent*float64(x[j]))
	}
	if step.deviation == 0 {
		return out
	}
	for j, z := range draw(noise, len(x)) {
		out[j] = float32(float64(out[j]) + step.deviation*float64(z))
	}
	return out
}
