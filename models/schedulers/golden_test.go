package schedulers

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regft/models/internal/golden"
	"regft/models/rng"
)

// The goldens are runs of diffusers' schedulers on a model that is a formula: every timestep and every sample.

type goldenCase struct {
	Key       string
	Scheduler string
	Steps     int
	Seed      uint64
	Start     int       // the first call, where the run starts from data
	Timesteps []float64 // from there on
	Options   map[string]any
	Config    map[string]any
}

type goldenFile struct{ Cases, Refused []goldenCase }

func readGolden(t *testing.T, dir string) goldenFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file goldenFile
	if err := json.Unmarshal(quoteNonFinite(text), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s has no cases", dir)
	}
	return file
}

func TestGolden(t *testing.T) {
	dir := golden.Dir(t, "schedulers")
	tensors := golden.Open(t, dir)
	for _, c := range readGolden(t, dir).Cases {
		t.Run(c.Key, func(t *testing.T) {
			s := fromGolden(t, c)
			want := tensors.Float32s(c.Key + ".timesteps")
			if got := float32s(s.Timesteps()); !slices.Equal(got, want) {
				t.Fatalf("timesteps: got %v, want %v", got, want)
			}
			checkSamples(t, s, c.Seed, tensors.Float32s(c.Key+".samples"))
		})
	}
}

// TestGoldenOptions runs the options that the first golden lacks. Fractional timesteps between unevenly spaced noise levels
// hang on the last bit of a square root, which depends on the processor.
func TestGoldenOptions(t *testing.T) {
	dir := golden.Dir(t, "schedulers-options")
	tensors := golden.Open(t, dir)
	for _, c := range readGolden(t, dir).Cases {
		t.Run(c.Key, func(t *testing.T) {
			s := fromGolden(t, c)
			got, want := float32s(s.Timesteps()), tensors.Float32s(c.Key+".timesteps")
			equal := func(a, b float32) bool { return a == b || math.Abs(float64(a-b)) < 1e-6*math.Abs(float64(b)) }
			if !slices.EqualFunc(got, want, equal) {
				t.Fatalf("timesteps: got %v, want %v", got, want)
			}
			checkSamples(t, s, c.Seed, tensors.Float32s(c.Key+".samples"))
		})
	}
}

// TestGoldenStrength runs from data with noise on, as image to image does.
func TestGoldenStrength(t *testing.T) {
	dir := golden.Dir(t, "schedulers-strength")
	tensors := golden.Open(t, dir)
	for _, c := range readGolden(t, dir).Cases {
		t.Run(c.Key, func(t *testing.T) {
			s := fromGolden(t, c)
			if err := s.Start(c.Start); err != nil {
				t.Fatal(err)
			}
			if got := s.Timesteps()[c.Start:]; !slices.Equal(got, c.Timesteps) {
				t.Fatalf("timesteps: got %v, want %v", got, c.Timesteps)
			}
			want := tensors.Float32s(c.Key)
			size := len(want) / (len(c.Timesteps) + 2)
			generator := rng.New(c.Seed)
			data := draw(generator.Randn, size)
			near(t, "data", data, want[:size])
			x := s.AddNoise(data, draw(generator.Randn, size), c.Start)
			near(t, "start", x, want[size:2*size])
			for k, time := range c.Timesteps {
				x = s.Step(formula(s.ScaleInput(x, c.Start+k), time), c.Start+k, x, generator.Randn)
				near(t, "step", x, want[(k+2)*size:(k+3)*size])
				if t.Failed() {
					t.Fatalf("at step %d, timestep %v", k, time)
				}
			}
		})
	}
}

func TestGoldenRefused(t *testing.T) {
	for _, c := range readGolden(t, golden.Dir(t, "schedulers")).Refused {
		parts := strings.Split(c.Key, ".") // SCHEDULER.PREDICTION.STEPS.OPTION
		steps, err := strconv.Atoi(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		config := map[string]any{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": parts[1]}
		maps.Copy(config, c.Options)
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := FromConfig(text, parts[0], steps); err == nil {
			t.Errorf("%s with %v: no error", c.Key, c.Options)
		}
	}
	for _, c := range readGolden(t, golden.Dir(t, "schedulers-options")).Refused {
		if _, err := FromConfig(own(t, c), "", c.Steps); err == nil {
			t.Errorf("%s with %v: no error", c.Key, c.Options)
		}
	}
}

// fromGolden makes the case's scheduler. Its configuration is complete, and options may contradict the overrides of the name.
func fromGolden(t *testing.T, c goldenCase) Scheduler {
	t.Helper()
	s, err := FromConfig(own(t, c), "", c.Steps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own returns the case's configuration as a checkpoint whose own scheduler it is.
func own(t *testing.T, c goldenCase) []byte {
	t.Helper()
	config := maps.Clone(c.Config)
	config["_class_name"] = named[c.Scheduler].class
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func float32s(values []float64) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}

// checkSamples repeats the golden's run: samples holds the latents before the first step and after each one.
func checkSamples(t *testing.T, s Scheduler, seed uint64, samples []float32) {
	t.Helper()
	size := len(samples) / (len(s.Timesteps()) + 1)
	if size*(len(s.Timesteps())+1) != len(samples) || size == 0 {
		t.Fatalf("%d golden values are no trace of %d steps", len(samples), len(s.Timesteps()))
	}
	generator := rng.New(seed)
	x := draw(generator.Randn, size)
	for j := range x {
		x[j] *= float32(s.InitNoiseSigma())
	}
	near(t, "start", x, samples[:size])
	for i, time := range s.Timesteps() {
		x = s.Step(formula(s.ScaleInput(x, i), time), i, x, generator.Randn)
		near(t, "step", x, samples[(i+1)*size:(i+2)*size])
		if t.Failed() {
			t.Fatalf("at step %d, timestep %v", i, time)
		}
	}
}

// formula is the goldens' model.
func formula(x []float32, time float64) []float32 {
	out := make([]float32, len(x))
	for j, v := range x {
		out[j] = float32(math.Sin(3*float64(v))*math.Cos(time/250) - 0.2*float64(v))
	}
	return out
}

// near compares within 1e-4 of the largest value. Where the reference broke down, ours must not.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	largest, worst := 0.0, 0.0
	for j, w := range want {
		if math.IsNaN(float64(w)) {
			w = got[j]
		}
		largest = max(largest, math.Abs(float64(w)))
		worst = max(worst, math.Abs(float64(got[j])-float64(w)))
	}
	if !(worst <= 1e-4*largest) {
		t.Errorf("%s: off by %.2g of the largest value %.3g", what, worst/largest, largest)
	}
}
