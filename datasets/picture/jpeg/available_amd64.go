package jpeg

import (
	"os"

	"golang.org/x/sys/cpu"
)

//go:generate go run -C ../../gen ./jpeg -out ../picture/jpeg/avx2_amd64.s -stubs ../picture/jpeg/avx2_amd64.go -pkg jpeg

// active is the table in use: the processor's best, or the one that the environment's REGFT_CPU names.
var active = func() *instructionSet {
	if cpu.X86.HasAVX2 && cpu.X86.HasBMI2 && os.Getenv("REGFT_CPU") != "portable" {
		return avx2
	}
	return portable
}()

// avx2 holds the functions of gen. What they leave of a row, less than one step, is for the portable ones.
var avx2 = &instructionSet{
	coefficients: func(b *bits, h *huffman, block *[blockSize]int16, k int) int {
		var at, n int
		_ = b.data[b.at+4*blockSize+8] // no block takes more
		at, b.next, n, k = coefficientsAVX2(&b.data[0], b.at, b.next, int(b.n), &h.look[0], &zigzag[0], &block[0], k)
		b.at, b.n = at, uint(n)
		return k
	},
	inverse: func(samples []uint8, coefficients []int16, quant *[blockSize]uint16) {
		if pairs := len(coefficients) / (2 * blockSize); pairs > 0 {
			_ = samples[pairs*2*blockSize-1]
			inverseAVX2(&samples[0], len(samples)/8, &coefficients[0], pairs, &quant[0])
		}
	},
	weigh: func(sums []uint16, near, far []uint8, a, b int) {
		n := len(sums)
		near, far = near[:n], far[:n]
		if n >= 16 {
			weighAVX2(&sums[0], &near[0], &far[0], n, a, b)
		}
		n &^= 15
		weighPortable(sums[n:], near[n:], far[n:], a, b)
	},
	triangle: func(out []uint8, sums []uint16, biasEven, biasOdd, shift int) {
		n := len(out) / 2
		_ = sums[n+1]
		if n >= 16 {
			triangleAVX2(&out[0], &sums[0], n, biasEven, biasOdd, shift)
		}
		n &^= 15
		trianglePortable(out[2*n:], sums[n:], biasEven, biasOdd, shift)
	},
	colours: func(out, luma, cb, cr []uint8) {
		n := len(luma)
		out, cb, cr = out[:3*n], cb[:n], cr[:n]
		if n >= 16 {
			coloursAVX2(&out[0], &luma[0], &cb[0], &cr[0], n)
		}
		n &^= 15
		coloursPortable(out[3*n:], luma[n:], cb[n:], cr[n:])
	},
}
