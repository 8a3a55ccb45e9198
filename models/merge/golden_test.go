package merge

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"regft/models/internal/golden"
	"regft/models/nn"
)

// A world is a golden folder whose models are one vector each.
type world struct {
	Config struct {
		Layers      int
		Alphas      []float64
		EMA         []float64 `json:"ema"`
		FisherMerge struct {
			Alphas, Floors []float64
			Missing        []string
		} `json:"fisher_merge"`
		TaskArithmetic struct{ Lambdas, Negated []float64 } `json:"task_arithmetic"`
		TIES           []struct {
			K, Lambda float64
			Aggregate Aggregate
		}
		LiNeS struct {
			Single  []float64
			K, Beta float64
		} `json:"lines"`
	}
	Layout []struct {
		Name   string
		Shape  []int
		Offset int
	}
	Greedy []struct {
		Published greedyGolden
		TiesKept  greedyGolden `json:"ties_kept"`
	}
	LiNeS struct {
		Sum, TIES struct{ Alpha float64 }
	} `json:"lines"`

	g golden.Tensors
}

type greedyGolden struct {
	Alone       map[string]int
	Order       []string
	Trials      []struct{ Correct int }
	Ingredients []string
}

func worlds(t *testing.T, test func(t *testing.T, w *world)) {
	dirs, _ := filepath.Glob(golden.Dir(t, "ensembles*"))
	if len(dirs) == 0 {
		t.Fatal("no golden ensembles*")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			w := &world{g: golden.Open(t, dir)}
			golden.JSON(t, dir, w)
			test(t, w)
		})
	}
}

// model cuts a vector into the parameters of the layout, without those named.
func (w *world) model(vector []float32, without ...string) nn.Arrays {
	arrays := nn.Arrays{}
	for _, l := range w.Layout {
		size := 1
		for _, d := range l.Shape {
			size *= d
		}
		if !slices.Contains(without, l.Name) {
			arrays[l.Name] = nn.Array{Shape: l.Shape, Values: vector[l.Offset : l.Offset+size]}
		}
	}
	return arrays
}

// read is the model in row i of a tensor.
func (w *world) read(name string, i int) nn.Arrays {
	all, shape := w.g.Float32s(name), w.g.Shape(name)
	row := shape[len(shape)-1]
	return w.model(all[i*row : (i+1)*row])
}

// models are the fine-tuned ones.
func (w *world) models() []nn.Arrays {
	var out []nn.Arrays
	for i := range 3 {
		out = append(out, w.read(fmt.Sprintf("model.%d", i), 0))
	}
	return out
}

// equal wants row i of tensor name, bit for bit.
func (w *world) equal(t *testing.T, got nn.Arrays, err error, name string, i int) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s %d: %v", name, i, err)
	}
	for parameter, want := range w.read(name, i) {
		if !slices.Equal(got[parameter].Values, want.Values) {
			t.Errorf("%s %d: %s differs from the published code's", name, i, parameter)
		}
	}
}

func text(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func TestLinearGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		for i, alpha := range w.Config.Alphas {
			got, err := Linear(w.read("base", 0), w.models()[0], alpha)
			w.equal(t, got, err, "linear", i)
		}
	})
}

func TestFisherWeightedGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.Config.FisherMerge
		from := w.model(w.g.Float32s("fisher_merge.base"), c.Missing...)
		to := w.model(w.g.Float32s("fisher_merge.model"), c.Missing...)
		for _, floor := range c.Floors {
			name := fmt.Sprintf("fisher_merge.%s", pythonFloat(floor))
			for i, alpha := range c.Alphas {
				got, err := FisherWeighted(w.read("base", 0), w.models()[0], from, to, alpha, floor)
				w.equal(t, got, err, name, i)
			}
		}
	})
}

// pythonFloat is repr of a Python float.
func pythonFloat(x float64) string {
	if x < 1e-4 {
		return text(x)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func TestUniformSoupGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		got, err := UniformSoup(w.models())
		w.equal(t, got, err, "soup.uniform", 0)
		got, err = UniformSoup(append([]nn.Arrays{w.read("base", 0)}, w.models()...))
		w.equal(t, got, err, "soup.uniform_with_base", 0)
	})
}

func TestGreedySoupGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		for i, g := range w.Greedy {
			w.testGreedy(t, i, g.Published, false, "published")
			w.testGreedy(t, i, g.TiesKept, true, "ties_kept")
		}
	})
}

