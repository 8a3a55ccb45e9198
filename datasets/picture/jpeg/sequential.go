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
	for k := 1; k < blockSize; {
		if k = active.coefficients(b, p.ac, block, k); k >= blockSize {
			break
		}
		symbol, err := b.symbol(p.ac) // one whose code is too long to be looked up
		if err != nil {
			return err
		}
		run, size := symbol>>4, symbol&15
		if size == 0 && run < 15 {
			break
		}
		k += run
		if size > 0 {
			block[zigzag[k&127]] = int16(b.value(size))
		}
		k++
	}
	return nil
}

// coefficientsPortable is coefficients of instructionSet. It is where decoding spends most of its time: the reader's state is in
// variables, and the most frequent symbols take one look with their value.
func coefficientsPortable(b *bits, h *huffman, block *[blockSize]int16, k int) int {
	data, at, next, n := b.data, b.at, b.next, b.n
	for ; k < blockSize; k++ {
		next |= binary.BigEndian.Uint64(data[at:]) >> (n & 63) // fill
		at += int(63-n) >> 3
		n |= 56
		entry := h.look[next>>(64-lookBits)]
		if entry == 0 {
			break
		}
		next <<= entry & 63
		n -= uint(entry & 63)
		if entry>>16 != 0 {
			k += int(entry >> 8 & 255)
			block[zigzag[k&127]&63] = int16(entry >> 16)
			continue
		}
		symbol := int(entry >> 8)
		size := uint(symbol & 15)
		if size == 0 && symbol != 0xf0 {
			k = blockSize
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
	return k
}
