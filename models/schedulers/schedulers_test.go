package schedulers

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"regft/models/internal/golden"
	"regft/models/rng"
)

// published is scheduler_config.json of Stable Diffusion 2.1-base.
const published = `{
  "_class_name": "PNDMScheduler",
  "_diffusers_version": "0.8.0",
  "beta_end": 0.012,
  "beta_schedule": "scaled_linear",
  "beta_start": 0.00085,
  "clip_sample": false,
  "num_train_timesteps": 1000,
  "prediction_type": "epsilon",
  "set_alpha_to_one": false,
  "skip_prk_steps": true,
  "steps_offset": 1,
  "trained_betas": null
}`

// run returns the latents after all steps. With scribble it overwrites each argument after its call.
func run(s Scheduler, scribble bool) []float32 {
	generator := rng.New(3)
	x := draw(generator.Randn, 32)
	for i, time := range s.Timesteps() {
		model := formula(s.ScaleInput(x, i), time)
		next := s.Step(model, i, x, generator.Randn)
		if scribble {
			clear(model)
			clear(x)
		}
		x = next
	}
	return x
}

// A named scheduler takes the file's keys and the defaults of its own class, as the goldens' base configuration has them.
func TestNamedSchedulerTakesTheFilesKeys(t *testing.T) {
	cases := readGolden(t, golden.Dir(t, "schedulers")).Cases
	for _, name := range []string{"pndm", "ddim", "euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_karras", "lcm"} {
		i := slices.IndexFunc(cases, func(c goldenCase) bool {
			return c.Scheduler == name && c.Config["prediction_type"] == "epsilon" && len(c.Options) == 0
		})
		s, err := FromConfig([]byte(published), name, cases[i].Steps)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := run(s, false), run(fromGolden(t, cases[i]), false); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestOverridesOfNames(t *testing.T) {
	config := strings.Replace(published, `"clip_sample": false`, `"clip_sample": true, "use_karras_sigmas": false`, 1)
	config = strings.Replace(config, `"skip_prk_steps": true`, `"skip_prk_steps": false`, 1)
	for name, pair := range map[string][2]string{
		"ddim":            {published, config},
		"ddpm":            {published, config},
		"pndm":            {published, config},
		"dpmpp_2m_karras": {published, config},
	} {
		var results [2][]float32
		for i, text := range pair {
			s, err := FromConfig([]byte(text), name, 10)
			if err != nil {
				t.Fatal(err)
			}
			results[i] = run(s, false)
		}
		if !slices.Equal(results[0], results[1]) {
			t.Errorf("%s depends on a key that it overrides", name)
		}
	}
}

func TestStepKeepsAndChangesNoArgument(t *testing.T) {
	for _, name := range Names() {
		var results [2][]float32
		for i, scribble := range []bool{false, true} {
			s, err := FromConfig([]byte(published), name, 10)
			if err != nil {
				t.Fatal(err)
			}
			results[i] = run(s, scribble)
		}
		if !slices.Equal(results[0], results[1]) {
			t.Errorf("%s keeps an argument", name)
		}
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	for _, c := range []struct {
		key, value, name string
		steps            int
		want             string
	}{
		{"beta_schedule", `"cosine"`, "", 10, `beta_schedule "cosine"`},
		{"beta_start", `"small"`, "", 10, "beta_start is a string, want float64"},
		{"prediction_type", `"sample"`, "", 10, `prediction_type "sample"`},
		{"prediction_type", `"flow_prediction"`, "dpmpp_2m", 10, `prediction_type "flow_prediction"`},
		{"timestep_spacing", `"even"`, "euler", 10, `timestep_spacing "even"`},
		{"num_train_timesteps", "0", "", 10, "num_train_timesteps 0"},
		{"num_train_timesteps", "1000000000", "", 10, "num_train_timesteps 1000000000"},
		{"trained_betas", "[]", "", 10, "trained_betas has 0"},
		{"trained_betas", "[0.1, 0.2]", "ddim", 10, "timestep 901"},
		{"steps_offset", "500", "ddim", 10, "steps_offset"},
		{"use_beta_sigmas", "true", "euler", 10, "use_beta_sigmas true"},
		{"use_exponential_sigmas", "true", "dpmpp_2m_karras", 10, "use_exponential_sigmas"},
		{"final_sigmas_type", `"one"`, "euler", 10, `final_sigmas_type "one"`},
		{"algorithm_type", `"dpmsolver"`, "dpmpp_2m", 10, "final_sigmas_type zero"},
		{"solver_order", "4", "dpmpp_2m", 10, "solver_order 4"},
		{"use_flow_sigmas", "true", "dpmpp_2m", 10, "use_flow_sigmas"},
		{"variance_type", `"learned_range"`, "ddpm", 10, `variance_type "learned_range"`},
		{"rescale_betas_zero_snr", `true, "timestep_spacing": "trailing"`, "ddim", 10, "rescale_betas_zero_snr"},
		{"dynamic_thresholding_ratio", "2", "ddim", 10, "dynamic_thresholding_ratio 2"},
		{"original_inference_steps", "2000", "lcm", 10, "original_inference_steps 2000"},
		{"sigma_max", `-1, "use_karras_sigmas": true`, "euler", 10, "sigma_max"},
		{"skip_prk_steps", "false", "", 3, "at least 4 steps"},
		{"steps_offset", "0", "lcm", 51, "original_inference_steps 50"},
		{"steps_offset", "0", "ddim", 1001, "num_train_timesteps 1000"},
		{"steps_offset", "0", "ddim", 0, "steps must be at least 1"},
		{"steps_offset", "0", "dpmp_2m", 10, "did you mean dpmpp_2m?"},
		{"_class_name", `"HeunDiscreteScheduler"`, "", 10, "HeunDiscreteScheduler"},
		{"_class_name", "1", "", 10, "_class_name"},
	} {
		config := strings.Replace(published, "\n}", ",\n"+`"`+c.key+`": `+c.value+"}", 1)
		if _, err := FromConfig([]byte(config), c.name, c.steps); err == nil {
			t.Errorf("%s %s: no error", c.key, c.value)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: error %q lacks %q", c.key, c.value, err, c.want)
		}
	}
	for _, config := range []string{"", "[]", "{", `{"beta_start": }`} {
		if _, err := FromConfig([]byte(config), "ddim", 10); err == nil {
			t.Errorf("%q: no error", config)
		}
	}
}

func TestStartRefusesRungeKutta(t *testing.T) {
	s, err := FromConfig([]byte(strings.Replace(published, `"skip_prk_steps": true`, `"skip_prk_steps": false`, 1)), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(3); err == nil || !strings.Contains(err.Error(), "skip_prk_steps") {
		t.Errorf("got %v", err)
	}
}

func TestNonFiniteNumbersOfPython(t *testing.T) {
	const config = `{"lambda_min_clipped": -Infinity, "note": "Infinity is \"NaN\"", "x": NaN}`
	var got map[string]any
	if err := json.Unmarshal(quoteNonFinite([]byte(config)), &got); err != nil {
		t.Fatal(err)
	}
	if got["lambda_min_clipped"] != "-Infinity" || got["note"] != `Infinity is "NaN"` || got["x"] != "NaN" {
		t.Errorf("got %v", got)
	}
	if _, err := FromConfig([]byte(config), "dpmpp_2m", 10); err != nil {
		t.Error(err)
	}
}

// FuzzFromConfig checks that no file panics, and that what is accepted runs to finite numbers of steps.
func FuzzFromConfig(f *testing.F) {
	for i := range Names() {
		f.Add([]byte(published), uint8(i), uint8(10))
		f.Add([]byte(`{"timestep_spacing": "trailing", "num_train_timesteps": 7, "steps_offset": -3, "beta_start": 0}`), uint8(i), uint8(3))
	}
	f.Fuzz(func(t *testing.T, config []byte, which, steps uint8) {
		names := append(Names(), "")
		s, err := FromConfig(config, names[int(which)%len(names)], int(steps))
		if err != nil {
			return
		}
		x := run(s, false)
		if len(x) != 32 || len(s.Timesteps()) == 0 || math.IsNaN(s.InitNoiseSigma()) {
			t.Fatalf("%d values after %d calls from noise of %v", len(x), len(s.Timesteps()), s.InitNoiseSigma())
		}
	})
}

func BenchmarkStep(b *testing.B) {
	const size = 4 * 64 * 64 // the latents of one 512×512 picture
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			s, err := FromConfig([]byte(published), name, 20)
			if err != nil {
				b.Fatal(err)
			}
			generator := rng.New(0)
			x := draw(generator.Randn, size)
			for b.Loop() {
				s.Step(x, 0, x, generator.Randn)
			}
		})
	}
}
