package rng

import (
	"crypto/sha256"
	"encoding/binary"
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

// The values below are torch 2.15's on x86-64 with AVX2.

func TestIntegersOfTorch(t *testing.T) {
	g := New(9)
	for _, c := range []struct {
		low, high int64
		want      []int64
	}{
		{-5, 1000, []int64{995, 383, 919, 177, 417, 183}},
		{0, 1<<28 - 1, []int64{37922557, 15995803, 73491583}},
		{0, 1 << 28, []int64{133395990, 186866235, 260280058}}, // 64 bits from here on
		{-1 << 62, 1 << 62, []int64{-2054722314074525960, 2691118984651250011, 4513079209319586525}},
	} {
		got := make([]int64, len(c.want))
		g.Randint(got, c.low, c.high)
		equal(t, fmt.Sprintf("[%d, %d)", c.low, c.high), got, c.want)
	}
	doubles := make([]float64, 2)
	g.Rand64(doubles)
	equal(t, "rand64", doubles, []float64{0x1.24bdce0e93f80p-1, 0x1.b43bcf37260eep-1})
	equal(t, "randperm", g.Randperm(7), []int{5, 0, 4, 3, 6, 1, 2})
}

// The second normal of a pair waits while a longer call draws its own.
func TestSpareNormalOutlivesLongCalls(t *testing.T) {
	g := New(4)
	short, long, last := make([]float32, 3), make([]float32, 16), make([]float32, 1)
	g.Randn(short)
	g.Randn(long)
	g.Randn(last)
	equal(t, "3", short, []float32{-0x1.9af364p+0, 0x1.dc2178p-3, 0x1.1eb41p+1})
	equal(t, "16", long[:2], []float32{0x1.e140e6p-4, 0x1.39644ep-1})
	equal(t, "1", last, []float32{0x1.b1d07ep-1})
}

func TestMillionNormalsBitForBit(t *testing.T) {
	normals := make([]float32, 1000003)
	New(2).Randn(normals)
	data := make([]byte, 0, 4*len(normals))
	for _, x := range normals {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	const want = "da35a674e0b3b1ada46e6fa3381fe3e7a1695fbaef7a4544a0b5c2cc40c81ab2"
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != want {
		t.Errorf("SHA-256 of the normals is %s, torch's is %s", got, want)
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
