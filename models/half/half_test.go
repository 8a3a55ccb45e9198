package half

import (
	"math"
	"testing"
)

// exactly are the numbers of a half type in order, from 0 on; the next after the last finite one stands for infinity.
func exactly(last uint16, from func(uint16) float32, beyond float64) []float64 {
	var out []float64
	for h := range last + 1 {
		out = append(out, float64(from(h)))
	}
	return append(out, beyond)
}

// Every number of a type, and those around the middle between it and the next, where rounding is decided.
func TestRounding(t *testing.T) {
	for name, c := range map[string]struct {
		to      func(float32) uint16
		from    func(uint16) float32
		numbers []float64
	}{
		"float16":  {float16, FromFloat16, exactly(0x7bff, FromFloat16, 1<<16)},
		"bfloat16": {bfloat16, FromBFloat16, exactly(0x7f7f, FromBFloat16, math.Ldexp(1, 128))},
	} {
		t.Run(name, func(t *testing.T) {
			for h := range uint16(len(c.numbers) - 1) {
				low, high := c.numbers[h], c.numbers[h+1]
				middle := float32((low + high) / 2)
				if got := c.to(float32(low)); got != h {
					t.Fatalf("%g is %#x, want %#x", low, got, h)
				}
				even := h + h&1
				for x, want := range map[float32]uint16{math.Nextafter32(middle, 0): h, middle: even, math.Nextafter32(middle, math.MaxFloat32): h + 1} {
					if float64(x) <= low || float64(x) >= high {
						continue // there is no number in between, of float32's own last ones
					}
					if got := c.to(x); got != want {
						t.Fatalf("%g, between %g (%#x) and %g, is %#x, want %#x", x, low, h, high, got, want)
					}
					if got := c.to(-x); got != want|0x8000 {
						t.Fatalf("%g is %#x, want %#x", -x, got, want|0x8000)
					}
				}
			}
		})
	}
}

func TestSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), math.Float32frombits(0x7f800001)
	for _, c := range []struct {
		x    float32
		half uint16
		b    uint16
	}{
		{inf, 0x7c00, 0x7f80}, {-inf, 0xfc00, 0xff80}, {nan, 0x7e00, 0x7fc0}, {math.MaxFloat32, 0x7c00, 0x7f80},
		{65519.996, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780}, {float32(math.Copysign(0, -1)), 0x8000, 0x8000},
	} {
		if got := float16(c.x); got != c.half {
			t.Errorf("float16 of %g is %#x, want %#x", c.x, got, c.half)
		}
		if got := bfloat16(c.x); got != c.b {
			t.Errorf("bfloat16 of %g is %#x, want %#x", c.x, got, c.b)
		}
	}
	for _, h := range []uint16{0x7c00, 0xfc00} {
		if x := FromFloat16(h); !math.IsInf(float64(x), 0) || math.Signbit(float64(x)) != (h > 0x8000) {
			t.Errorf("%#x is %g", h, x)
		}
	}
	if x := FromFloat16(0x7e01); x == x {
		t.Errorf("0x7e01 is %g", x)
	}
}

func TestFromFloat16(t *testing.T) {
	for h := range uint16(0x7c00) {
		want := math.Ldexp(float64(h&0x3ff), -24)
		if exponent := int(h >> 10); exponent > 0 {
			want = math.Ldexp(float64(h&0x3ff|0x400), exponent-25)
		}
		if plus, minus := FromFloat16(h), FromFloat16(h|0x8000); float64(plus) != want || float64(minus) != -want {
			t.Fatalf("%#x is %g, and %g with the sign's bit, want %g", h, plus, minus, want)
		}
	}
}

func BenchmarkToFloat16(b *testing.B) {
	src, dst := make([]float32, 1<<16), make([]uint16, 1<<16)
	for i := range src {
		src[i] = float32(i%2003)/1e4 - 0.1
	}
	b.SetBytes(4 * int64(len(src)))
	for b.Loop() {
		ToFloat16(dst, src)
	}
}
