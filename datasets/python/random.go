// Package python draws what Python's random module draws, for splits and subsets that published code has drawn with it.
package python

import (
	"math"
	"math/bits"
)

// Random is CPython's random.Random: MT19937 (Matsumoto and Nishimura, 2002).
type Random struct {
	state [624]uint32
	next  int
}

// NewRandom is random.Random(seed), as random.seed(seed) leaves the module's own.
func NewRandom(seed uint64) *Random {
	r := &Random{next: 624}
	s := &r.state
	s[0] = 19650218
	for i := 1; i < len(s); i++ {
		s[i] = 1812433253*(s[i-1]^s[i-1]>>30) + uint32(i)
	}
	key := []uint32{uint32(seed)} // init_by_array with the seed's words
	if seed>>32 != 0 {
		key = append(key, uint32(seed>>32))
	}
	i := 1
	for k := range len(s) {
		j := k % len(key)
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1664525) + key[j] + uint32(j)
		i = r.wrap(i)
	}
	for range len(s) - 1 {
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1566083941) - uint32(i)
		i = r.wrap(i)
	}
	s[0] = 1 << 31
	return r
}

// wrap steps to the next word of the state; past the last, the first word becomes the last, and the second is next.
func (r *Random) wrap(i int) int {
	if i+1 < len(r.state) {
		return i + 1
	}
	r.state[0] = r.state[len(r.state)-1]
	return 1
}

func (r *Random) uint32() uint32 {
	s := &r.state
	if r.next == len(s) {
		for i := range s {
			y := s[i]&(1<<31) | s[(i+1)%len(s)]&(1<<31-1)
			s[i] = s[(i+397)%len(s)] ^ y>>1 ^ (y&1)*0x9908b0df
		}
		r.next = 0
	}
	y := s[r.next]
	r.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// below draws from 0 to n-1, n from 1 on: as many bits as n has, again until they are below n (Random._randbelow).
func (r *Random) below(n int) int {
	for {
		if v := int(r.uint32() >> (32 - bits.Len(uint(n)))); v < n {
			return v
		}
	}
}

// Shuffle is random.shuffle.
func Shuffle[T any](r *Random, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := r.below(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}

// Sample is random.sample(list, k) for k up to the list's length: of short lists, elements in the place of those drawn before are
// those at the end; of long ones, what was drawn is drawn again.
func Sample[T any](r *Random, list []T, k int) []T {
	n, few := len(list), 21
	if k > 5 {
		few += 1 << (2 * int(math.Ceil(math.Log(float64(k*3))/math.Log(4))))
	}
	out := make([]T, k)
	if n <= few {
		pool := append([]T(nil), list...)
		for i := range out {
			j := r.below(n - i)
			out[i], pool[j] = pool[j], pool[n-i-1]
		}
		return out
	}
	drawn := map[int]bool{}
	for i := range out {
		j := r.below(n)
		for drawn[j] {
			j = r.below(n)
		}
		drawn[j] = true
		out[i] = list[j]
	}
	return out
}
