package rng

// The Mersenne Twister MT19937 (Matsumoto & Nishimura, 1998): 624 words of state, of which each call
// gives one, tempered.
const (
	words      = 624
	middle     = 397
	upperMask  = 0x80000000
	lowerMask  = 0x7fffffff
	twist      = 0x9908b0df
	multiplier = 1812433253
)

type mt19937 struct {
	state [words]uint32
	next  int // the word that the next call gives; words when all are used up
}

func newMT19937(seed uint32) mt19937 {
	m := mt19937{next: words}
	m.state[0] = seed
	for i := 1; i < words; i++ {
		previous := m.state[i-1]
		m.state[i] = multiplier*(previous^previous>>30) + uint32(i)
	}
	return m
}

func (m *mt19937) uint32() uint32 {
	if m.next == words {
		m.refill()
	}
	y := m.state[m.next]
	m.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (m *mt19937) refill() {
	s := &m.state
	for i := range words - middle {
		s[i] = s[i+middle] ^ twisted(s[i], s[i+1])
	}
	for i := words - middle; i < words-1; i++ {
		s[i] = s[i+middle-words] ^ twisted(s[i], s[i+1])
	}
	s[words-1] = s[middle-1] ^ twisted(s[words-1], s[0])
	m.next = 0
}

func twisted(u, v uint32) uint32 {
	// -(v & 1) is all ones when v is odd: no branch on random bits.
	return (u&upperMask|v&lowerMask)>>1 ^ -(v&1)&twist
}
