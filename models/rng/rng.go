// Package rng gives the random numbers of PyTorch's CPU generator (torch.Generator("cpu")): the same seed
// and the same calls give the same numbers, bit for bit as torch on x86-64 with AVX2 has them.
//
// References: aten/src/ATen/CPUGeneratorImpl.cpp, core/DistributionsHelper.h and
// native/cpu/DistributionTemplates.h of PyTorch 2.15.
package rng

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Generator is a stream of random numbers. A copy of the value goes on from the same place,
// independently; MarshalBinary keeps that place for later. It is not safe for concurrent use.
type Generator struct {
	mt mt19937

	// Box and Muller give normals in pairs; the second one waits here, across calls.
	spare    float64
	hasSpare bool
}

// New returns a generator as torch.Generator().manual_seed(seed): only the low 32 bits of seed matter.
func New(seed uint64) *Generator {
	return &Generator{mt: newMT19937(uint32(seed))}
}

// Uint32 returns 32 random bits.
func (g *Generator) Uint32() uint32 { return g.mt.uint32() }

// Uint64 returns 64 random bits: two draws, the first one on top.
func (g *Generator) Uint64() uint64 {
	high := uint64(g.Uint32())
	return high<<32 | uint64(g.Uint32())
}

// Float32 returns a uniform number in [0, 1) with the 24 bits of a float32, as torch.rand(1).
func (g *Generator) Float32() float32 {
	return float32(g.Uint32()&(1<<24-1)) * (1.0 / (1 << 24))
}

// Float64 returns a uniform number in [0, 1) with the 53 bits of a float64, as
// torch.rand(1, dtype=torch.float64).
func (g *Generator) Float64() float64 {
	return float64(g.Uint64()&(1<<53-1)) * (1.0 / (1 << 53))
}

// Rand fills dst as torch.rand(len(dst)).
func (g *Generator) Rand(dst []float32) {
	for i := range dst {
		dst[i] = g.Float32()
	}
}

// Rand64 fills dst as torch.rand(len(dst), dtype=torch.float64).
func (g *Generator) Rand64(dst []float64) {
	for i := range dst {
		dst[i] = g.Float64()
	}
}

// Randint fills dst with integers in [low, high), as torch.randint(low, high, (len(dst),)).
// It panics unless low < high.
func (g *Generator) Randint(dst []int64, low, high int64) {
	if low >= high {
		panic(fmt.Sprintf("rng: Randint needs low < high, got [%d, %d)", low, high))
	}
	// torch takes the remainder of 32 bits below this range, of 64 bits from it on.
	const wide = 1 << 28
	n := uint64(high) - uint64(low)
	for i := range dst {
		if n >= wide {
			dst[i] = int64(g.Uint64()%n) + low
		} else {
			dst[i] = int64(uint64(g.Uint32())%n) + low
		}
	}
}

// manyPositions is the length from which torch.randperm draws 64 bits a position: 32 would be skewed.
const manyPositions = math.MaxUint32 / 20

// Randperm returns a random order of 0 … n-1, as torch.randperm(n).
func (g *Generator) Randperm(n int) []int {
	if n < manyPositions {
		return g.shuffle(n)
	}
	return g.insideOut(n)
}

// shuffle is the Fisher–Yates shuffle from the first position on.
func (g *Generator) shuffle(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := range n - 1 {
		j := i + int(g.Uint32()%uint32(n-i))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// insideOut is the variant of the Fisher–Yates shuffle that needs no initial order.
func (g *Generator) insideOut(n int) []int {
	order := make([]int, n)
	for i := range order {
		j := int(g.Uint64() % uint64(i+1))
		order[i] = order[j]
		order[j] = i
	}
	return order
}

const stateSize = 4*words + 4 + 8 + 1

// MarshalBinary returns the place in the stream, for UnmarshalBinary.
func (g *Generator) MarshalBinary() ([]byte, error) {
	data := make([]byte, 0, stateSize)
	for _, word := range g.mt.state {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	data = binary.LittleEndian.AppendUint32(data, uint32(g.mt.next))
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(g.spare))
	if g.hasSpare {
		return append(data, 1), nil
	}
	return append(data, 0), nil
}

// UnmarshalBinary goes on from the place that MarshalBinary returned. It refuses anything else.
func (g *Generator) UnmarshalBinary(data []byte) error {
	if len(data) != stateSize {
		return fmt.Errorf("rng: the state of a generator has %d bytes, not %d", stateSize, len(data))
	}
	next := binary.LittleEndian.Uint32(data[4*words:])
	flag := data[stateSize-1]
	if next > words || flag > 1 {
		return fmt.Errorf("rng: damaged state of a generator: position %d, flag %d", next, flag)
	}
	for i := range g.mt.state {
		g.mt.state[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	g.mt.next = int(next)
	g.spare = math.Float64frombits(binary.LittleEndian.Uint64(data[4*words+4:]))
	g.hasSpare = flag == 1
	return nil
}
