package readers

import "math/bits"

// pythonRandom is CPython's random.Random: MT19937 (Matsumoto and Nishimura, 2002), seeded by an integer as random.seed does.
type pythonRandom struct {
	state [624]uint32
	next  int
}

func newPythonRandom(seed uint32) *pythonRandom {
	r := &pythonRandom{next: 624}
	s := &r.state
	s[0] = 19650218
	for i := 1; i < len(s); i++ {
		s[i] = 1812433253*(s[i-1]^s[i-1]>>30) + uint32(i)
	}
	// init_by_array with the one word of the seed
	i := 1
	for range len(s) {
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1664525) + seed
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
func (r *pythonRandom) wrap(i int) int {
	if i+1 < len(r.state) {
		return i + 1
	}
	r.state[0] = r.state[len(r.state)-1]
	return 1
}

func (r *pythonRandom) uint32() uint32 {
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
func (r *pythonRandom) below(n int) int {
	for {
		if v := int(r.uint32() >> (32 - bits.Len(uint(n)))); v < n {
			return v
		}
	}
}

// shuffle is random.shuffle.
func shuffle[T any](r *pythonRandom, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := r.below(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}
