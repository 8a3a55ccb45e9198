package kernels

import (
	"math/bits"
	"slices"
	"sync"
	"weak"
)

// scratchPools hold memory that is used for a while in one call, by the class of its size, below largeScratch. What is not in
// use goes back to the garbage collector.
var scratchPools [8 * 48]sync.Pool

// largeScratch is the length from which on one memory serves calls of any size: kept by size, those of the layers of one model
// would be hundreds of megabytes.
const largeScratch = 1 << 18

// largeIdle is what is not in use of that length, smallest first.
var largeIdle struct {
	sync.Mutex
	free []largeMemory
}

type largeMemory struct {
	size int
	at   weak.Pointer[[]float32]
}

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
	var p *[]float32
	if size >= largeScratch {
		p = takeLarge(size)
	} else {
		p, _ = scratchPools[class].Get().(*[]float32)
	}
	if p == nil {
		buffer := make([]float32, size)
		p = &buffer
	}
	return scratch{data: (*p)[:n], from: p}
}

// takeLarge is the smallest idle memory of at least that size. Where there is none, nil, the largest that is too small is let go:
// what is made in its place serves its calls too.
func takeLarge(size int) *[]float32 {
	largeIdle.Lock()
	defer largeIdle.Unlock()
	i, _ := slices.BinarySearchFunc(largeIdle.free, size, func(m largeMemory, size int) int { return m.size - size })
	for i < len(largeIdle.free) {
		p := largeIdle.free[i].at.Value()
		largeIdle.free = slices.Delete(largeIdle.free, i, i+1)
		if p != nil {
			return p
		}
	}
	if i > 0 {
		largeIdle.free = slices.Delete(largeIdle.free, i-1, i)
	}
	return nil
}

func putLarge(p *[]float32) {
	largeIdle.Lock()
	defer largeIdle.Unlock()
	m := largeMemory{len(*p), weak.Make(p)}
	i, _ := slices.BinarySearchFunc(largeIdle.free, m.size, func(m largeMemory, size int) int { return m.size - size })
	largeIdle.free = slices.Insert(largeIdle.free, i, m)
}

// release gives the memory back; it is nothing for the zero scratch.
func (s scratch) release() {
	if s.from == nil {
		return
	}
	class, size := sizeClass(len(*s.from))
	if size >= largeScratch {
		putLarge(s.from)
		return
	}
	scratchPools[class].Put(s.from)
}
