package jpeg

// An instructionSet is the table of the functions that differ between processors. They give the same bytes.
type instructionSet struct {
	// coefficients reads a block's coefficients from the k-th on, and returns the number of the next: blockSize or more behind the last,
	// less before a symbol whose code is longer than lookBits.
	coefficients func(b *bits, h *huffman, block *[blockSize]int16, k int) int
	// inverse transforms a row of blocks, an even number of them, to eight rows of samples.
	inverse func(samples []uint8, coefficients []int16, quant *[blockSize]uint16)
	// weigh computes a·near + b·far; all three have one length.
	weigh func(sums []uint16, near, far []uint8, a, b int)
	// triangle computes (3·sums[i] + sums[i∓1] + bias) >> shift, for i from 1: a value of the left neighbour, one of the right.
	triangle func(out []uint8, sums []uint16, biasEven, biasOdd, shift int)
	// colours makes RGB of YCbCr.
	colours func(out, luma, cb, cr []uint8)
}

var portable = &instructionSet{coefficientsPortable, inversePortable, weighPortable, trianglePortable, coloursPortable}
