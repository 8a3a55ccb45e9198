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
