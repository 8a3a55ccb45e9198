package adapter

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"regft/models/internal/golden"
	"regft/models/nn"
)

// reference is one golden: fixed features, and what the published code makes of them.
type reference struct {
	golden.Tensors
	Rounding map[string]float64 `json:"float64_difference"` // what float32 alone does to the golden's tensors
	Config   struct {
		TipX struct{ Temperature float64 }
	}
	Tip struct {
		Beta, Alpha       float64
		Search            searched
		ZeroshotCorrect   map[string]int `json:"zeroshot_correct"`
		InitTestCorrect   int            `json:"init_test_correct"`
		SearchTestCorrect int            `json:"searched_test_correct"`
	}
	TipF trained `json:"tip_f"`
	CaFo struct {
		trained
		InitTestCorrect int `json:"init_test_correct"`
	}
	TipX struct {
		To                   [3]float64
		Steps                [3]int
		Published, Corrected struct {
			Point
			ValCorrect  int `json:"val_correct"`
			TestCorrect int `json:"test_correct"`
		}
	}
}

type searched struct {
	To          [2]float64
	Steps       [2]int
	Beta, Alpha float64
	Correct     int
}

type trained struct {
	Beta, Alpha          float64
	Search               searched
	Published, Validated struct {
		Search      searched
		TestCorrect int `json:"test_correct"`
	}
}

func eachReference(t *testing.T, test func(t *testing.T, r *reference)) {
	dirs, err := filepath.Glob(filepath.Join(golden.Dir(t, ""), "adapters*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden adapters*: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r := &reference{}
			golden.JSON(t, dir, r)
			r.Tensors = golden.Open(t, dir)
			test(t, r)
		})
	}
}

func (r *reference) array(name string) nn.Array {
	return nn.Array{Shape: r.Shape(name), Values: r.Float32s(name)}
}

func (r *reference) labels(name string) []int {
	wide := r.Int64s(name + ".labels")
	labels := make([]int, len(wide))
	for i, l := range wide {
		labels[i] = int(l)
	}
	return labels
}

// meanKeys are the keys of one encoder's passes over a set of shots.
func (r *reference) meanKeys(name string) nn.Array {
	shape, values := r.Shape(name), r.Float32s(name)
	passes := make([]nn.Array, shape[0])
	for p := range passes {
		passes[p] = nn.Array{Shape: shape[1:], Values: values[p*shape[1]*shape[2] : (p+1)*shape[1]*shape[2]]}
	}
	return MeanKeys(passes)
}

func (r *reference) head() Head {
	text := r.array("text")
	for i := range text.Values {
		text.Values[i] *= headScale
	}
	return Head{Weight: text, Bias: make([]float32, text.Shape[0])}
}

func (r *reference) samples(split string, encoders ...string) Samples {
	s := Samples{Labels: r.labels(split)}
	for _, e := range encoders {
		s.Features = append(s.Features, Unit(r.array(e+"."+split)))
	}
	return s
}

func (r *reference) tip() *Adapter {
	return &Adapter{
		Method: Tip, Head: r.head(), Keys: []nn.Array{r.meanKeys("clip.shots")}, Labels: r.labels("shots"),
		Point: Point{Beta: r.Tip.Beta, Alpha: r.Tip.Alpha},
	}
}

func (r *reference) cafo() *Adapter {
	a := &Adapter{
		Method: CaFo, Head: r.head(), Labels: append(r.labels("shots"), r.labels("generated")...),
		Point: Point{Beta: r.CaFo.Beta, Alpha: r.CaFo.Alpha}, Temperature: 1,
	}
	for _, e := range []string{"clip", "second"} {
		a.Keys = append(a.Keys, Join(r.meanKeys(e+".shots"), r.meanKeys(e+".generated")))
	}
	return a
}

// near compares with a tensor of the golden, value by value: within the tolerance beyond the golden's own rounding.
func (r *reference) near(t *testing.T, name string, got []float32, tolerance float64) {
	t.Helper()
	want := r.Float32s(name)
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i, g := range got {
		if !(math.Abs(float64(g)-float64(want[i])) <= tolerance+r.Rounding[name]) {
			t.Fatalf("%s: value %d is %g, want %g", name, i, g, want[i])
		}
	}
}

