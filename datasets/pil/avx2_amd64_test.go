package pil

import (
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
	"pgregory.net/rapid"
)

func TestAVX2EqualsPortable(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Skip("no AVX2 here")
	}
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 80)
		im := New(side.Draw(t, "width"), side.Draw(t, "height"))
		copy(im.Pix, rapid.SliceOfN(rapid.SampledFrom([]uint8{0, 1, 77, 254, 255}), len(im.Pix), len(im.Pix)).Draw(t, "pixels"))
		to := side.Draw(t, "to")
		filter := Filter(rapid.IntRange(1, 5).Draw(t, "filter"))
		start := rapid.IntRange(0, to-1).Draw(t, "start")
		count := rapid.IntRange(1, to-start).Draw(t, "count")
		both := func(direction string, in, width, height int, convolve func(s *instructionSet) func(out, im *Image, w *weights)) {
			w, err := weightsFor(in, to, start, count, filter)
			if err != nil {
				t.Fatal(err)
			}
			one, other := New(width, height), New(width, height)
			convolve(portable)(one, im, &w)
			convolve(avx2)(other, im, &w)
			if !slices.Equal(one.Pix, other.Pix) {
				t.Errorf("%s differ", direction)
			}
		}
		both("rows", im.Width, count, im.Height, func(s *instructionSet) func(out, im *Image, w *weights) { return s.rows })
		both("columns", im.Height, im.Width, count, func(s *instructionSet) func(out, im *Image, w *weights) { return s.columns })
	})
}
