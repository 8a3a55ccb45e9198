// Package kernels computes on plain float32 slices: matrix products, convolutions, attention, normalisations, reductions
// and element-wise functions, in portable Go and in assembly chosen by what the processor has.
//
// Matrices are row-major and images channels-last (NHWC). Functions that take a Pool split their work over it at sizes
// which depend on shapes alone; the others run where they are called, on ranges that the caller may split as it likes.
// Either way the result has the same bits for any number of workers. Sizes that do not fit the slices are mistakes of the
// program and panic; no function reads or writes outside the ranges that its comment names.
//
// The portable functions are the reference: every other instruction set is tested against them.
package kernels

// A Pool runs f(0), …, f(n-1), each once, in any order and side by side, and returns when all are done. It may leave out
// those not yet begun when its work is cancelled: what was to be computed is then undefined.
type Pool interface {
	Run(n int, f func(i int))
	// Workers is how many calls may run side by side, at least 1.
	Workers() int
}

// Serial is the Pool of one worker: the caller.
type Serial struct{}

// Run calls f(0) to f(n-1) in order.
func (Serial) Run(n int, f func(i int)) {
	for i := range n {
		f(i)
	}
}

// Workers is 1.
func (Serial) Workers() int { return 1 }

// runBlocks cuts [0, n) into blocks of size, the last one shorter, and runs f on each.
func runBlocks(pool Pool, n, size int, f func(from, to int)) {
	blocks := ceilDiv(n, size)
	if blocks == 1 {
		f(0, n)
		return
	}
	pool.Run(blocks, func(i int) { f(i*size, min(n, (i+1)*size)) })
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// evenly cuts n into the fewest blocks of at most limit, a multiple of unit, and gives the size of all but the last: at
// least 1, and a multiple of unit if there are several.
func evenly(n, limit, unit int) int {
	if n <= limit {
		return max(1, n)
	}
	return ceilDiv(ceilDiv(n, ceilDiv(n, limit)), unit) * unit
}