func (w *world) testGreedy(t *testing.T, number int, want greedyGolden, keepTies bool, name string) {
	names := []string{"base", "0", "1", "2"}
	models := append([]nn.Arrays{w.read("base", 0)}, w.models()...)
	x, labels := w.g.Float32s(fmt.Sprintf("greedy.%d.x", number)), w.g.Int64s(fmt.Sprintf("greedy.%d.labels", number))
	var alone []int
	for i, m := range models {
		alone = append(alone, correct(m, x, labels))
		if alone[i] != want.Alone[names[i]] {
			t.Fatalf("greedy %d: model %s gets %d right, want %d", number, names[i], alone[i], want.Alone[names[i]])
		}
	}
	var trials []int
	g := Greedy{
		Model:     func(i int) (nn.Arrays, error) { return models[i], nil },
		Correct:   func(_ context.Context, m nn.Arrays) (int, error) { return correct(m, x, labels), nil },
		KeepTies:  keepTies,
		OnAttempt: func(a Attempt) { trials = append(trials, a.Correct) },
	}
	chosen, err := g.Choose(t.Context(), alone)
	if err != nil {
		t.Fatal(err)
	}
	named := func(list []int) (out []string) {
		for _, i := range list {
			out = append(out, names[i])
		}
		return out
	}
	if got := named(g.Order(alone)); !slices.Equal(got, want.Order) {
		t.Errorf("greedy %d: order %v, want %v", number, got, want.Order)
	}
	if got := named(chosen); !slices.Equal(got, want.Ingredients) {
		t.Errorf("greedy %d: ingredients %v, want %v", number, got, want.Ingredients)
	}
	for k, trial := range want.Trials {
		if trials[k] != trial.Correct {
			t.Errorf("greedy %d: trial %d has %d right, want %d", number, k, trials[k], trial.Correct)
		}
	}
	var ingredients []nn.Arrays
	for _, i := range chosen {
		ingredients = append(ingredients, models[i])
	}
	soup, err := GreedySoup(ingredients)
	w.equal(t, soup, err, fmt.Sprintf("greedy.%d.%s", number, name), 0)
}

// correct counts the rows of x that unit(x·visual_projectionᵀ)·head.weightᵀ + head.bias gets right.
func correct(m nn.Arrays, x []float32, labels []int64) int {
	projection, weight, bias := m["visual_projection.weight"], m["head.weight"], m["head.bias"]
	dim, width := projection.Shape[0], projection.Shape[1]
	right := 0
	for i, label := range labels {
		z := make([]float64, dim)
		norm := 0.0
		for k := range z {
			z[k] = dot(projection.Values[k*width:(k+1)*width], x[i*width:(i+1)*width])
			norm += z[k] * z[k]
		}
		best, at := math.Inf(-1), int64(-1)
		for c, b := range bias.Values {
			logit := float64(b)
			for k := range z {
				logit += z[k] / math.Sqrt(norm) * float64(weight.Values[c*dim+k])
			}
			if logit > best {
				best, at = logit, int64(c)
			}
		}
		if at == label {
			right++
		}
	}
	return right
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestTaskArithmeticGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		base := w.read("base", 0)
		for i, lambda := range w.Config.TaskArithmetic.Lambdas {
			got, err := TaskArithmetic(base, w.models(), lambda)
			w.equal(t, got, err, "task_arithmetic", i)
		}
		for i, lambda := range w.Config.TaskArithmetic.Negated {
			got, err := TaskArithmetic(base, w.models()[:1], -lambda)
			w.equal(t, got, err, "task_arithmetic.negated", i)
		}
	})
}

// fraction is the golden's k: a fraction, or over 1 a percentage.
func fraction(k float64) float64 {
	if k > 1 {
		return k / 100
	}
	return k
}

func TestTIESGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		base := w.read("base", 0)
		for i, c := range w.Config.TIES {
			name := fmt.Sprintf("ties.%d", i)
			tau, err := tiesVector(base, w.models(), fraction(c.K), c.Aggregate)
			w.equal(t, tau, err, name+".tau", 0)
			got, err := TIES(base, w.models(), c.Lambda, fraction(c.K), c.Aggregate)
			w.equal(t, got, err, name, 0)
		}
	})
}

func TestLiNeSGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		base, c := w.read("base", 0), w.Config.LiNeS
		for _, alpha := range c.Single {
			got, err := LiNeS(base, w.models()[:1], Layering{From: alpha, Rise: 1 - alpha, Layers: w.Config.Layers})
			w.equal(t, got, err, "lines.single."+text(alpha), 0)
		}
		keep := fraction(c.K)
		scale, err := LiNeSScale(base, w.models(), nil, Sum)
		if err != nil || math.Abs(scale-w.LiNeS.Sum.Alpha) > 1e-6 {
			t.Errorf("the sum's scale is %v, %v, want %v", scale, err, w.LiNeS.Sum.Alpha)
		}
		scale, err = LiNeSScale(base, w.models(), &keep, Mean)
		if err != nil || math.Abs(scale-w.LiNeS.TIES.Alpha) > 1e-6 {
			t.Errorf("TIES' scale is %v, %v, want %v", scale, err, w.LiNeS.TIES.Alpha)
		}
		got, err := LiNeS(base, w.models(), Layering{From: w.LiNeS.Sum.Alpha, Rise: c.Beta, Layers: w.Config.Layers})
		w.equal(t, got, err, "lines.sum", 0)
		got, err = LiNeSTIES(base, w.models(), Layering{From: w.LiNeS.TIES.Alpha, Rise: c.Beta, Layers: w.Config.Layers}, keep, Mean)
		w.equal(t, got, err, "lines.ties", 0)
	})
}

func TestEMAGolden(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		for _, decay := range w.Config.EMA {
			got, err := EMA(w.read("base", 0), w.models(), decay)
			w.equal(t, got, err, "ema."+text(decay), 0)
		}
	})
}
