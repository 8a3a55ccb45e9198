package jpeg

import (
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
	"pgregory.net/rapid"
)

func bytesOf(t *rapid.T, n int, label string) []uint8 {
	return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, label)
}

// TestAVX2EqualsPortable compares the functions on any values, not only those that pictures have.
func TestAVX2EqualsPortable(t *testing.T) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasBMI2 {
		t.Skip("no AVX2 or no BMI2 here")
	}
	both := func(name string, compute func(t *rapid.T, s *instructionSet, seed []uint8) any, equal func(a, b any) bool) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				seed := bytesOf(t, rapid.IntRange(8, 300).Draw(t, "n"), "seed")
				if !equal(compute(t, portable, seed), compute(t, avx2, seed)) {
					t.Error("they differ")
				}
			})
		})
	}
	sameBytes := func(a, b any) bool { return slices.Equal(a.([]uint8), b.([]uint8)) }
	both("colours", func(_ *rapid.T, s *instructionSet, seed []uint8) any {
		n := len(seed) / 3
		out := make([]uint8, 3*n)
		s.colours(out, seed[:n], seed[n:2*n], seed[2*n:3*n])
		return out
	}, sameBytes)
	both("weigh", func(_ *rapid.T, s *instructionSet, seed []uint8) any {
		sums := make([]uint16, len(seed)/2)
		s.weigh(sums, seed[:len(sums)], seed[len(sums):][:len(sums)], 3, 1)
		return sums
	}, func(a, b any) bool { return slices.Equal(a.([]uint16), b.([]uint16)) })
	both("triangle", func(_ *rapid.T, s *instructionSet, seed []uint8) any {
		sums := make([]uint16, len(seed))
		for i, v := range seed {
			sums[i] = 4 * uint16(v)
		}
		out := make([]uint8, 2*(len(seed)-2))
		s.triangle(out, sums, 8, 7, 4)
		return out
	}, sameBytes)
	both("inverse", func(t *rapid.T, s *instructionSet, seed []uint8) any {
		coefficients, quant := make([]int16, 4*blockSize), new([blockSize]uint16)
		for i := range coefficients {
			coefficients[i] = int16(seed[i%len(seed)]) << (seed[i%len(seed)/2] % 9)
			if i/blockSize%2 == int(seed[0]%2) && i%blockSize >= 8 { // a first row alone
				coefficients[i] = 0
			}
		}
		for i := range quant {
			quant[i] = uint16(seed[i%7]) << (seed[7] % 9)
		}
		samples := make([]uint8, 4*blockSize)
		s.inverse(samples, coefficients, quant)
		return samples
	}, sameBytes)
	counts := []byte{0, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}
	symbols := []byte{1, 2, 0, 3, 0x11, 0x21, 4, 0xf0, 0x35, 0x81, 6, 0x12, 0x5a, 0xf1, 0x7f, 7, 8, 9}
	table, err := newHuffman(counts, symbols)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		block [blockSize]int16
		next  uint64
		at, k int
		n     uint
	}
	both("coefficients", func(_ *rapid.T, s *instructionSet, seed []uint8) any {
		var r result
		b := bits{data: append(slices.Clone(seed), zeros[:]...), end: len(seed) * 8}
		r.k = s.coefficients(&b, table, &r.block, 1)
		r.at, r.n, r.next = b.at, b.n, b.next
		return r
	}, func(a, b any) bool { return a == b })
}
