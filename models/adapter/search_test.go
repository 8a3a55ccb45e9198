package adapter

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"regft/models/nn"
)

// TestLeading compares with the definition at every point of a line, on numbers so coarse that draws are common.
func TestLeading(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	line, draws := Line{From: -2, To: 2, Steps: 8}, 0
	for range 5000 {
		base, slope, label := coarse(r), coarse(r), r.IntN(3)
		for i, got := range leading(base, slope, label).mark(nil, line) {
			first, ties := 0, 0
			logits := make([]float64, len(base))
			for c := range base {
				logits[c] = base[c] + line.At(i)*slope[c]
				if logits[c] > logits[first] {
					first = c
				}
			}
			for _, x := range logits {
				if x == logits[first] {
					ties++
				}
			}
			if ties > 1 {
				draws++
			}
			if got != (first == label) {
				t.Fatalf("%v + %g·%v: %v for label %d", base, line.At(i), slope, got, label)
			}
		}
	}
	if draws < 1000 {
		t.Errorf("only %d draws were met", draws)
	}
	for _, bad := range [][]float64{{0, math.NaN(), 0}, {math.NaN(), 0, 0}} {
		for label := range bad {
			for _, got := range append(leading(bad, make([]float64, 3), label).mark(nil, line), leading(make([]float64, 3), bad, label).mark(nil, line)...) {
				if got {
					t.Errorf("label %d is right in %v", label, bad)
				}
			}
		}
	}
}

func coarse(r *rand.Rand) []float64 {
	x := make([]float64, 3)
	for i := range x {
		x[i] = float64(r.IntN(5) - 2)
	}
	return x
}

// two is an adapter of two classes in two dimensions.
func two(m Method) (*Adapter, Samples) {
	axes := nn.Array{Shape: []int{2, 2}, Values: []float32{1, 0, 0, 1}}
	a := &Adapter{Method: m, Head: Head{axes, make([]float32, 2)}, Keys: []nn.Array{axes}, Labels: []int{0, 1}, Point: Point{Beta: 1, Alpha: 1}, Temperature: 1}
	return a, Samples{Features: []nn.Array{axes}, Labels: []int{1, 0}}
}

func TestNothingRight(t *testing.T) {
	a, s := two(Tip)
	found, err := a.Search(context.Background(), Grid{Line{0.1, 5, 3}, Line{0.1, 5, 3}, Fixed(0)}, s)
	if err != nil || found.Point != (Point{}) || found.Correct != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestSearchStopsWithItsContext(t *testing.T) {
	a, s := two(TipX)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.Search(ctx, FixedGrid(a.Point), s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(*Adapter){
		"a branch too few":  func(a *Adapter) { a.Method = CaFo },
		"a label too large": func(a *Adapter) { a.Labels[1] = 2 },
		"labels missing":    func(a *Adapter) { a.Labels = a.Labels[:1] },
		"no temperature":    func(a *Adapter) { a.Method, a.Temperature = TipX, 0 },
	} {
		a, s := two(Tip)
		change(a)
		if _, err := a.Logits(context.Background(), s.Features); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	a, _ := two(Tip)
	if _, err := a.Logits(context.Background(), []nn.Array{{Shape: []int{1, 3}, Values: make([]float32, 3)}}); err == nil {
		t.Error("features of another width: no error")
	}
}
