package rng

import (
	"fmt"
	"math"
)

// Philox is a stream of the normal numbers of PyTorch's CUDA generator (torch.Generator("cuda")), within 1e-6: the counter
// based generator Philox4x32-10 (Salmon et al., 2011), with Box and Muller's transform.
//
// Of a tensor drawn on a GPU it can be a part: that of one picture of a batch.
//
// References: native/cuda/DistributionTemplates.h of PyTorch 2.15 and curand_normal.h of CUDA; where a tensor has no more
// elements than the GPU runs threads, modules/rng_philox.py of AUTOMATIC1111's webui.
type Philox struct {
	key     [2]uint32
	calls   uint64 // of randn so far
	threads int
	whole   int // elements of the tensor drawn in a call
	first   int // of them ours begin here
}

// NewPhilox returns a generator as torch.Generator("cuda").manual_seed(seed), for tensors that have no more elements than the
// GPU runs threads.
func NewPhilox(seed uint64) *Philox {
	return &Philox{key: [2]uint32{uint32(seed), uint32(seed >> 32)}, threads: math.MaxInt}
}

// Part returns g for a part of larger tensors: of the whole elements of each call, drawn on a GPU that runs threads at once,
// Randn gives those from first on. The next call will be number calls, from 0.
func (g Philox) Part(whole, first, threads int, calls uint64) (*Philox, error) {
	const block = 256 // threads in a block
	if threads < block || first < 0 || first > whole {
		return nil, fmt.Errorf("the noise of a GPU of %d threads from element %d of %d: want at least %d threads, and an element of them", threads, first, whole, block)
	}
	g.threads, g.whole, g.first, g.calls = threads/block*block, whole, first, calls
	return &g, nil
}

// Randn fills dst with normal numbers, as torch.randn on a GPU.
func (g *Philox) Randn(dst []float32) {
	const perThread = 4 // numbers that a thread makes of one counter
	whole := max(g.whole, g.first+len(dst))
	threads := min((whole+255)/256*256, g.threads)
	rounds := uint64((whole-1)/(perThread*threads) + 1)
	for i := range dst {
		at := g.first + i
		thread, number := at%threads, at/threads
		counter := g.calls*rounds + uint64(number/perThread)
		words := philox(g.key, [4]uint32{uint32(counter), uint32(counter >> 32), uint32(thread), uint32(uint64(thread) >> 32)})
		dst[i] = normalOf(words, number%perThread)
	}
	g.calls++
}

// philox enciphers a counter: ten rounds.
func philox(key [2]uint32, c [4]uint32) [4]uint32 {
	for range 10 {
		a, b := uint64(c[0])*0xD2511F53, uint64(c[2])*0xCD9E8D57
		c = [4]uint32{uint32(b>>32) ^ c[1] ^ key[0], uint32(b), uint32(a>>32) ^ c[3] ^ key[1], uint32(a)}
		key[0] += 0x9E3779B9
		key[1] += 0xBB67AE85
	}
	return c
}

// normalOf is one of the four normal numbers of a thread: each pair of words gives a sine and a cosine.
func normalOf(words [4]uint32, number int) float32 {
	const inverse = 1.0 / (1 << 32)
	pair := words[number/2*2:]
	u := float64(pair[0])*inverse + inverse/2
	angle := 2 * math.Pi * (float64(pair[1])*inverse + inverse/2)
	sin, cos := math.Sincos(angle)
	if number%2 == 0 {
		return float32(math.Sqrt(-2*math.Log(u)) * sin)
	}
	return float32(math.Sqrt(-2*math.Log(u)) * cos)
}