func logits(t *testing.T, a *Adapter, s Samples) []float32 {
	t.Helper()
	got, err := a.Logits(context.Background(), s.Features)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func correct(t *testing.T, what string, a *Adapter, s Samples, want int) {
	t.Helper()
	got, err := a.Correct(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%s: %d right, want %d", what, got, want)
	}
}

// search compares a search of beta and alpha with the golden's, and the counts at every point with its table: [0] those
// right, [1] those so near to a draw that rounding may decide them.
func (r *reference) search(t *testing.T, name string, a *Adapter, lines, want searched) Point {
	t.Helper()
	s := r.samples("val", []string{"clip", "second"}[:len(a.Keys)]...)
	grid := Grid{Line{0.1, lines.To[0], lines.Steps[0]}, Line{0.1, lines.To[1], lines.Steps[1]}, Fixed(0)}
	found, err := a.Search(context.Background(), grid, s)
	if err != nil {
		t.Fatal(err)
	}
	if found.Point.Beta != want.Beta || found.Point.Alpha != want.Alpha || found.Correct != want.Correct {
		t.Errorf("%s: found %+v with %d right, want %+v", name, found.Point, found.Correct, want)
	}
	table := r.Int64s(name + ".search.correct")
	counts, draws := table[:grid.Size()], table[grid.Size():]
	for i, got := range found.Counts {
		if difference := got - int(counts[i]); max(difference, -difference) > int(draws[i]) {
			t.Fatalf("%s: %d right at point %d, want %d", name, got, i, counts[i])
		}
	}
	return found.Point
}

func TestTip(t *testing.T) {
	eachReference(t, func(t *testing.T, r *reference) {
		a, test := r.tip(), r.samples("test", "clip")
		for _, name := range []string{"clip.shots", "clip.generated", "second.shots", "second.generated"} {
			r.near(t, name+".keys", r.meanKeys(name).Values, 1e-6)
		}
		for split, want := range r.Tip.ZeroshotCorrect {
			alone := *a
			alone.Point.Alpha = 0
			r.near(t, "zeroshot."+split, logits(t, &alone, r.samples(split, "clip")), 1e-4)
			correct(t, "zero-shot", &alone, r.samples(split, "clip"), want)
		}
		r.near(t, "tip.logits.test", logits(t, a, test), 1e-4)
		correct(t, "at the first point", a, test, r.Tip.InitTestCorrect)
		a.Point = r.search(t, "tip", a, r.Tip.Search, r.Tip.Search)
		r.near(t, "tip.searched.logits.test", logits(t, a, test), 1e-4)
		correct(t, "at the point found", a, test, r.Tip.SearchTestCorrect)
	})
}

// TestTrainedKeys searches with the golden's trained keys; training them is package train's.
func TestTrainedKeys(t *testing.T) {
	eachReference(t, func(t *testing.T, r *reference) {
		for _, run := range []string{"published", "validated"} {
			tip := r.tip()
			tip.Method, tip.Keys[0] = TipF, r.array("tip_f."+run+".clip.keys.chosen")
			want := r.TipF.Validated
			if run == "published" {
				want = r.TipF.Published
			}
			tip.Point = r.search(t, "tip_f."+run, tip, r.TipF.Search, want.Search)
			r.near(t, "tip_f."+run+".logits.test", logits(t, tip, r.samples("test", "clip")), 1e-4)
			correct(t, "tip_f "+run, tip, r.samples("test", "clip"), want.TestCorrect)
		}
	})
}

func TestCaFo(t *testing.T) {
	eachReference(t, func(t *testing.T, r *reference) {
		a, test := r.cafo(), r.samples("test", "clip", "second")
		var caches [2][]float32
		var fused, weights []float32
		for i := range test.Labels {
			k := a.newKernels(a.sample(test.Features, i), Fixed(a.Point.Beta))
			both := [][]float64{k.cache(0), k.cache(1)}
			for b := range both {
				caches[b] = append(caches[b], narrow(both[b])...)
			}
			f, w := fuse(k.zero, both, a.Temperature)
			fused, weights = append(fused, narrow(f)...), append(weights, narrow(w)...)
		}
		r.near(t, "cafo.cache.clip.test", caches[0], 1e-4)
		r.near(t, "cafo.cache.second.test", caches[1], 1e-4)
		r.near(t, "cafo.weights.test", weights, 1e-4)
		r.near(t, "cafo.fused.test", fused, 1e-4)
		r.near(t, "cafo.logits.test", logits(t, a, test), 1e-3)
		correct(t, "before training", a, test, r.CaFo.InitTestCorrect)
		for _, run := range []string{"published", "validated"} {
			want, searchedKeys := r.CaFo.Validated, "chosen"
			if run == "published" {
				want, searchedKeys = r.CaFo.Published, "last"
			}
			keys := func(which string) []nn.Array {
				return []nn.Array{r.array("cafo." + run + ".clip.keys." + which), r.array("cafo." + run + ".second.keys." + which)}
			}
			a.Keys = keys(searchedKeys)
			point := r.search(t, "cafo."+run, a, r.CaFo.Search, want.Search)
			tuned := *a
			tuned.Keys, tuned.Point = keys("chosen"), point
			r.near(t, "cafo."+run+".logits.test", logits(t, &tuned, test), 1e-3)
			correct(t, "cafo "+run, &tuned, test, want.TestCorrect)
		}
	})
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func TestTipX(t *testing.T) {
	eachReference(t, func(t *testing.T, r *reference) {
		for _, run := range []string{"published", "corrected"} {
			want := r.TipX.Corrected
			if run == "published" {
				want = r.TipX.Published
			}
			a := &Adapter{
				Method: TipX, Head: r.head(), Keys: []nn.Array{r.meanKeys("clip.generated")}, Labels: r.labels("generated"),
				Temperature: r.Config.TipX.Temperature, Published: run == "published",
			}
			if a.Published {
				target, err := a.Affinities(context.Background(), r.samples("val", "clip").Features[0])
				if err != nil {
					t.Fatal(err)
				}
				a.Target = &target
			}
			for _, split := range []string{"val", "test"} {
				s := r.samples(split, "clip")
				r.near(t, "tipx."+run+".divergence."+split, r.divergences(a, s), 1e-4)
				kl, err := a.klLogits(context.Background(), s.Features)
				if err != nil {
					t.Fatal(err)
				}
				var flat []float32
				for _, row := range kl {
					flat = append(flat, narrow(row)...)
				}
				r.near(t, "tipx."+run+".kl."+split, flat, 1e-3)
			}
			to, steps := r.TipX.To, r.TipX.Steps
			grid := Grid{Line{1, to[0], steps[0]}, Line{0.1, to[1], steps[1]}, Line{0.1, to[2], steps[2]}}
			found, err := a.Search(context.Background(), grid, r.samples("val", "clip"))
			if err != nil {
				t.Fatal(err)
			}
			if found.Point != want.Point || found.Correct != want.ValCorrect {
				t.Errorf("%s: found %+v with %d right, want %+v", run, found.Point, found.Correct, want)
			}
			a.Point = found.Point
			r.near(t, "tipx."+run+".logits.test", logits(t, a, r.samples("test", "clip")), 1e-3)
			correct(t, "tipx "+run, a, r.samples("test", "clip"), want.TestCorrect)
		}
	})
}

// divergences are all of them, as divergenceSums sees them before it sums.
func (r *reference) divergences(a *Adapter, s Samples) []float32 {
	var all []float32
	support := make([][]float64, len(a.Labels))
	for j := range support {
		support[j] = a.signature(row(a.Keys[0], j))
	}
	for i := range s.Labels {
		if a.Published && i >= len(s.Labels)/block*block {
			all = append(all, make([]float32, len(support))...)
			continue
		}
		all = append(all, narrow(divergences(a.signature(row(s.Features[0], i)), support))...)
	}
	return all
}
