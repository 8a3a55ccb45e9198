package rng

import "math"

// blockSize is how many normals torch makes at a time, and the length from which it does so.
const blockSize = 16

// Randn fills dst with normal numbers, as torch.randn(len(dst)). Numbers depend on the length: torch
// has one algorithm below 16 values and another from there on.
func (g *Generator) Randn(dst []float32) {
	if len(dst) < blockSize {
		for i := range dst {
			dst[i] = float32(g.normal())
		}
		return
	}
	g.Rand(dst)
	whole := len(dst) / blockSize * blockSize
	for i := 0; i < whole; i += blockSize {
		boxMuller(dst[i : i+blockSize])
	}
	if whole < len(dst) {
		// The last 16 values are drawn anew, those of the last whole block among them.
		tail := dst[len(dst)-blockSize:]
		g.Rand(tail)
		boxMuller(tail)
	}
}

// normal returns one normal number in double precision (Box & Muller, 1958) and keeps the other of its pair.
func (g *Generator) normal() float64 {
	if g.hasSpare {
		g.hasSpare = false
		return g.spare
	}
	u1, u2 := g.Float64(), g.Float64()
	r := math.Sqrt(-2 * math.Log1p(-u2))
	sin, cos := math.Sincos(2 * math.Pi * u1)
	g.spare, g.hasSpare = r*sin, true
	return r * cos
}

// boxMuller turns 16 uniforms into 16 normals in place: value j is paired with value j+8.
func boxMuller(block []float32) {
	const half = blockSize / 2
	for j := range half {
		u1 := 1 - block[j] // [0, 1) to (0, 1], for the logarithm
		u2 := block[j+half]
		r := float32(math.Sqrt(float64(-2 * log32(u1))))
		sin, cos := sincos32(float32(2*math.Pi) * u2)
		block[j] = r * cos
		block[j+half] = r * sin
	}
}
