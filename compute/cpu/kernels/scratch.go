package kernels

import (
	"math/bits"
	"sync"
)

// scratchPools hold memory that is used for a while in one call, by the class of its size. What is not in use goes back to
// the garbage collector.
var scratchPools [8 * 48]sync.Pool

// sizeClass rounds n, at least 1, up to eighths of a power of two and numbers the sizes.
func sizeClass(n int) (class, size int) {
	shift := max(0, bits.Len(uint(n-1))-3)
	eighths := ceilDiv(n, 1<<shift)
	return 8*shift + eighths - 1, eighths << shift
}

// A scratch is memory of undefined content, given back by release.
type scratch struct {
	data []float32
	from *[]float32
}

func newScratch(n int) scratch {
	class, size := sizeClass(max(n, 1))
	p, ok := scratchPools[class].Get().(*[]float32)
	if !ok {
		buffer := make([]float32, size)
		p = &buffer
	}
	return scratch{data: (*p)[:n], from: p}
}

// release gives the memory back; it is nothing for the zero scratch.
func (s scratch) release() {
	if s.from != nil {
		class, _ := sizeClass(len(*s.from))
		scratchPools[class].Put(s.from)
	}
}
