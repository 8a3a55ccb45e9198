// Package half converts between float32 and the two half types of weights: IEEE 754's binary16, and bfloat16. Conversions to
// them round to nearest, ties to even, and keep what is infinite or no number, as PyTorch's do; those back are exact.
package half

import "math"

// Bits of float32.
const (
	sign     = 1 << 31
	infinity = 0xff << 23
)

// ToFloat16 rounds src to dst, the bits of binary16, which is as long.
func ToFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = float16(x)
	}
}

// ToBFloat16 is ToFloat16 for bfloat16.
func ToBFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = bfloat16(x)
	}
}

// FromFloat16 is the number that the bits of a binary16 mean.
func FromFloat16(h uint16) float32 {
	bits := uint32(h&0x7fff) << 13
	if h&0x7c00 == 0x7c00 {
		return math.Float32frombits(uint32(h&0x8000)<<16 | infinity | bits)
	}
	x := math.Float32frombits(bits) * (1 << 112) // from one exponent's bias to the other's
	return math.Float32frombits(uint32(h&0x8000)<<16 | math.Float32bits(x))
}

// FromBFloat16 is the number that the bits of a bfloat16 mean.
func FromBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

func float16(x float32) uint16 {
	const (
		least = 0x71 << 23 // 2⁻¹⁴, the least normal number
		most  = 0x8f << 23 // 2¹⁶, beyond all numbers
		bias  = 0x70 << 23 // 127 − 15
	)
	bits := math.Float32bits(x)
	negative := uint16(bits >> 16 & 0x8000)
	switch bits &^= sign; {
	case bits > infinity:
		return negative | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= most:
		return negative | 0x7c00
	case bits < least: // a half's last bit is 0.5's there, so the sum is rounded as it shall be
		return negative | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-math.Float32bits(0.5))
	}
	return negative | uint16((bits-bias+0xfff+bits>>13&1)>>13)
}

func bfloat16(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&^sign > infinity {
		return uint16(bits>>16 | 0x40)
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
