package schedulers

import "fmt"

// Ancestral sampling with Euler's method: Crowson's k-diffusion, sample_euler_ancestral. Each step goes below the next
// noise level and comes back up with fresh noise.

func init() {
	registerClass("EulerAncestralDiscreteScheduler", newEulerAncestral)
	registerName("euler_ancestral", "EulerAncestralDiscreteScheduler", nil)
}

type eulerAncestralConfig struct {
	training
	RescaleBetasZeroSNR bool `json:"rescale_betas_zero_snr"`
}

type eulerAncestral struct {
	exploding
	prediction prediction
}

func newEulerAncestral(text []byte, n int) (Scheduler, error) {
	config := eulerAncestralConfig{training: trainingDefaults("linspace")}
	if err := read(text, &config); err != nil {
		return nil, err
	}
	if err := config.validate(epsilonPrediction, vPrediction); err != nil {
		return nil, err
	}
	table, err := config.sigmas(config.RescaleBetasZeroSNR)
	if err != nil {
		return nil, err
	}
	timesteps := config.explodingTimesteps(n)
	steps, err := newPath(timesteps, append(table.at(timesteps), 0))
	if err != nil {
		return nil, err
	}
	for i := range timesteps {
		if steps.to(i) > steps.from(i) {
			return nil, fmt.Errorf("the noise level rises after timestep %v: check the betas", timesteps[i])
		}
	}
	return &eulerAncestral{exploding{steps, timesteps, config.TimestepSpacing}, config.PredictionType}, nil
}

// Step goes to σ_down by the derivative, and adds noise of deviation σ_up: σ_down² + σ_up² is the next level squared.
func (s *eulerAncestral) Step(model []float32, i int, x []float32, noise func(dst []float32)) []float32 {
	from, to := float32(s.from(i)), float32(s.to(i))
	up := sqrt32(to * to * (float32(from*from) - float32(to*to)) / (from * from))
	down := sqrt32(max(float32(to*to)-float32(up*up), 0))
	out := s.prediction.follow(model, x, from, down)
	for j, z := range draw(noise, len(x)) {
		out[j] += float32(up * z)
	}
	return out
}
