package jpeg

import (
	"encoding/binary"
	"errors"
	"slices"
)

// zigzag is the natural position of the i-th coefficient of a file. Broken files run past the end: they write the last one.
var zigzag = func() (t [128]uint8) {
	x, y := 0, 0
	for i := range t {
		if i >= blockSize {
			t[i] = 63
			continue
		}
		t[i] = uint8(8*y + x)
		switch up := (x+y)%2 == 0; {
		case up && x == 7, !up && y < 7 && x == 0:
			y++
		case up && y == 0, !up && y == 7:
			x++
		case up:
			x, y = x+1, y-1
		default:
			x, y = x-1, y+1
		}
	}
	return t
}()

// lookBits is the number of bits that a look into a huffman's table takes.
const lookBits = 10

// huffman is a table of codes of up to 16 bits. A symbol of the low four bits s is followed by a value of s bits.
type huffman struct {
	// look and codes are by the next lookBits bits. An entry of codes is symbol<<8 | bits of the code, or 0 where it does not fit. One
	// of look is value<<16 | symbol>>4<<8 | bits of code and value where both fit (a value is never 0), else that of codes.
	look    [1 << lookBits]uint32
	codes   [1 << lookBits]uint16
	end     [18]uint32 // by length: the first code, left-aligned in 16 bits, that is longer
	offset  [17]int    // by length: index of a code's symbol less the code
	symbols [256]uint8
}

var errHuffman = errors.New("a bad Huffman table")

// newHuffman makes a table of how many codes have each length from 1, and their symbols.
func newHuffman(counts []byte, symbols []byte) (*huffman, error) {
	h := new(huffman)
	copy(h.symbols[:], symbols)
	code, at := 0, 0
	for length := 1; length <= 16; length++ {
		h.offset[length] = at - code
		for range counts[length-1] {
			if code >= 1<<length {
				return nil, errHuffman
			}
			h.enter(code, length, symbols[at])
			code, at = code+1, at+1
		}
		h.end[length] = uint32(code) << (16 - length)
		code <<= 1
	}
	h.end[17] = 1 << 16
	return h, nil
}

// enter fills the entries of `look` that begin with a code.
func (h *huffman) enter(code, length int, symbol uint8) {
	if length > lookBits {
		return
	}
	rest := lookBits - length
	size := int(symbol & 15)
	for i := range 1 << rest {
		entry := uint32(symbol)<<8 | uint32(length)
		if size > 0 && size <= rest {
			v := extend(i>>(rest-size), size)
			entry = uint32(uint16(v))<<16 | uint32(symbol>>4)<<8 | uint32(length+size)
		}
		h.look[code<<rest|i] = entry
		h.codes[code<<rest|i] = uint16(symbol)<<8 | uint16(length)
	}
}

// extend gives the value that `size` bits stand for (T.81, F.2.2.1).
func extend(bits, size int) int {
	if bits < 1<<(size-1) {
		return bits - 1<<size + 1
	}
	return bits
}

// huffmanTables reads DHT.
func (d *decoder) huffmanTables(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return errHuffman
		}
		class, id, counts := body[0]>>4, body[0]&15, body[1:17]
		n := 0
		for _, c := range counts {
			n += int(c)
		}
		if class > 1 || id > 3 || n > 256 || len(body) < 17+n {
			return errHuffman
		}
		table, err := newHuffman(counts, body[17:17+n])
		if err != nil {
			return err
		}
		if class == 0 {
			if slices.ContainsFunc(table.symbols[:n], func(size uint8) bool { return size > 15 }) { // more bits than a value has
				return errHuffman
			}
			d.dc[id] = table
		} else {
			d.ac[id] = table
		}
		body = body[17+n:]
	}
	return nil
}

// bits reads a segment bit by bit. Behind its end it reads zeros, `padding` bytes of them.
type bits struct {
	data []byte // the segment and its padding
	at   int    // next byte
	next uint64 // the next bits, the first on top; below the first n of them there may be more
	n    uint   // how many are taken into account
	end  int    // bits of the segment
}

// padding is more than an MCU takes: of 31 bits at most is a code with its value.
const padding = maxBlocksInMCU*blockSize*4 + 8

var zeros [padding]byte

// fill makes sure that there are at least 56 bits.
func (b *bits) fill() {
	b.next |= binary.BigEndian.Uint64(b.data[b.at:]) >> (b.n & 63)
	b.at += int(63-b.n) >> 3
	b.n |= 56
}

// take drops n bits, n ≤ 32, and returns them. They must be there.
func (b *bits) take(n uint) int {
	v := b.next >> 32 >> ((32 - n) & 63)
	b.next <<= n & 63
	b.n -= n
	return int(v)
}

// over reports whether more bits were read than there were.
func (b *bits) over() bool { return b.at*8-int(b.n) > b.end }

var errCode = errors.New("a code that is in no Huffman table")

// symbol reads a symbol. 16 bits must be there.
func (b *bits) symbol(h *huffman) (int, error) {
	if entry := h.codes[b.next>>(64-lookBits)]; entry != 0 {
		b.take(uint(entry & 63))
		return int(entry >> 8), nil
	}
	code := uint32(b.next >> 48)
	for length := 1; length <= 16; length++ {
		if code < h.end[length] {
			v := b.take(uint(length))
			return int(h.symbols[(v+h.offset[length])&255]), nil
		}
	}
	return 0, errCode
}

// value reads the value of `size` bits that follows a symbol.
func (b *bits) value(size int) int {
	if size == 0 {
		return 0
	}
	return extend(b.take(uint(size)), size)
}
