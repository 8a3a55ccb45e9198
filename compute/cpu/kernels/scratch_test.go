package kernels

import "testing"

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
