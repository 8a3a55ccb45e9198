package pil

import (
	"os"

	"golang.org/x/sys/cpu"
)

//go:generate go run -C ../gen ./pil -out ../pil/avx2_amd64.s -stubs ../pil/avx2_amd64.go -pkg pil

// active is the table in use: the processor's best, or the one that the environment's REGFT_CPU names.
var active = func() *instructionSet {
	if cpu.X86.HasAVX2 && os.Getenv("REGFT_CPU") != "portable" {
		return avx2
	}
	return portable
}()

var avx2 = &instructionSet{rowsAVX2, columnsAVX2}

// splitBits are the bits of the lower part of a weight: both parts fit in 16 bits.
const splitBits = 12

// pairOf packs a part of two weights into a word: its first half is that of the first.
func pairOf(part func(k int32) int32, kernel []uint64, j int) uint32 {
	word := uint32(uint16(part(weight(kernel, j))))
	return word | uint32(part(weight(kernel, j+1)))<<16
}

// weight is the j-th, or 0 behind the last.
func weight(kernel []uint64, j int) int32 {
	if j < len(kernel) {
		return int32(kernel[j])
	}
	return 0
}

func upper(k int32) int32 { return k >> splitBits }
func lower(k int32) int32 { return k & (1<<splitBits - 1) }

// rowsAVX2 works on two rows at a time, in lines of its own: vectors read and write a little more than there is.
func rowsAVX2(out, im *Image, w *weights) {
	groups := (w.longest() + 3) / 4
	left, right := w.inputs()
	first := make([]int, len(w.first)) // in bytes
	kernel := make([]uint32, 0, len(w.first)*groups*4)
	for i, x := range w.first {
		first[i] = (x - left) * Channels
		for j := 0; j < 4*groups; j += 4 {
			k := w.of(i)
			kernel = append(kernel, pairOf(upper, k, j), pairOf(upper, k, j+2), pairOf(lower, k, j), pairOf(lower, k, j+2))
		}
	}
	in, across := (right-left)*Channels, out.Width*Channels
	length := in + 4*groups*Channels + 16
	lines := make([]uint8, 2*length+2*(across+1))
	in0, in1 := lines[:length], lines[length:2*length]
	out0, out1 := lines[2*length:][:across+1], lines[2*length+across+1:]
	for y := 0; y < im.Height; y += 2 {
		below := min(y+1, im.Height-1)
		copy(in0[:in], im.Row(y)[left*Channels:])
		copy(in1[:in], im.Row(below)[left*Channels:])
		rowAVX2(&out0[0], &out1[0], &in0[0], &in1[0], &first[0], &kernel[0], out.Width, groups)
		copy(out.Row(y), out0)
		copy(out.Row(below), out1)
	}
}

// columnsAVX2 leaves rows of less than 16 values to columnsPortable.
func columnsAVX2(out, im *Image, w *weights) {
	values := im.Width * Channels
	if values < 16 {
		columnsPortable(out, im, w)
		return
	}
	kernel := make([]uint32, 0, w.longest()+1)
	for y, first := range w.first {
		k := w.of(y)
		kernel = kernel[:0]
		for j := 0; j < len(k); j += 2 {
			kernel = append(kernel, pairOf(upper, k, j), pairOf(lower, k, j))
		}
		in := im.Pix[first*values:][:len(k)*values]
		columnAVX2(&out.Row(y)[0], &in[0], values, values, &kernel[0], len(k))
	}
}
