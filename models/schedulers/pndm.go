package schedulers

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Pseudo Numerical Methods for Diffusion Models on Manifolds: Liu et al., arXiv 2202.09778. Stable Diffusion skips its
// Runge-Kutta steps and takes the second timestep twice instead, as in Crowson's PLMS of CompVis/latent-diffusion.

func init() {
	registerClass("PNDMScheduler", newPNDM)
	registerName("pndm", "PNDMScheduler", map[string]any{"skip_prk_steps": true})
}

type pndmConfig struct {
	training
	SkipPRKSteps  bool `json:"skip_prk_steps"`
	SetAlphaToOne bool `json:"set_alpha_to_one"`
}

type pndm struct {
	unscaled
	config  pndmConfig
	alphas  alphasCumprod
	steps   int
	prk     int // the first model calls that are Runge-Kutta's, four a step
	first   int // the call that the run begins with
	moves   []pndmMove
	outputs [][]float32 // of the multistep method, the newest first, at most four
	slopes  [][]float32 // of the Runge-Kutta step under way
	origin  []float32   // the latents at the start of the step under way
}

// pndmMove holds ᾱ before and after a move.
type pndmMove struct{ from, to float64 }

// prkCalls is three Runge-Kutta steps of four calls: after them the multistep method has its three outputs.
const prkCalls = 12

func newPNDM(text []byte, n int) (Scheduler, error) {
	config := pndmConfig{training: trainingDefaults("leading")}
	if err := read(text, &config); err != nil {
		return nil, err
	}
	if err := config.validate(epsilonPrediction, vPrediction); err != nil {
		return nil, err
	}
	alphas, err := config.alphasCumprod(false)
	if err != nil {
		return nil, err
	}
	s := &pndm{config: config, alphas: alphas, steps: n}
	if config.SkipPRKSteps {
		return s, s.Start(0)
	}
	if n < 4 {
		return nil, errors.New("skip_prk_steps false needs at least 4 steps")
	}
	s.prk = prkCalls
	return s, s.plan(config.prkCalls(n))
}

// Start lets the multistep method begin at call i. From a call after the first the reference still takes its second call for
// the repeated one, and so stays a step behind its timesteps.
func (s *pndm) Start(i int) error {
	if s.prk > 0 {
		return errors.New("skip_prk_steps false is not implemented for image to image: name the scheduler pndm, which skips them")
	}
	s.first = i
	return s.plan(s.config.plmsCalls(s.steps, i))
}

// plan sets the calls and the moves that they make.
func (s *pndm) plan(calls []pndmCall) error {
	s.unscaled, s.moves = unscaled{}, nil
	for _, call := range calls {
		move, err := s.config.move(s.alphas, call.from, call.to)
		if err != nil {
			return err
		}
		share, err := s.alphas.at(call.at)
		if err != nil {
			return err
		}
		s.timesteps, s.shares = append(s.timesteps, float64(call.at)), append(s.shares, share)
		s.moves = append(s.moves, move)
	}
	return nil
}

// pndmCall is a model call at a timestep, and the move that the latents make after it.
type pndmCall struct{ at, from, to int }

// plmsCalls are one call a step, and one more: the second timestep's is repeated to improve the first move, that of call first.
func (c pndmConfig) plmsCalls(n, first int) []pndmCall {
	stride := c.NumTrainTimesteps / n
	timesteps := c.timesteps(n)
	if len(timesteps) > 1 {
		timesteps = slices.Insert(timesteps, 1, timesteps[1])
	}
	calls := make([]pndmCall, len(timesteps))
	for i, t := range timesteps {
		calls[i] = pndmCall{t, t, t - stride}
	}
	if second := first + 1; second < len(calls) {
		t := timesteps[second]
		calls[second] = pndmCall{t, t + stride, t}
	}
	return calls
}

