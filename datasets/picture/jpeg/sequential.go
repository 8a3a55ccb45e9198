package jpeg

import "encoding/binary"

// sequential reads a block of a sequential file.
func (s *scan) sequential(p *part, block *[blockSize]int16) error {
	b := &s.bits
	b.fill()
	if entry := p.dc.look[b.next>>(64-lookBits)]; entry>>16 != 0 {
		b.take(uint(entry & 63))
		p.prediction += int(int16(entry >> 16))
	} else {
		size, err := b.symbol(p.dc)
		if err != nil {
			return err
		}
		p.prediction += b.value(size & 15)
	}
	block[0] = int16(p.prediction)
	return b.coefficients(p.ac, block)
}

// coefficients reads all but the first coefficient of a block. It is where decoding spends most of its time: the reader's state is in
// variables, and the most frequent symbols take one look with their value.
func (b *bits) coefficients(h *huffman, block *[blockSize]int16) error {
	data, at, next, n := b.data, b.at, b.next, b.n
	for k := 1; k < blockSize; k++ {
		next |= binary.BigEndian.Uint64(data[at:]) >> (n & 63) // fill
		at += int(63-n) >> 3
		n |= 56
		entry := h.look[next>>(64-lookBits)]
		next <<= entry & 63
		n -= uint(entry & 63)
		if entry>>16 != 0 {
			k += int(entry >> 8 & 255)
			block[zigzag[k&127]&63] = int16(entry >> 16)
			continue
		}
		symbol := int(entry >> 8)
		if entry == 0 {
			long := bits{next: next, n: n}
			var err error
			if symbol, err = long.symbol(h); err != nil {
				return err
			}
			next, n = long.next, long.n
		}
		size := uint(symbol & 15)
		if size == 0 && symbol != 0xf0 {
			break
		}
		k += symbol >> 4
		if size > 0 {
			block[zigzag[k&127]&63] = int16(extend(int(next>>(64-size)), int(size)))
			next <<= size
			n -= size
		}
	}
	b.at, b.next, b.n = at, next, n
	return nil
}
