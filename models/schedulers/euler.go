package schedulers

import (
	"errors"
	"math"
	"slices"
)

// Euler's method on the probability flow ODE in the noise level: Karras et al., arXiv 2206.00364, algorithm 2 without
// churn.

func init() {
	registerClass("EulerDiscreteScheduler", newEuler)
	registerName("euler", "EulerDiscreteScheduler", nil)
}

type eulerConfig struct {
	training
	levels
	InterpolationType   string   `json:"interpolation_type"`
	SigmaMin            *float64 `json:"sigma_min"`
	SigmaMax            *float64 `json:"sigma_max"`
	TimestepType        string   `json:"timestep_type"`
	RescaleBetasZeroSNR bool     `json:"rescale_betas_zero_snr"`
}

// exploding is the part of schedulers whose latents are data plus noise of level σ, up to hundreds: the model sees
// them scaled to unit variance.
type exploding struct {
	path
	timesteps []float64
	spacing   string
}

// Timesteps returns the time of each model call.
func (s exploding) Timesteps() []float64 { return s.timesteps }

// InitNoiseSigma returns the first noise level, or the norm of data and noise for leading timesteps.
func (s exploding) InitNoiseSigma() float64 {
	sigma := slices.Max(s.levels)
	if s.spacing == "leading" {
		return math.Sqrt(sigma*sigma + 1)
	}
	return sigma
}

// Start lets call 0 have the first noise level.
func (s *exploding) Start(int) error {
	s.first = 0
	return nil
}

// AddNoise returns data + σ·noise.
func (s exploding) AddNoise(data, noise []float32, i int) []float32 {
	return blend(data, noise, 1, s.from(i))
}

// ScaleInput returns x divided by √(σ²+1).
func (s exploding) ScaleInput(x []float32, i int) []float32 {
	norm := math.Hypot(s.from(i), 1)
	out := make([]float32, len(x))
	for j := range out {
		out[j] = float32(float64(x[j]) / norm)
	}
	return out
}

// denoised returns the data that the model predicts in x of noise level sigma.
func (p prediction) denoised(model, x []float32, sigma float32) []float32 {
	out := make([]float32, len(x))
	norm := float32(sigma*sigma) + 1
	for j := range out {
		switch p {
		case epsilonPrediction:
			out[j] = x[j] - float32(sigma*model[j])
		case vPrediction:
			out[j] = float32(model[j]*(-sigma/sqrt32(norm))) + x[j]/norm
		default:
			out[j] = model[j]
		}
	}
	return out
}

// follow goes along the derivative (x-x₀)/σ from one noise level to another. It rounds as the reference does: with the
// cosine schedule x falls from 10⁴ to 10 in one step, and what is lost then is more than the goldens allow.
func (p prediction) follow(model, x []float32, from, to float32) []float32 {
	out := p.denoised(model, x, from)
	for j, x0 := range out {
		derivative := (x[j] - x0) / from
		out[j] = x[j] + float32(derivative*(to-from))
	}
	return out
}

// exploding spaces float32 timesteps for n steps, linspace with fractions.
func (c training) explodingTimesteps(n int) []float64 {
	if c.TimestepSpacing != "linspace" {
		return floats(c.timesteps(n))
	}
	out := linspace(0, float64(c.NumTrainTimesteps-1), n)
	for i, t := range out {
		out[i] = float64(float32(t))
	}
	return backwards(out)
}

type euler struct {
	exploding
	prediction prediction
}

func newEuler(text []byte, n int) (Scheduler, error) {
	config := eulerConfig{training: trainingDefaults("linspace"), levels: levels{FinalSigmasType: "zero"},
		InterpolationType: "linear", TimestepType: "discrete"}
	if err := read(text, &config); err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	table, err := config.sigmas(config.RescaleBetasZeroSNR)
	if err != nil {
		return nil, err
	}
	timesteps, sigmas := config.space(table, n)
	sigmas = append(sigmas, config.last(table))
	steps, err := newPath(timesteps, sigmas)
	if err != nil {
		return nil, err
	}
	return &euler{exploding{steps, timesteps, config.TimestepSpacing}, config.PredictionType}, nil
}

func (c eulerConfig) validate() error {
	return errors.Join(
		c.training.validate(epsilonPrediction, vPrediction, samplePrediction, "original_sample"),
		c.levels.validate(),
		oneOf("interpolation_type", c.InterpolationType, "linear", "log_linear"),
		oneOf("timestep_type", c.TimestepType, "discrete", "continuous"))
}

// space returns the times of n steps and their noise levels.
func (c eulerConfig) space(table sigmaTable, n int) (timesteps, sigmas []float64) {
	timesteps = c.explodingTimesteps(n)
	sigmas = table.at(timesteps)
	if c.InterpolationType == "log_linear" {
		sigmas = logLinear(table, n)
	}
	first, last := sigmas[0], sigmas[len(sigmas)-1]
	if c.SigmaMax != nil {
		first = *c.SigmaMax
	}
	if c.SigmaMin != nil {
		last = *c.SigmaMin
	}
	switch {
	case c.UseKarrasSigmas:
		sigmas = karras(first, last, n)
		timesteps = table.times(sigmas)
	case c.UseExponentialSigmas:
		sigmas = exponential(first, last, n)
		timesteps = table.times(sigmas)
	}
	if c.TimestepType == "continuous" && c.PredictionType == vPrediction {
		timesteps = make([]float64, len(sigmas))
		for i, sigma := range sigmas {
			timesteps[i] = 0.25 * float64(float32(math.Log(float64(float32(sigma)))))
		}
	}
	for i, t := range timesteps {
		timesteps[i] = float64(float32(t))
	}
	return timesteps, sigmas
}

// logLinear spaces n+1 levels over the whole table evenly in log σ: one to spare.
func logLinear(table sigmaTable, n int) []float64 {
	logs := table.logs()
	out := make([]float64, n+1)
	for i, logSigma := range linspace32(logs[len(logs)-1], logs[0], n+1) {
		out[i] = float64(float32(math.Exp(float64(logSigma))))
	}
	return out
}

// Step follows the derivative to the next noise level.
func (s *euler) Step(model []float32, i int, x []float32, _ func(dst []float32)) []float32 {
	return s.prediction.follow(model, x, float32(s.from(i)), float32(s.to(i)))
}
