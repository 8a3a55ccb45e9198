package kernels

import (
	"math/bits"
	"sync"
)

// scratchPools hold memory that is used for a while in one call, by the power of two that it holds. What is not in use
// goes back to the garbage collector.
var scratchPools [48]sync.Pool

// A scratch is memory of undefined content, given back by release.
type scratch struct {
	data []float32
	from *[]float32
}

func newScratch(n int) scratch {
	class := bits.Len(uint(max(n, 1) - 1))
	p, ok := scratchPools[class].Get().(*[]float32)
	if !ok {
		buffer := make([]float32, 1<<class)
		p = &buffer
	}
	return scratch{data: (*p)[:n], from: p}
}

// release gives the memory back; it is nothing for the zero scratch.
func (s scratch) release() {
	if s.from != nil {
		scratchPools[bits.Len(uint(len(*s.from)-1))].Put(s.from)
	}
}
