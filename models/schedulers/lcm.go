package schedulers

import (
	"errors"
	"fmt"
	"math"
)

// Latent Consistency Models: Luo et al., arXiv 2310.04378, multistep sampling (algorithm 3).

func init() {
	registerClass("LCMScheduler", newLCM)
	registerName("lcm", "LCMScheduler", nil)
}

type lcmConfig struct {
	training
	clipping
	OriginalInferenceSteps int     `json:"original_inference_steps"`
	SetAlphaToOne          bool    `json:"set_alpha_to_one"`
	TimestepScaling        float64 `json:"timestep_scaling"`
	RescaleBetasZeroSNR    bool    `json:"rescale_betas_zero_snr"`
}

type lcm struct {
	unscaled
	config lcmConfig
	steps  []lcmStep
}

// lcmStep holds ᾱ before and after a step, and the scalings of the boundary condition.
type lcmStep struct{ from, to, skip, out float64 }

func newLCM(text []byte, n int) (Scheduler, error) {
	config := lcmConfig{training: trainingDefaults("leading"), SetAlphaToOne: true, TimestepScaling: 10, OriginalInferenceSteps: 50,
		clipping: clipping{limits: limitDefaults, ClipSampleRange: 1}}
	config.BetaStart, config.BetaEnd, config.BetaSchedule = 0.00085, 0.012, "scaled_linear"
	if err := read(text, &config); err != nil {
		return nil, err
	}
	err := errors.Join(config.validate(epsilonPrediction, samplePrediction, vPrediction), config.clipping.validate(), config.validateSteps(n))
	if err != nil {
		return nil, err
	}
	alphas, err := config.alphasCumprod(config.RescaleBetasZeroSNR)
	if err != nil {
		return nil, err
	}
	timesteps := config.inferenceTimesteps(n)
	s := &lcm{unscaled: unscaled{timesteps: floats(timesteps)}, config: config}
	for i, t := range timesteps {
		next := timesteps[min(i+1, n-1)]
		step, err := config.step(alphas, t, next)
		if err != nil {
			return nil, err
		}
		s.shares, s.steps = append(s.shares, step.from), append(s.steps, step)
	}
	return s, nil
}

func (c lcmConfig) validateSteps(n int) error {
	if c.OriginalInferenceSteps < 1 || c.OriginalInferenceSteps > c.NumTrainTimesteps {
		return fmt.Errorf("original_inference_steps %d is not between 1 and num_train_timesteps %d", c.OriginalInferenceSteps, c.NumTrainTimesteps)
	}
	if n > c.OriginalInferenceSteps {
		return fmt.Errorf("more steps than original_inference_steps %d, on which the model was distilled", c.OriginalInferenceSteps)
	}
	return nil
}

// inferenceTimesteps picks n of the timesteps of distillation, evenly, from the last one on.
func (c lcmConfig) inferenceTimesteps(n int) []int {
	skip := c.NumTrainTimesteps / c.OriginalInferenceSteps
	out := make([]int, n)
	for i := range out {
		index := int(float64(i) * (float64(c.OriginalInferenceSteps) / float64(n)))
		out[i] = (c.OriginalInferenceSteps-index)*skip - 1
	}
	return out
}

func (c lcmConfig) step(alphas alphasCumprod, t, next int) (lcmStep, error) {
	from, err := alphas.at(t)
	if err != nil {
		return lcmStep{}, err
	}
	to, err := alphas.before(next, alphas.final(c.SetAlphaToOne))
	if err != nil {
		return lcmStep{}, err
	}
	const dataVariance = 0.5 * 0.5
	scaled := float64(t) * c.TimestepScaling
	norm := scaled*scaled + dataVariance
	return lcmStep{from, to, dataVariance / norm, scaled / math.Sqrt(norm)}, c.canSplit(from, t, c.clips())
}

// Step predicts the data and, but for the last step, adds noise again for the next timestep.
func (s *lcm) Step(model []float32, i int, x []float32, noise func(dst []float32)) []float32 {
	step := s.steps[i]
	x0, _ := s.config.PredictionType.split(model, x, math.Sqrt(step.from), math.Sqrt(1-step.from))
	s.config.apply(x0)
	out := make([]float32, len(x))
	for j := range out {
		out[j] = float32(step.out*x0[j] + step.skip*float64(x[j]))
	}
	if i == len(s.steps)-1 {
		return out
	}
	alpha, sigma := math.Sqrt(step.to), math.Sqrt(1-step.to)
	for j, z := range draw(noise, len(x)) {
		out[j] = float32(alpha*float64(out[j]) + sigma*float64(z))
	}
	return out
}
