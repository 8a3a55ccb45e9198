package schedulers

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// DPM-Solver and DPM-Solver++, multistep: Lu et al., arXiv 2206.00927 and 2211.01095. x_t = α_t·x₀ + σ_t·ε, and
// λ = log(α/σ) is the time in which steps are measured.

func init() {
	registerClass("DPMSolverMultistepScheduler", newDPMSolverMultistep)
	registerName("dpmpp_2m", "DPMSolverMultistepScheduler", nil)
	registerName("dpmpp_2m_karras", "DPMSolverMultistepScheduler", map[string]any{"use_karras_sigmas": true})
}

type dpmConfig struct {
	training
	limits
	levels
	SolverOrder         int     `json:"solver_order"`
	AlgorithmType       string  `json:"algorithm_type"`
	SolverType          string  `json:"solver_type"`
	LowerOrderFinal     bool    `json:"lower_order_final"`
	EulerAtFinal        bool    `json:"euler_at_final"`
	UseLuLambdas        bool    `json:"use_lu_lambdas"`
	UseFlowSigmas       bool    `json:"use_flow_sigmas"`
	LambdaMinClipped    number  `json:"lambda_min_clipped"`
	VarianceType        *string `json:"variance_type"`
	RescaleBetasZeroSNR bool    `json:"rescale_betas_zero_snr"`
}

type dpmSolver struct {
	unscaled
	path
	config  dpmConfig
	start   int         // the first call
	outputs [][]float64 // converted model outputs, the newest first, at most three
}

func newDPMSolverMultistep(text []byte, n int) (Scheduler, error) {
	config := dpmConfig{training: trainingDefaults("linspace"), limits: limitDefaults, levels: levels{FinalSigmasType: "zero"},
		SolverOrder: 2, AlgorithmType: "dpmsolver++", SolverType: "midpoint", LowerOrderFinal: true, LambdaMinClipped: number(math.Inf(-1))}
	if err := read(text, &config); err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.rename()
	table, err := config.sigmas(config.RescaleBetasZeroSNR)
	if err != nil {
		return nil, err
	}
	timesteps, sigmas, err := config.space(table, n)
	if err != nil {
		return nil, err
	}
	steps, err := newPath(timesteps, append(sigmas, config.last(table)))
	if err != nil {
		return nil, err
	}
	s := &dpmSolver{unscaled: unscaled{timesteps: timesteps}, path: steps, config: config}
	return s, s.checkSteps()
}

func (c dpmConfig) validate() error {
	err := errors.Join(
		c.training.validate(epsilonPrediction, samplePrediction, vPrediction),
		c.limits.validate(),
		c.levels.validate(),
		oneOf("algorithm_type", c.AlgorithmType, "dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver", "deis"),
		oneOf("solver_type", c.SolverType, "midpoint", "heun", "logrho", "bh1", "bh2"))
	switch {
	case err != nil:
		return err
	case c.SolverOrder < 1 || c.SolverOrder > 3:
		return fmt.Errorf("solver_order %d is not implemented: want 1, 2 or 3", c.SolverOrder)
	case c.UseFlowSigmas:
		return errors.New("use_flow_sigmas true is not implemented: these are not flow-matching models")
	case c.VarianceType != nil:
		return fmt.Errorf("variance_type %q is not implemented: want null", *c.VarianceType)
	case c.FinalSigmasType == "zero" && !c.predictsData():
		return fmt.Errorf("final_sigmas_type zero is not defined for algorithm_type %s: want sigma_min", c.AlgorithmType)
	}
	return nil
}

// rename replaces the options of kindred schedulers as diffusers does.
func (c *dpmConfig) rename() {
	if c.AlgorithmType == "deis" {
		c.AlgorithmType = "dpmsolver++"
	}
	if c.SolverType != "heun" {
		c.SolverType = "midpoint"
	}
}

// predictsData tells DPM-Solver++, which integrates predictions of x₀, from DPM-Solver, which integrates those of ε.
func (c dpmConfig) predictsData() bool {
	return c.AlgorithmType == "dpmsolver++" || c.AlgorithmType == "sde-dpmsolver++"
}

func (c dpmConfig) stochastic() bool {
	return c.AlgorithmType == "sde-dpmsolver++" || c.AlgorithmType == "sde-dpmsolver"
}

// space returns the times of n steps and their noise levels.
func (c dpmConfig) space(table sigmaTable, n int) (timesteps, sigmas []float64, err error) {
	first, last := table[len(table)-1], table[0]
	logs := table.logs()
	round := math.RoundToEven
	switch {
	case c.UseKarrasSigmas:
		sigmas = karras(first, last, n)
	case c.UseLuLambdas: // evenly in log σ, with ρ = 1
		sigmas = linspace(logs[len(logs)-1], logs[0], n)
		for i, logSigma := range sigmas {
			sigmas[i] = math.Exp(logSigma)
		}
	case c.UseExponentialSigmas:
		sigmas, round = exponential(first, last, n), math.Trunc
	default:
		timesteps, err = c.solverTimesteps(table, n)
		return timesteps, table.at(timesteps), err
	}
	if c.BetaSchedule == "squaredcos_cap_v2" {
		round = math.Trunc
	}
	timesteps = table.times(sigmas)
	for i, t := range timesteps {
		timesteps[i] = round(t)
	}
	return timesteps, sigmas, nil
}

