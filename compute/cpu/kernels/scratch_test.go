package kernels

import (
	"runtime"
	"testing"
)

// TestSizeClass holds that sizes are not much larger than what was asked for, and classes are those of the sizes.
func TestSizeClass(t *testing.T) {
	sizes := map[int]int{}
	for n := 1; n < 1<<14; n++ {
		class, size := sizeClass(n)
		if size < n || size > n+n/4 {
			t.Fatalf("%d numbers get %d", n, size)
		}
		if again, same := sizeClass(size); again != class || same != size {
			t.Fatalf("%d numbers get class %d, their size %d class %d", n, class, size, again)
		}
		if other, ok := sizes[class]; ok && other != size {
			t.Fatalf("class %d holds sizes %d and %d", class, other, size)
		}
		sizes[class] = size
	}
}

// TestLargeScratch holds that large memory serves calls of other sizes, and that what is too small for them does not pile up.
func TestLargeScratch(t *testing.T) {
	largeIdle.free = nil
	small, large := newScratch(largeScratch), newScratch(4*largeScratch)
	small.release()
	large.release()
	first := newScratch(largeScratch + 1)
	second := newScratch(2 * largeScratch)
	if first.from != large.from || len(first.data) != largeScratch+1 {
		t.Errorf("the smallest that is large enough is not used")
	}
	if second.from == small.from || len(largeIdle.free) != 0 {
		t.Errorf("%d memories are idle that were too small, want none", len(largeIdle.free))
	}
	first.release()
	second.release()
	if again := newScratch(largeScratch); again.from != second.from {
		t.Errorf("the smallest is not used first")
	}
	runtime.KeepAlive([]scratch{small, large, first, second})
}
