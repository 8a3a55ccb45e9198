package merge

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"regft/models/nn"
)

func model(values ...float32) nn.Arrays {
	return nn.Arrays{"w": {Shape: []int{len(values)}, Values: values}}
}

// TestPublishedAlphas: at these, 1 − alpha rounds differently in float32 than from float64.
func TestPublishedAlphas(t *testing.T) {
	for _, alpha := range []float64{0.6, 0.8, 0.9} {
		merged, err := Linear(model(1), model(0), alpha)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := merged["w"].Values[0], float32(1-alpha); got != want || got == 1-float32(alpha) {
			t.Errorf("alpha %g: the first model's weight is %v, want %v", alpha, got, want)
		}
	}
}

// TestRoundsSeparately: each operation rounds, as exact arithmetic rounded to float32 says.
func TestRoundsSeparately(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := rapid.Float32Range(-8, 8).Draw(t, "x"), rapid.Float32Range(-8, 8).Draw(t, "y")
		alpha := rapid.Float64Range(0, 1).Draw(t, "alpha")
		merged, err := Linear(model(x), model(y), alpha)
		if err != nil {
			t.Fatal(err)
		}
		// float64 holds products of float32s exactly, and its sum of two float32s, rounded again, is float32's.
		p := float32(float64(float32(1-alpha)) * float64(x))
		q := float32(float64(float32(alpha)) * float64(y))
		if want := float32(float64(p) + float64(q)); merged["w"].Values[0] != want {
			t.Fatalf("got %v, want %v", merged["w"].Values[0], want)
		}
	})
}

func TestEndsAreTheModels(t *testing.T) {
	from, to := model(1.1, -2.2, 0), model(3.3, float32(math.Pi), 1)
	for alpha, want := range map[float64]nn.Arrays{0: from, 1: to} {
		merged, err := Linear(from, to, alpha)
		if err != nil || !slices.Equal(merged["w"].Values, want["w"].Values) {
			t.Errorf("alpha %g: got %v, %v, want %v", alpha, merged, err, want)
		}
	}
}

func TestModelsThatDoNotMatch(t *testing.T) {
	for want, pair := range map[string][2]nn.Arrays{
		`second has no parameter "w"`:                {model(1), {}},
		`first has no parameter "w"`:                 {{}, model(1)},
		`"w" is [1] in the first and [2] in the sec`: {model(1), model(1, 2)},
	} {
		if _, err := Linear(pair[0], pair[1], 0.5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestMethodsRefuseWhatDoesNotMatch(t *testing.T) {
	a, b, list := model(1), model(1, 2), []nn.Arrays{model(1), model(1, 2)}
	for name, merge := range map[string]func() (nn.Arrays, error){
		"models of a soup":   func() (nn.Arrays, error) { return UniformSoup(list) },
		"no models":          func() (nn.Arrays, error) { return UniformSoup(nil) },
		"greedy ingredients": func() (nn.Arrays, error) { return GreedySoup(list) },
		"task vectors":       func() (nn.Arrays, error) { return TaskArithmetic(a, list, 1) },
		"averages":           func() (nn.Arrays, error) { return EMA(a, list, 0.9) },
		"ties":               func() (nn.Arrays, error) { return TIES(a, list, 1, 0.2, Mean) },
		"keep":               func() (nn.Arrays, error) { return TIES(a, list[:1], 1, 1.5, Mean) },
		"aggregate":          func() (nn.Arrays, error) { return TIES(a, list[:1], 1, 0.2, "median") },
		"lines":              func() (nn.Arrays, error) { return LiNeS(a, list, Layering{From: 1, Layers: 1}) },
		"fishers":            func() (nn.Arrays, error) { return FisherWeighted(a, a, a, nn.Arrays{}, 0.5, 0) },
		"fisher's shape":     func() (nn.Arrays, error) { return FisherWeighted(a, a, b, b, 0.5, 0) },
	} {
		if _, err := merge(); err == nil {
			t.Errorf("%s that do not match were merged", name)
		}
	}
}

// TestKeepAll: at keep 1 nothing is trimmed, where the published code fails.
func TestKeepAll(t *testing.T) {
	got, err := TIES(model(0, 0, 0), []nn.Arrays{model(1, -2, 0.5)}, 1, 1, Sum)
	if err != nil || !slices.Equal(got["w"].Values, []float32{1, -2, 0.5}) {
		t.Errorf("got %v, %v, want the whole task vector", got, err)
	}
}

func TestLayerBeyondTheLast(t *testing.T) {
	m := nn.Arrays{"layers.2.weight": {Shape: []int{1}, Values: []float32{1}}}
	if _, err := LiNeS(m, []nn.Arrays{m}, Layering{From: 1, Layers: 2}); err == nil {
		t.Error("layer 2 of 2 was scaled")
	}
}
