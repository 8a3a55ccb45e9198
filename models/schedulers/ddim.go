package schedulers

import (
	"errors"
	"fmt"
	"math"
)

// Denoising Diffusion Implicit Models: Song, Meng & Ermon, arXiv 2010.02502, with η = 0.

func init() {
	registerClass("DDIMScheduler", newDDIM)
	// Stable Diffusion's latents are not in [-1, 1].
	registerName("ddim", "DDIMScheduler", map[string]any{"clip_sample": false})
}

type ddimConfig struct {
	training
	clipping
	SetAlphaToOne       bool `json:"set_alpha_to_one"`
	RescaleBetasZeroSNR bool `json:"rescale_betas_zero_snr"`
}

type ddim struct {
	unscaled
	config ddimConfig
	steps  []ddimStep
}

// ddimStep holds ᾱ before and after a step.
type ddimStep struct{ from, to float64 }

func newDDIM(text []byte, n int) (Scheduler, error) {
	config := ddimConfig{training: trainingDefaults("leading"), SetAlphaToOne: true,
		clipping: clipping{limits: limitDefaults, ClipSample: true, ClipSampleRange: 1}}
	if err := read(text, &config); err != nil {
		return nil, err
	}
	err := errors.Join(config.validate(epsilonPrediction, samplePrediction, vPrediction), config.clipping.validate(), config.atMostTrained(n))
	if err != nil {
		return nil, err
	}
	alphas, err := config.alphasCumprod(config.RescaleBetasZeroSNR)
	if err != nil {
		return nil, err
	}
	final := alphas.final(config.SetAlphaToOne)
	timesteps := config.timesteps(n)
	s := &ddim{unscaled: unscaled{timesteps: floats(timesteps)}, config: config}
	for _, t := range timesteps {
		from, err := alphas.at(t)
		if err != nil {
			return nil, err
		}
		to, err := alphas.before(t-config.NumTrainTimesteps/n, final)
		if err != nil {
			return nil, err
		}
		if err := config.canSplit(from, t, config.clips()); err != nil {
			return nil, err
		}
		s.shares, s.steps = append(s.shares, from), append(s.steps, ddimStep{from, to})
	}
	return s, nil
}

// Step is equation 12: the predicted data, and the direction that points to x_t.
func (s *ddim) Step(model []float32, i int, x []float32, _ func(dst []float32)) []float32 {
	step := s.steps[i]
	x0, epsilon := s.config.PredictionType.split(model, x, math.Sqrt(step.from), math.Sqrt(1-step.from))
	s.config.apply(x0)
	alpha, sigma := math.Sqrt(step.to), math.Sqrt(1-step.to)
	out := make([]float32, len(x))
	for j := range out {
		out[j] = float32(alpha*x0[j] + sigma*epsilon[j])
	}
	return out
}

// canSplit refuses a timestep without signal, where predicted noise cannot be turned into data, unless that is clipped
// afterwards.
func (c training) canSplit(alphaBar float64, t int, clips bool) error {
	if alphaBar <= 0 && c.PredictionType == epsilonPrediction && !clips {
		return fmt.Errorf("no data is left at timestep %d (rescale_betas_zero_snr), so prediction_type epsilon cannot start there: use timestep_spacing leading", t)
	}
	if !(alphaBar >= 0 && alphaBar <= 1) {
		return fmt.Errorf("betas leave a share of %v of the data at timestep %d: check beta_start, beta_end and trained_betas", alphaBar, t)
	}
	return nil
}
