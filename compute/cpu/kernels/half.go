package kernels

import "math"

// Float16ToFloat32 widens IEEE 754 half-precision numbers exactly; src is as long as dst or longer.
func Float16ToFloat32(dst []float32, src []uint16) { active.float16To32(dst, src[:len(dst)]) }

// BFloat16ToFloat32 widens bfloat16 numbers exactly.
func BFloat16ToFloat32(dst []float32, src []uint16) { active.bfloat16To32(dst, src[:len(dst)]) }

func float16To32Portable(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = widenFloat16(h)
	}
}

func widenFloat16(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 31: // Inf and NaN, made quiet as the processor does
		if fraction != 0 {
			fraction |= 512
		}
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	case 0: // zero and denormals: fraction · 2⁻²⁴
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

func bfloat16To32Portable(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}
