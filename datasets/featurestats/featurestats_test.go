package featurestats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"regft/datasets/featurestats"
)

func gaussian(mean []float64, covariance ...float64) featurestats.Gaussian {
	return featurestats.Gaussian{Mean: mean, Covariance: mat.NewSymDense(len(mean), covariance)}
}

func near(t *testing.T, what string, got, want float64, err error) {
	t.Helper()
	if err != nil || math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s is %v, %v, want %v", what, got, err, want)
	}
}

func TestFit(t *testing.T) {
	g, err := featurestats.Fit([]float32{1, 2, 3, 6, 5, 4}, 2) // (1, 2), (3, 6), (5, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{3, 4} {
		near(t, "a mean", g.Mean[i], want, nil)
	}
	for i, want := range []float64{4, 2, 2, 4} {
		near(t, "a covariance", g.Covariance.At(i/2, i%2), want, nil)
	}
	near(t, "the deviation", g.Deviation(), 2, nil)
	if _, err := featurestats.Fit([]float32{1, 2}, 2); err == nil {
		t.Error("one picture has a covariance")
	}
}

// TestFrechet: of two dimensions there is a closed form, with M = C₁·C₂: tr √M = √(tr M + 2·√(det M)).
func TestFrechet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	covariance := func() [3]float64 {
		a, b := 0.1+r.Float64(), 0.1+r.Float64()
		return [3]float64{a, (2*r.Float64() - 1) * math.Sqrt(a*b), b}
	}
	for range 100 {
		c, d, shift := covariance(), covariance(), r.NormFloat64()
		trace := c[0]*d[0] + 2*c[1]*d[1] + c[2]*d[2]
		det := (c[0]*c[2] - c[1]*c[1]) * (d[0]*d[2] - d[1]*d[1])
		want := shift*shift + c[0] + c[2] + d[0] + d[2] - 2*math.Sqrt(trace+2*math.Sqrt(det))
		a, b := gaussian([]float64{0, 1}, c[0], c[1], c[1], c[2]), gaussian([]float64{shift, 1}, d[0], d[1], d[1], d[2])
		got, err := featurestats.Frechet(a, b)
		near(t, "the distance", got, want, err)
		back, err := featurestats.Frechet(b, a)
		near(t, "the distance back", back, want, err)
	}
	same := gaussian([]float64{1, 2}, 1, 1, 1, 1) // of rank 1
	got, err := featurestats.Frechet(same, same)
	near(t, "the distance to itself", got, 0, err)
	if _, err := featurestats.Frechet(same, gaussian([]float64{1}, 1)); err == nil {
		t.Error("features of two widths have a distance")
	}
}

func TestEffectiveRank(t *testing.T) {
	for want, g := range map[float64]featurestats.Gaussian{
		3: gaussian(make([]float64, 3), 2, 0, 0, 0, 2, 0, 0, 0, 2),
		1: gaussian(make([]float64, 2), 1, 2, 2, 4),
		0: gaussian(make([]float64, 2), 0, 0, 0, 0),
		math.Exp(-0.75*math.Log(0.75) - 0.25*math.Log(0.25)): gaussian(make([]float64, 2), 9, 0, 0, 1),
	} {
		got, err := g.EffectiveRank()
		if err != nil || math.Abs(got-want) > 1e-6 {
			t.Errorf("the effective rank is %v, %v, want %v", got, err, want)
		}
	}
	if _, err := gaussian([]float64{0}, math.NaN()).EffectiveRank(); err == nil {
		t.Error("NaN has an effective rank")
	}
}
