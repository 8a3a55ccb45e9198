package similarity_test

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"regft/datasets/pil"
	"regft/datasets/similarity"
)

// scene is a picture of soft blobs that seed places, with some noise on top.
func scene(seed uint64, noise int) *pil.Image {
	r, n := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	im := pil.New(96, 80)
	type blob struct{ x, y, size, value float64 }
	var blobs []blob
	for range 6 {
		blobs = append(blobs, blob{r.Float64() * 96, r.Float64() * 80, 8 + 20*r.Float64(), 200*r.Float64() - 60})
	}
	for y := range 80 {
		for x := range 96 {
			v := 60.0
			for _, b := range blobs {
				v += b.value * math.Exp(-(math.Pow(float64(x)-b.x, 2)+math.Pow(float64(y)-b.y, 2))/(2*b.size*b.size))
			}
			for c := range 3 {
				im.Pix[(y*96+x)*3+c] = uint8(min(max(v+float64(n.IntN(2*noise+1)-noise), 0), 255))
			}
		}
	}
	return im
}

func hash(t *testing.T, im *pil.Image) uint64 {
	t.Helper()
	h, err := similarity.Hash(im)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHash: what looks alike is near, what does not is far.
func TestHash(t *testing.T) {
	for seed := range uint64(20) {
		plain := hash(t, scene(seed, 0))
		if plain != hash(t, scene(seed, 0)) {
			t.Fatalf("scene %d has two hashes", seed)
		}
		if d := bits.OnesCount64(plain ^ hash(t, scene(seed, 2))); d > 6 {
			t.Errorf("scene %d with noise is %d bits away", seed, d)
		}
		if d := bits.OnesCount64(plain ^ hash(t, scene(seed+100, 0))); d < 10 {
			t.Errorf("scenes %d and %d are %d bits apart", seed, seed+100, d)
		}
	}
	if _, err := similarity.Hash(pil.New(1, 1)); err != nil {
		t.Errorf("a picture of one pixel: %v", err)
	}
}

func TestNearestHash(t *testing.T) {
	hashes := []uint64{0, 0b1111, 0b1, 0, ^uint64(0)}
	got, err := similarity.NearestEarlierHash(t.Context(), hashes)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []similarity.Match{{-1, 64}, {0, 4}, {0, 1}, {0, 0}, {1, 60}} {
		if got[i] != want {
			t.Errorf("the nearest before %d is %v, want %v", i, got[i], want)
		}
	}
	got, err = similarity.NearestHash(t.Context(), []uint64{0b11}, []uint64{^uint64(0), 0b111, 0b10})
	if err != nil || got[0] != (similarity.Match{Index: 1, Distance: 1}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestNearestFeature: as a search over all pairs in float64 finds, for sizes that fill blocks and that do not.
func TestNearestFeature(t *testing.T) {
	const dim = 7
	for _, n := range []int{0, 1, 2, 130, 1300} {
		r := rand.New(rand.NewPCG(uint64(n), 3))
		features := make([]float32, n*dim)
		for i := range features {
			features[i] = float32(r.NormFloat64())
		}
		reference := features[:len(features)/dim/2*dim]
		earlier, err := similarity.NearestEarlierFeature(t.Context(), features, dim)
		if err != nil {
			t.Fatal(err)
		}
		within, err := similarity.NearestFeature(t.Context(), features, reference, dim)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for name, c := range map[string]struct {
				got   similarity.Match
				among int
			}{"earlier": {earlier[i], i}, "reference": {within[i], len(reference) / dim}} {
				want := 2.0
				for j := range c.among {
					want = min(want, distance(features[i*dim:(i+1)*dim], features[j*dim:(j+1)*dim]))
				}
				if math.Abs(c.got.Distance-want) > 1e-5 {
					t.Fatalf("%d: %s than %d: distance %v, want %v", n, name, i, c.got.Distance, want)
				}
				if j := c.got.Index; (j < 0) != (c.among == 0) || j >= 0 && math.Abs(distance(features[i*dim:(i+1)*dim], features[j*dim:(j+1)*dim])-want) > 1e-5 {
					t.Fatalf("%d: %s than %d: index %d is not at distance %v", n, name, i, j, want)
				}
			}
		}
	}
}

func distance(a, b []float32) float64 {
	dot, aa, bb := 0.0, 0.0, 0.0
	for k := range a {
		dot, aa, bb = dot+float64(a[k])*float64(b[k]), aa+float64(a[k])*float64(a[k]), bb+float64(b[k])*float64(b[k])
	}
	return 1 - dot/math.Sqrt(aa*bb)
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := similarity.NearestEarlierHash(ctx, make([]uint64, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("hashes: %v", err)
	}
	if _, err := similarity.NearestEarlierFeature(ctx, make([]float32, 9), 3); !errors.Is(err, context.Canceled) {
		t.Errorf("features: %v", err)
	}
}
