package picture

import (
	"cmp"
	"encoding/binary"
	"hash/adler32"
	"math/bits"
	"slices"
)

// Deflate's symbols (RFC 1951, 3.2.5): bytes, the end of a block, and lengths of matches.
const (
	endOfBlock  = 256
	symbols     = 286
	shortestRun = 3
	longestRun  = 258
	longestCode = 15
)

// codeOrder is the order in which the lengths of the code of code lengths are written (RFC 1951, 3.2.7).
var codeOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// deflate returns data as a zlib stream of one block with its own Huffman code, in which repeated bytes are matches at distance one.
func deflate(data []byte) []byte {
	var counts [symbols]int
	counts[endOfBlock] = 1
	runs(data, func(symbol int, _ int, _ uint) { counts[symbol]++ })
	lengths := codeLengths(counts[:], longestCode)
	w := &bitWriter{out: []byte{0x78, 0x01}}
	w.put(1|2<<1, 3) // the last block, with its own code
	w.header(lengths)
	code := canonical(lengths)
	runs(data, func(symbol, extra int, extraBits uint) {
		w.put(uint64(code[symbol]), uint(lengths[symbol]))
		if symbol > endOfBlock {
			w.put(uint64(extra), extraBits)
			w.put(0, 1) // the only distance
		}
	})
	w.put(uint64(code[endOfBlock]), uint(lengths[endOfBlock]))
	w.flush()
	return binary.BigEndian.AppendUint32(w.out, adler32.Checksum(data))
}

// runs calls emit for every symbol of data: bytes and, after a byte that repeats, lengths with their extra bits.
func runs(data []byte, emit func(symbol, extra int, extraBits uint)) {
	for i := 0; i < len(data); {
		emit(int(data[i]), 0, 0)
		end := i + 1
		for end < len(data) && data[end] == data[i] {
			end++
		}
		for i++; end-i >= shortestRun; {
			n := min(end-i, longestRun)
			emit(lengthSymbol(n))
			i += n
		}
	}
}

// lengthSymbol returns the symbol of a match's length and the bits that follow it (RFC 1951, 3.2.5): lengths 3 to 10 have a symbol each,
// then four symbols share a number of extra bits.
func lengthSymbol(n int) (symbol, extra int, extraBits uint) {
	switch {
	case n == longestRun:
		return 285, 0, 0
	case n <= 10:
		return 257 + n - shortestRun, 0, 0
	}
	v := n - shortestRun
	extraBits = uint(bits.Len(uint(v))) - 3
	return 257 + int(extraBits)*4 + v>>extraBits, v & (1<<extraBits - 1), extraBits
}

// header writes the lengths of the block's codes: those of the symbols, and one distance of one bit. They are written plainly, one code
// of at most seven bits each: shorter ways save some ten bytes a picture.
func (w *bitWriter) header(lengths []uint8) {
	all := append(slices.Clone(lengths), 1)
	var counts [19]int
	for _, n := range all {
		counts[n]++
	}
	codes := codeLengths(counts[:], 7)
	w.put(uint64(symbols-257), 5)
	w.put(0, 5)
	w.put(uint64(len(codeOrder)-4), 4)
	for _, n := range codeOrder {
		w.put(uint64(codes[n]), 3)
	}
	code := canonical(codes)
	for _, n := range all {
		w.put(uint64(code[n]), uint(codes[n]))
	}
}

// codeLengths returns the lengths of a Huffman code for symbols that occur so often, none longer than `longest`: where the best code
// would be deeper, the counts are levelled until it is not. Equal counts are ordered by symbol, so that the code never depends on chance.
func codeLengths(counts []int, longest uint8) []uint8 {
	counts = slices.Clone(counts)
	for {
		lengths := huffman(counts)
		if slices.Max(lengths) <= longest {
			return lengths
		}
		for i, n := range counts {
			counts[i] = (n + 1) / 2
		}
	}
}

// node is a node of a Huffman tree: its weight and its parent.
type node struct{ weight, parent int }

// huffman returns the depths of the leaves of a Huffman tree (van Leeuwen's method: leaves sorted by weight, and joined nodes, which come
// in order of weight by themselves, are two queues). A symbol that never occurs has depth zero; one that is alone has depth one.
func huffman(counts []int) []uint8 {
	var leaves []int
	for symbol, n := range counts {
		if n > 0 {
			leaves = append(leaves, symbol)
		}
	}
	slices.SortStableFunc(leaves, func(a, b int) int { return cmp.Compare(counts[a], counts[b]) })
	lengths := make([]uint8, len(counts))
	if len(leaves) == 1 {
		lengths[leaves[0]] = 1
		return lengths
	}
	nodes := make([]node, len(leaves), 2*len(leaves))
	for i, symbol := range leaves {
		nodes[i].weight = counts[symbol]
	}
	join(&nodes, len(leaves))
	depths := make([]uint8, len(nodes))
	for i := len(nodes) - 2; i >= 0; i-- {
		depths[i] = depths[nodes[i].parent] + 1
	}
	for i, symbol := range leaves {
		lengths[symbol] = depths[i]
	}
	return lengths
}

// join appends the inner nodes of the tree over the first `leaves` nodes, the root last.
func join(nodes *[]node, leaves int) {
	leaf, inner := 0, leaves
	lightest := func() int {
		if leaf < leaves && (inner == len(*nodes) || (*nodes)[leaf].weight <= (*nodes)[inner].weight) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for range leaves - 1 {
		a, b := lightest(), lightest()
		(*nodes)[a].parent, (*nodes)[b].parent = len(*nodes), len(*nodes)
		*nodes = append(*nodes, node{weight: (*nodes)[a].weight + (*nodes)[b].weight})
	}
}

// canonical returns the codes of given lengths (RFC 1951, 3.2.2), their bits reversed, for they are written lowest bit first.
func canonical(lengths []uint8) []uint16 {
	var next [longestCode + 2]uint16
	for n := 1; n <= longestCode; n++ {
		count := uint16(0)
		for _, l := range lengths {
			if int(l) == n {
				count++
			}
		}
		next[n+1] = (next[n] + count) << 1
	}
	codes := make([]uint16, len(lengths))
	for symbol, n := range lengths {
		if n > 0 {
			codes[symbol] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
	return codes
}

// bitWriter appends numbers of some bits, lowest first.
type bitWriter struct {
	out  []byte
	bits uint64
	n    uint
}

func (w *bitWriter) put(value uint64, n uint) {
	w.bits |= value << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.bits))
		w.bits >>= 8
	}
}

func (w *bitWriter) flush() {
	if w.n > 0 {
		w.out = append(w.out, byte(w.bits))
	}
	w.bits, w.n = 0, 0
}
