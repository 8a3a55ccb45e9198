package rng

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"regft/models/internal/golden"
)

type goldenCase struct {
	Key, Kind string
	Keys      []string
	Seed      uint64
	Shape     []int
	Draws     int
}

func TestGolden(t *testing.T) {
	dir := golden.Dir(t, "rng")
	var meta struct{ Cases []goldenCase }
	golden.JSON(t, dir, &meta)
	tensors := golden.Open(t, dir)
	for _, c := range meta.Cases {
		t.Run(fmt.Sprintf("%s%s", c.Key, strings.Join(c.Keys, ",")), func(t *testing.T) {
			if c.Kind == "randn" {
				checkRandn(t, c, tensors.Float32s(c.Key))
				return
			}
			checkSequence(t, c, tensors)
		})
	}
}

func checkRandn(t *testing.T, c goldenCase, want []float32) {
	size := 1
	for _, n := range c.Shape {
		size *= n
	}
	if len(want) != c.Draws*size || size == 0 {
		t.Fatalf("golden has %d values, not %d draws of %v", len(want), c.Draws, c.Shape)
	}
	g := New(c.Seed)
	for draw := range c.Draws {
		got := make([]float32, size)
		g.Randn(got)
		for i, x := range got {
			if w := want[draw*size+i]; math.Abs(float64(x)-float64(w)) > 1e-6 {
				t.Fatalf("draw %d, value %d: got %v, want %v", draw, i, x, w)
			}
		}
	}
}

// checkSequence runs keys such as randperm.SEED.N and rand.SEED.N through one generator.
func checkSequence(t *testing.T, c goldenCase, tensors golden.Tensors) {
	g := New(c.Seed)
	for _, key := range c.Keys {
		parts := strings.Split(key, ".")
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		switch parts[0] {
		case "randperm":
			got := make([]int64, n)
			for i, j := range g.Randperm(n) {
				got[i] = int64(j)
			}
			equal(t, key, got, tensors.Int64s(key))
		case "rand":
			got := make([]float32, n)
			g.Rand(got)
			equal(t, key, got, tensors.Float32s(key))
		default:
			t.Fatalf("golden of an unknown kind: %s", key)
		}
	}
}

func equal[T comparable](t *testing.T, key string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", key, got, want)
	}
}

func TestStateGoesOnFromTheSamePlace(t *testing.T) {
	for _, draws := range []int{0, 1, 5, 16, 17, 1000} {
		g := New(uint64(draws))
		g.Randn(make([]float32, draws))
		state, err := g.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		copied, restored := *g, new(Generator)
		if err := restored.UnmarshalBinary(state); err != nil {
			t.Fatal(err)
		}
		want := make([]float32, 700)
		for i := range want {
			g.Randn(want[i : i+1])
		}
		for name, other := range map[string]*Generator{"copied": &copied, "restored": restored} {
			got := make([]float32, len(want))
			for i := range got {
				other.Randn(got[i : i+1])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s after %d draws: %s", name, draws, diff)
			}
		}
	}
}

func TestUnmarshalRefusesDamage(t *testing.T) {
	state, _ := New(1).MarshalBinary()
	position := slices.Clone(state)
	position[4*words+2] = 1
	flag := slices.Clone(state)
	flag[len(flag)-1] = 2
	for name, data := range map[string][]byte{"empty": nil, "short": state[1:], "position": position, "flag": flag} {
		g, want := New(7), New(7)
		if err := g.UnmarshalBinary(data); err == nil {
			t.Errorf("%s: no error", name)
		}
		if *g != *want {
			t.Errorf("%s: the generator changed", name)
		}
	}
}

func TestOrdersArePermutations(t *testing.T) {
	for n := range 50 {
		for name, order := range map[string][]int{"shuffle": New(3).Randperm(n), "inside out": New(3).insideOut(n)} {
			sorted := slices.Sorted(slices.Values(order))
			for i, j := range sorted {
				if i != j {
					t.Fatalf("%s of %d is no permutation: %v", name, n, order)
				}
			}
		}
	}
}

func BenchmarkRandn(b *testing.B) {
	dst := make([]float32, 4*64*64) // the latents of one 512×512 picture
	b.SetBytes(int64(4 * len(dst)))
	g := New(0)
	for b.Loop() {
		g.Randn(dst)
	}
}

func BenchmarkRandperm(b *testing.B) {
	g := New(0)
	for b.Loop() {
		g.Randperm(64_000) // a generated ImageNet of 64 a class
	}
}
