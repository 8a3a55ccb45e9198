package builtin_test

import (
	"math"
	"testing"

	"regft/stages"
)

// TestOutputEnsemble: the mean of two classifiers' answers, by hand; the ends of the line are the classifiers.
func TestOutputEnsemble(t *testing.T) {
	l := newLab(t)
	from, to := l.zeroshot(clips(t)[0], "cat", "dog"), tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2}", clips(t)[0])
	data := l.dataset(folderOf(t, 5, "cat", "dog"))
	var scores []stages.Input
	var logits [][]float32
	for _, a := range []stages.Artifact{from, to} {
		s := only(l.run("evaluate", "", given("classifier", a, "data", data)))
		scores, logits = append(scores, one(s)...), append(logits, floats(t, s, "logits.safetensors", "logits"))
	}
	inputs := map[string][]stages.Input{"scores": scores}
	for params, mean := range map[string]func(a, b float64) float64{
		"{weights: [3, 1]}": func(a, b float64) float64 { return 0.75*a + 0.25*b },
		"{}":                func(a, b float64) float64 { return 0.5*a + 0.5*b },
		"{weights: [0, 1]}": func(_, b float64) float64 { return b },
	} {
		o := l.run("output_ensemble", params, inputs)
		got := floats(t, only(o), "logits.safetensors", "logits")
		for k := range got {
			if want := mean(float64(logits[0][k]), float64(logits[1][k])); math.Abs(float64(got[k])-want) > 1e-5 {
				t.Fatalf("%s: logit %d is %v, want %v", params, k, got[k], want)
			}
		}
	}
	o := l.run("output_ensemble", "{of: probabilities, weights: [1, 3]}", inputs)
	got := floats(t, only(o), "logits.safetensors", "logits")
	nll := 0.0
	for i := range 10 {
		p := 0.0
		for m, share := range []float64{0.25, 0.75} {
			a, b := math.Exp(float64(logits[m][2*i])), math.Exp(float64(logits[m][2*i+1]))
			p += share * a / (a + b)
		}
		if math.Abs(math.Exp(float64(got[2*i]))-p) > 1e-6 {
			t.Errorf("picture %d is a cat by %v, want %v", i, math.Exp(float64(got[2*i])), p)
		}
		nll -= math.Log([]float64{p, 1 - p}[i%2]) / 10 // cats and dogs in turn
	}
	if d := number(t, o, "nll") - nll; math.Abs(d) > 1e-6 {
		t.Errorf("nll is %v, want %v", o.metrics["nll"], nll)
	}
	other := only(l.run("evaluate", "", given("classifier", from, "data", l.dataset(folderOf(t, 4, "cat", "dog")))))
	for want, c := range map[string]struct {
		params string
		scores []stages.Input
	}{
		"3 weights for 2 scores":               {"{weights: [1, 1, 1]}", scores},
		"weights are all 0":                    {"{weights: [0, 0]}", scores},
		"-1 is no weight":                      {"{weights: [-1, 2]}", scores},
		"scores 1 and 2 are of other pictures": {"{}", append(one(other), scores[1])},
	} {
		_, err := l.try("output_ensemble", c.params, map[string][]stages.Input{"scores": c.scores})
		wantError(t, err, want)
	}
}