// prkCalls are three steps of four calls (at the start, twice in the middle, at the end), then one call a step.
func (c pndmConfig) prkCalls(n int) []pndmCall {
	stride := c.NumTrainTimesteps / n
	half := stride / 2
	timesteps := c.timesteps(n)
	var calls []pndmCall
	for step := range 3 {
		start, next := timesteps[step], timesteps[step+1]
		middle := next + half
		calls = append(calls,
			pndmCall{start, start, start - half},
			pndmCall{middle, start, middle},
			pndmCall{middle, start, middle - half},
			pndmCall{next, start, next})
	}
	for _, t := range timesteps[3:] {
		calls = append(calls, pndmCall{t, t, t - stride})
	}
	return calls
}

func (c pndmConfig) move(alphas alphasCumprod, from, to int) (pndmMove, error) {
	a, err := alphas.at(from)
	if err != nil {
		return pndmMove{}, err
	}
	b, err := alphas.before(to, alphas.final(c.SetAlphaToOne))
	if err != nil {
		return pndmMove{}, err
	}
	if !(a > 0 && a <= 1) {
		return pndmMove{}, fmt.Errorf("betas leave a share of %v of the data at timestep %d: check beta_start, beta_end and trained_betas", a, from)
	}
	return pndmMove{a, b}, nil
}

// Step takes a call of a Runge-Kutta step or a step of the linear multistep method.
func (s *pndm) Step(model []float32, i int, x []float32, _ func(dst []float32)) []float32 {
	if i < s.prk {
		return s.rungeKutta(model, i, x)
	}
	return s.multistep(model, i, x)
}

// rungeKutta is the pseudo Runge-Kutta method, equation 13: the fourth call weighs the four outputs of its step.
func (s *pndm) rungeKutta(model []float32, i int, x []float32) []float32 {
	if i%4 == 0 {
		s.remember(model)
		s.origin, s.slopes = slices.Clone(x), nil
	}
	s.slopes = append(s.slopes, slices.Clone(model))
	output := weigh([]float64{1}, [][]float32{model})
	if i%4 == 3 {
		output = weigh([]float64{1. / 6, 1. / 3, 1. / 3, 1. / 6}, s.slopes)
	}
	return s.transfer(output, i, s.origin)
}

// adamsBashforth weighs the newest outputs, equation 12, as many as there are.
var adamsBashforth = [][]float64{
	{1},
	{3. / 2, -1. / 2},
	{23. / 12, -16. / 12, 5. / 12},
	{55. / 24, -59. / 24, 37. / 24, -9. / 24},
}

// multistep is the pseudo linear multistep method. Its second call, without Runge-Kutta, goes back to where the first one
// started and takes the mean of both.
func (s *pndm) multistep(model []float32, i int, x []float32) []float32 {
	if i == s.first+1 && s.config.SkipPRKSteps {
		return s.transfer(weigh([]float64{1. / 2, 1. / 2}, [][]float32{model, s.outputs[0]}), i, s.origin)
	}
	if i == s.first {
		s.origin = slices.Clone(x)
	}
	s.remember(model)
	return s.transfer(weigh(adamsBashforth[len(s.outputs)-1], s.outputs), i, x)
}

func (s *pndm) remember(model []float32) {
	s.outputs = slices.Insert(s.outputs, 0, slices.Clone(model))
	s.outputs = s.outputs[:min(len(s.outputs), len(adamsBashforth))]
}

// weigh returns the sum of outputs, each times its weight.
func weigh(weights []float64, outputs [][]float32) []float64 {
	sum := make([]float64, len(outputs[0]))
	for k, weight := range weights {
		for j, value := range outputs[k] {
			sum[j] += weight * float64(value)
		}
	}
	return sum
}

// transfer is φ of equation 11: it moves x by the model's output.
func (s *pndm) transfer(output []float64, i int, x []float32) []float32 {
	a, b := s.moves[i].from, s.moves[i].to
	ofSample := math.Sqrt(b / a)
	ofOutput := (b - a) / (a*math.Sqrt(1-b) + math.Sqrt(a*(1-a)*b))
	out := make([]float32, len(x))
	for j := range out {
		epsilon := output[j]
		if s.config.PredictionType == vPrediction {
			epsilon = math.Sqrt(a)*epsilon + math.Sqrt(1-a)*float64(x[j])
		}
		out[j] = float32(ofSample*float64(x[j]) - ofOutput*epsilon)
	}
	return out
}
