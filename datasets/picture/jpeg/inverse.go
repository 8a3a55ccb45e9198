package jpeg

// transform computes the samples of n rows of blocks from `row` on: the coefficients' values, and libjpeg's accurate integer inverse
// cosine transform of them (jidctint.c).
func (c *component) transform(row, n int, coefficients []int16) {
	across := c.stride * blockSize
	for y := range n {
		active.inverse(c.plane[(row+y)*across:][:across], coefficients[y*across:][:across], c.quant)
	}
}

// inversePortable is inverse of instructionSet.
func inversePortable(samples []uint8, coefficients []int16, quant *[blockSize]uint16) {
	stride := len(samples) / 8
	for i := range len(coefficients) / blockSize {
		block := (*[blockSize]int16)(coefficients[i*blockSize:])
		inverseBlock(samples[i*8:], stride, block, quant)
	}
}

func inverseBlock(samples []uint8, stride int, block *[blockSize]int16, quant *[blockSize]uint16) {
	var work [blockSize]int32
	alone := [blockSize - 8]int16(block[8:]) == [blockSize - 8]int16{}
	for x := range 8 {
		in := [8]int32{}
		others := int16(0)
		for y := range 8 {
			others |= block[8*y+x]
			in[y] = int32(block[8*y+x] * int16(quant[8*y+x]))
		}
		if others == 0 {
			continue
		}
		if alone {
			in[0] = wrapped(in[0])
		}
		for y, v := range oneDimension(&in) {
			work[8*y+x] = min(max((v+1<<10)>>11, -1<<15), 1<<15-1)
		}
	}
	for y := range 8 {
		out := samples[y*stride:][:8]
		for x, v := range oneDimension((*[8]int32)(work[8*y:])) {
			out[x] = uint8(min(max((v+1<<17)>>18+128, 0), 255))
		}
	}
}

// wrapped drops the two bits that libjpeg-turbo's SIMD code loses of a first row without others below it.
func wrapped(v int32) int32 { return int32(int16(v<<2)) >> 2 }

// oneDimension transforms eight values, with 13 more fractional bits in the result. The factors are sums of jidctint.c's constants,
// which have 13 bits. Sums of inputs have 16 bits, as in libjpeg-turbo's SIMD code (jidctint-avx2.asm): in broken files they wrap.
func oneDimension(in *[8]int32) [8]int32 {
	word := func(v int32) int32 { return int32(int16(v)) }
	sum, difference := word(in[0]+in[4])<<13, word(in[0]-in[4])<<13
	a, b := 10703*in[2]+4433*in[6], 4433*in[2]-10704*in[6]
	even := [4]int32{sum + a, difference + b, difference - b, sum - a}
	z3, z4 := word(in[7]+in[3]), word(in[5]+in[1])
	z3, z4 = -6436*z3+9633*z4, 9633*z3+6437*z4
	odd := [4]int32{
		z4 - 7373*in[7] + 4926*in[1],
		z3 - 20995*in[5] + 4177*in[3],
		z4 - 4176*in[5] - 20995*in[3],
		z3 - 4927*in[7] - 7373*in[1],
	}
	return [8]int32{
		even[0] + odd[0], even[1] + odd[1], even[2] + odd[2], even[3] + odd[3],
		even[3] - odd[3], even[2] - odd[2], even[1] - odd[1], even[0] - odd[0],
	}
}