// solverTimesteps leaves out one time more than other schedulers do: the last step leads to it. Clipping leaves out those
// that are nearly all noise, for the cosine schedule.
func (c dpmConfig) solverTimesteps(table sigmaTable, n int) ([]float64, error) {
	last := c.NumTrainTimesteps - c.clipped(table)
	if last < 1 {
		return nil, fmt.Errorf("lambda_min_clipped %v leaves no timestep", c.LambdaMinClipped)
	}
	switch c.TimestepSpacing {
	case "linspace":
		return floats(backwards(rounded(linspace(0, float64(last-1), n+1)))[:n]), nil
	case "leading":
		return floats(leading(last/(n+1), n+1, c.StepsOffset)[:n]), nil
	default:
		return floats(trailing(last, float64(c.NumTrainTimesteps)/float64(n))), nil
	}
}

// clipped counts the timesteps whose λ is below lambda_min_clipped.
func (c dpmConfig) clipped(table sigmaTable) int {
	count := 0
	for _, sigma := range slices.Backward(table) {
		if -math.Log(sigma) >= float64(c.LambdaMinClipped) {
			break
		}
		count++
	}
	return count
}

// checkSteps refuses steps of an order that has no formula, and steps of no length where the formula divides by it: noise
// levels may end with the same twice.
func (s *dpmSolver) checkSteps() error {
	for i := range s.timesteps {
		if s.order(i) == 3 && s.config.AlgorithmType == "sde-dpmsolver" {
			return errors.New("solver_order 3 is not defined for algorithm_type sde-dpmsolver")
		}
		midpoint := s.order(i) == 2 && s.config.SolverType == "midpoint"
		if s.from(i) == s.to(i) && s.order(i) > 1 && !midpoint {
			return fmt.Errorf("step %d has no length, which solver_order %d of solver_type %s divides by: use final_sigmas_type zero",
				i+1, s.config.SolverOrder, s.config.SolverType)
		}
	}
	return nil
}

// level is a noise level in the three forms that the solver needs.
type level struct{ alpha, sigma, lambda float64 }

func newLevel(sigma float64) level {
	alpha := 1 / math.Sqrt(sigma*sigma+1)
	return level{alpha, sigma * alpha, -math.Log(sigma)}
}

// Start lets orders rise from call i on.
func (s *dpmSolver) Start(i int) error {
	s.start, s.first = i, 0
	return nil
}

// AddNoise returns α·data + σ·noise.
func (s *dpmSolver) AddNoise(data, noise []float32, i int) []float32 {
	at := newLevel(s.from(i))
	return blend(data, noise, at.alpha, at.sigma)
}

// Step converts the model's output, and extrapolates from as many of them as the order at this step allows.
func (s *dpmSolver) Step(model []float32, i int, x []float32, noise func(dst []float32)) []float32 {
	s.remember(s.convert(model, x, newLevel(s.from(i))))
	var z []float32
	if s.config.stochastic() {
		z = draw(noise, len(x))
	}
	return s.update(s.order(i), i, x, z)
}

func (s *dpmSolver) remember(output []float64) {
	s.outputs = slices.Insert(s.outputs, 0, output)
	s.outputs = s.outputs[:min(len(s.outputs), 3)]
}

// convert returns the prediction that the algorithm integrates: data or noise.
func (s *dpmSolver) convert(model, x []float32, at level) []float64 {
	x0, epsilon := s.config.PredictionType.split(model, x, at.alpha, at.sigma)
	if s.config.Thresholding {
		s.config.threshold(x0)
		for j := range epsilon {
			epsilon[j] = (float64(x[j]) - at.alpha*x0[j]) / at.sigma
		}
	}
	if s.config.predictsData() {
		return x0
	}
	return epsilon
}

// order is lower while outputs are few, and at the end, where high orders are unstable with few steps.
func (s *dpmSolver) order(i int) int {
	n := len(s.timesteps)
	most := min(s.config.SolverOrder, i-s.start+1)
	few := s.config.LowerOrderFinal && n < 15
	switch {
	case i == n-1 && (s.config.EulerAtFinal || few || s.config.FinalSigmasType == "zero"):
		return 1
	case i == n-2 && few:
		return min(2, most)
	}
	return most
}

// update returns the latents after step i: the last ones, outputs' differences D0, D1 and D2, and noise, each times its
// coefficient.
func (s *dpmSolver) update(order, i int, x, noise []float32) []float32 {
	from, to := newLevel(s.from(i)), newLevel(s.to(i))
	c := s.config.coefficients(order, from, to)
	differences := s.differences(order, i, to.lambda-from.lambda)
	out := make([]float32, len(x))
	for j := range out {
		value := c.ofSample * float64(x[j])
		for k, difference := range differences {
			value += c.ofDifferences[k] * difference[j]
		}
		if noise != nil {
			value += c.ofNoise * float64(noise[j])
		}
		out[j] = float32(value)
	}
	return out
}
